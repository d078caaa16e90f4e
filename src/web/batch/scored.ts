/** The batch as routers see it: logits and their softmax, which routers that are balanced alike share. */
import { newRouting } from "../../routing/route.ts";
import { lentDoubles, score } from "./pass.ts";
import { logitsOf, type Preferences } from "./preferences.ts";

export interface Scored {
  /** [T, N] each */
  readonly logits: Float64Array;
  readonly scores: Float64Array;
}

export interface ScoredBy {
  readonly preferences: Preferences;
  readonly tokens: number;
  /** [N] added to every token's logits */
  readonly offset: ArrayLike<number>;
}

/** Experts · tokens that the sliders go to; what of it is never written costs nothing. */
const LARGEST = 256 * 1024;

/** Memory of one batch after another: a new megabyte at every stop of a slider is what collecting garbage takes longest for. */
class Sheet {
  name = "";
  private logits: Float64Array = new Float64Array(0);
  private scores: Float64Array = new Float64Array(0);

  write({ preferences, tokens, offset }: ScoredBy, name: string): void {
    const length = tokens * preferences.experts;
    if (this.logits.length < length) {
      this.logits = lentDoubles(Math.max(length, LARGEST));
      this.scores = lentDoubles(Math.max(length, LARGEST));
    }
    this.name = name;
    const { logits, scores } = this.read(length);
    logitsOf(preferences, tokens, "shown", offset, logits);
    score(newRouting(logits, { experts: preferences.experts, topK: 1, groups: 1 }, bySoftmax, { scores }));
  }

  read(length: number): Scored {
    return { logits: this.logits.subarray(0, length), scores: this.scores.subarray(0, length) };
  }
}

/** All of the page's routers go by softmax scores. */
const bySoftmax = { selection: "topk", scoreFunction: "softmax", normalisation: "chosen", scale: 1 } as const;

/** One for each side of the comparison; the one last asked for is last. */
const sheets = [new Sheet(), new Sheet()];

/** Views of memory that the next batches write over. */
export function scoredBatch(by: ScoredBy): Scored {
  const { preferences, tokens, offset } = by;
  const name = JSON.stringify([preferences, tokens, Array.from(offset)]);
  const at = Math.max(
    0,
    sheets.findIndex((sheet) => sheet.name === name),
  );
  const [sheet] = sheets.splice(at, 1) as [Sheet];
  sheets.push(sheet);
  if (sheet.name !== name) sheet.write(by, name);
  return sheet.read(tokens * preferences.experts);
}
