/** What a chapter of the tour is: a short text beside a scene whose knobs it has set, and often a question. */
import type { KnobName, KnobValues } from "../knobs/knobs.ts";
import type { Phrase } from "../phrase.ts";

export interface Chapter {
  readonly title: Phrase;
  /** Paragraphs. */
  readonly text: readonly Phrase[];
  /** What the knobs are when the chapter opens; all others are as at first. */
  readonly set: Partial<KnobValues>;
  /** The knobs that the reader is invited to turn. */
  readonly knobs: readonly KnobName[];
  readonly question?: Question;
}

/** First guessed, then seen. */
export interface Question {
  readonly ask: Phrase;
  readonly options: readonly Phrase[];
  /** Index of the right one. */
  readonly answer: number;
  readonly reveal: Phrase;
  /** What the knobs become, so that it is seen. */
  readonly show?: Partial<KnobValues>;
}
