/** Text that a reader sees, in both languages of the page. */

export interface Phrase {
  readonly en: string;
  readonly zh: string;
}

export type Language = keyof Phrase;

/** The same in both languages: names, symbols, and what the tables say in English. */
export const same = (text: string): Phrase => ({ en: text, zh: text });
