/**
 * The tokens of the page: logits of a router that likes some experts better than others.
 *
 * x_ti = ε_ti + skew · u_i, all ε and u standard normal. With skew 0 no expert is preferred, and what is left of the
 * imbalance is chance, which metrics/expected-imbalance.ts has closed forms of.
 */
import { type Random, randomStream } from "../../core/random.ts";
import { remembered } from "./remembered.ts";

/** Standard normal numbers of one stream, drawn as far as they were ever asked for. */
class Draws {
  private readonly random: Random;
  private values = new Float64Array(0);

  constructor(random: Random) {
    this.random = random;
  }

  /** @returns `count` of them or more; the first do not change when more are asked for */
  first(count: number): Float64Array {
    const known = this.values.length;
    if (known < count) {
      const values = new Float64Array(count);
      values.set(this.values);
      for (let i = known; i < count; i++) values[i] = this.random.gaussian();
      this.values = values;
    }
    return this.values;
  }
}

/** Draws of the seeds and sizes that a slider passes; at most 2 MB each. */
const KEPT = 48;

const drawsOf = remembered(
  ({ seed, purpose, experts }: { seed: number; purpose: string; experts: number }) =>
    new Draws(randomStream(seed, purpose, experts)),
  KEPT,
);

export interface Preferences {
  readonly seed: number;
  readonly experts: number;
  readonly skew: number;
}

/**
 * The batch that is shown, and the one that a router is balanced with, are different tokens of the same kind.
 * @param offset [N] added to every token's logit of an expert
 * @param logits [tokens, N] written
 */
export function logitsOf(
  { seed, experts, skew }: Preferences,
  tokens: number,
  which: "shown" | "trained",
  offset: ArrayLike<number> = new Float64Array(experts),
  logits: Float64Array = new Float64Array(tokens * experts),
): Float64Array {
  const own = drawsOf({ seed, purpose: `page-${which}`, experts }).first(tokens * experts);
  const liking = drawsOf({ seed, purpose: "page-popularity", experts }).first(experts);
  for (let row = 0; row < logits.length; row += experts) {
    for (let i = 0; i < experts; i++) logits[row + i] = own[row + i]! + skew * liking[i]! + offset[i]!;
  }
  return logits;
}
