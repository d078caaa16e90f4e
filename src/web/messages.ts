/** What the page has to say to its reader: problems that stay until they are put away, and changes said aloud. */
import { signal } from "@preact/signals";
import type { Phrase } from "./phrase.ts";

export const problems = signal<readonly Phrase[]>([]);

/** Shows what went wrong; nothing takes the last problems away. */
export function tell(found: readonly Phrase[]): void {
  problems.value = found;
}

/** What a screen reader says next. */
export const announcement = signal<Phrase>({ en: "", zh: "" });

/** Says a change aloud that eyes see by themselves. */
export function announce(phrase: Phrase): void {
  announcement.value = phrase;
}
