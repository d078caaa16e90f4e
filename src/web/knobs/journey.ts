/** Knobs of one token's journey. */
import * as z from "zod/mini";
import { contenderOptions } from "../batch/contenders.ts";
import { menu, slider, text, uncontrolled } from "./knob.ts";

const upTo = (last: number): number[] => Array.from({ length: last + 1 }, (_, i) => i);

/** Words of the sentence that are looked at. */
export const MOST_WORDS = 16;

export const LAST_STEP = 6;

export const journeyKnobs = {
  words: text({
    of: z.string().check(z.maxLength(160)),
    initial: "the river bank lent money to the fisherman",
    longest: 160,
    label: { en: "Sentence", zh: "句子" },
    help: { en: "your own words; each is a token", zh: "你自己的词；每个词是一个词元" },
  }),
  /** Which word is followed, from 0. */
  token: slider({
    of: z.int().check(z.minimum(0), z.maximum(MOST_WORDS - 1)),
    initial: 2,
    stops: upTo(MOST_WORDS - 1),
    ...uncontrolled,
  }),
  /** How far the token has come, from 0. */
  step: slider({
    of: z.int().check(z.minimum(0), z.maximum(LAST_STEP)),
    initial: 0,
    stops: upTo(LAST_STEP),
    ...uncontrolled,
  }),
  router: menu({
    of: z.enum(Object.keys(contenderOptions) as (keyof typeof contenderOptions)[]),
    initial: "topk",
    options: contenderOptions,
    label: { en: "Router", zh: "路由器" },
    help: { en: "the rule that picks experts for the token", zh: "为词元挑选专家的规则" },
  }),
};
