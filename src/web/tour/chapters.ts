/** The chapters of the tour, in order. */
import { initialValues, type KnobValues } from "../knobs/knobs.ts";
import type { Chapter } from "./chapter.ts";
import { priceChapters } from "./price-chapters.ts";
import { routingChapters } from "./routing-chapters.ts";
import { trainingChapter } from "./training-chapter.ts";

export const chapters: readonly Chapter[] = [...routingChapters, ...priceChapters, trainingChapter];

/** All knobs as a chapter sets them, from 1. What is about the page itself stays. */
export function openedChapter(values: KnobValues, number: number): KnobValues {
  const { lang, theme, hide } = values;
  return { ...initialValues, lang, theme, hide, chapter: number, ...chapters[number - 1]?.set };
}
