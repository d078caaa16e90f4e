/** Knobs of the page as a whole: what is shown, and how. */
import * as z from "zod/mini";
import { same } from "../phrase.ts";
import { menu, slider, text, uncontrolled } from "./knob.ts";

/** A test holds the tour to it. */
export const CHAPTERS = 13;

export const pageKnobs = {
  scene: menu({
    of: z.enum(["journey", "batch", "training", "results"]),
    initial: "journey",
    options: {
      journey: { en: "One token", zh: "一个词元" },
      batch: { en: "A batch", zh: "一个批次" },
      training: { en: "Training", zh: "训练" },
      results: { en: "Results", zh: "结果" },
    },
    ...uncontrolled,
  }),
  /** 0: no tour; otherwise the chapter that is open, from 1. */
  chapter: slider({
    of: z.int().check(z.minimum(0), z.maximum(CHAPTERS)),
    initial: 0,
    stops: Array.from({ length: CHAPTERS + 1 }, (_, i) => i),
    ...uncontrolled,
  }),
  lang: menu({
    of: z.enum(["auto", "en", "zh"]),
    initial: "auto",
    options: { auto: { en: "as the browser", zh: "跟随浏览器" }, en: same("English"), zh: same("中文") },
    ...uncontrolled,
  }),
  theme: menu({
    of: z.enum(["auto", "light", "dark"]),
    initial: "auto",
    options: {
      auto: { en: "as the system", zh: "跟随系统" },
      light: { en: "light", zh: "浅色" },
      dark: { en: "dark", zh: "深色" },
    },
    ...uncontrolled,
  }),
  /** For lecturers: what is not shown. header, tour, controls, tools, footer, or a knob by its name, with commas between. */
  hide: text({
    of: z.string().check(z.regex(/^[\w,-]*$/)),
    initial: "",
    longest: 400,
    ...uncontrolled,
  }),
};
