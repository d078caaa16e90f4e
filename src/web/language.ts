/** The language of the moment: what the reader chose, or else what the browser asks for. */
import { computed } from "@preact/signals";
import type { Language, Phrase } from "./phrase.ts";
import { knobValue } from "./state.ts";

export const language = computed<Language>(() => {
  const chosen = knobValue("lang");
  if (chosen !== "auto") return chosen;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
});

export const say = (phrase: Phrase): string => phrase[language.value];
