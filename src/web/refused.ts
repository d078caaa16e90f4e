/** What cannot be done, in words for the reader. */
import { type Phrase, same } from "./phrase.ts";

export class Refused extends Error {
  override readonly name = "Refused";
  readonly phrase: Phrase;
  constructor(phrase: Phrase) {
    super(phrase.en);
    this.phrase = phrase;
  }
}

/** Of an error of the browser's, what it says itself. */
export const phraseOf = (error: unknown): Phrase =>
  error instanceof Refused ? error.phrase : same((error as Error).message);
