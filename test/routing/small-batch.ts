/** Batches of logits for tests, drawn from the project's own streams. */
import { randomStream } from "../../src/core/random.ts";
import type { RouterShape } from "../../src/routing/router.ts";

/** Normal logits, [T, N]; no two are equal. */
export function normalLogits(tokens: number, experts: number, seed: number | string = 1): Float64Array {
  const random = randomStream(seed, "test logits", tokens, experts);
  return Float64Array.from({ length: tokens * experts }, () => random.gaussian());
}

/** Sizes that every router takes. */
export const smallShape: RouterShape = { experts: 12, topK: 6, groups: 3 };

/** The derivative of a function of an array by each of its entries, by central differences. */
export function numericalGradient(of: (x: Float64Array) => number, at: Float64Array, step = 1e-5): Float64Array {
  return at.map((value, i) => {
    const moved = at.slice();
    moved[i] = value + step;
    const above = of(moved);
    moved[i] = value - step;
    return (above - of(moved)) / (2 * step);
  });
}
