/**
 * The tokens of the page: logits of a router that likes some experts better than others.
 *
 * x_ti = ε_ti + skew · u_i, all ε and u standard normal. With skew 0 no expert is preferred, and what is left of the
 * imbalance is chance, which metrics/expected-imbalance.ts has closed forms of.
 */
import { randomStream } from "../../core/random.ts";

/** Standard normal numbers, row after row; the first rows do not change when more are asked for. */
class Draws {
  private key = "";
  private values = new Float64Array(0);

  /** @returns at least `rows` rows of `width` */
  of(seed: number, purpose: string, rows: number, width: number): Float64Array {
    const key = `${seed}/${width}`;
    if (key === this.key && this.values.length >= rows * width) return this.values;
    const random = randomStream(seed, purpose, width);
    this.values = Float64Array.from({ length: rows * width }, () => random.gaussian());
    this.key = key;
    return this.values;
  }
}

export interface Preferences {
  readonly seed: number;
  readonly experts: number;
  readonly skew: number;
}

/** The batch that is shown, and the one that a router is balanced with, are different tokens of the same kind. */
const tokensOf = { shown: new Draws(), trained: new Draws() };
const popularity = new Draws();

/** [tokens, N] */
export function logitsOf(
  { seed, experts, skew }: Preferences,
  tokens: number,
  which: keyof typeof tokensOf,
): Float64Array {
  const own = tokensOf[which].of(seed, `page-${which}`, tokens, experts);
  const liking = popularity.of(seed, "page-popularity", 1, experts);
  const logits = new Float64Array(tokens * experts);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < experts; i++) logits[t * experts + i] = own[t * experts + i]! + skew * liking[i]!;
  }
  return logits;
}
