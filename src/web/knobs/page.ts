/** Knobs of the page as a whole: what is shown, and how. */
import * as z from "zod/mini";
import { same } from "../phrase.ts";
import { menu, slider, text } from "./knob.ts";

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
    label: { en: "Part of the page", zh: "页面部分" },
    help: { en: "which part of the page is open", zh: "打开页面的哪一部分" },
  }),
  /** 0: no tour; otherwise the chapter that is open, from 1. */
  chapter: slider({
    of: z.int().check(z.minimum(0), z.maximum(CHAPTERS)),
    initial: 0,
    stops: Array.from({ length: CHAPTERS + 1 }, (_, i) => i),
    label: { en: "Chapter of the tour", zh: "导览章节" },
    help: { en: "which chapter of the tour is open; 0: no tour", zh: "打开导览的哪一章；0：不打开" },
  }),
  lang: menu({
    of: z.enum(["auto", "en", "zh"]),
    initial: "auto",
    options: { auto: { en: "as the browser", zh: "跟随浏览器" }, en: same("English"), zh: same("中文") },
    label: same("Language / 语言"),
    help: { en: "language of the page", zh: "页面语言" },
  }),
  theme: menu({
    of: z.enum(["auto", "light", "dark"]),
    initial: "auto",
    options: {
      auto: { en: "as the system", zh: "跟随系统" },
      light: { en: "light", zh: "浅色" },
      dark: { en: "dark", zh: "深色" },
    },
    label: { en: "Light or dark", zh: "浅色或深色" },
    help: { en: "light for a bright room, dark for a dim one", zh: "明亮的房间用浅色，昏暗的用深色" },
  }),
  /** For lecturers: parts of the page and single knobs, by name, with commas between. */
  hide: text({
    of: z.string().check(z.regex(/^[\w,-]*$/)),
    initial: "",
    longest: 400,
    label: { en: "Hidden", zh: "隐藏" },
    help: {
      en: "what is not shown: header, tour, controls, tools, footer, or a knob by its name",
      zh: "不显示的部分：header、tour、controls、tools、footer，或某个旋钮的名字",
    },
  }),
};
