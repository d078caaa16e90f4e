/** The softmax of a token's logits before any noise, as the losses that look at all experts need it. */
import { exp, log } from "../core/elementary.ts";
import type { Floats } from "../core/floats.ts";
import type { Routing } from "../routing/route.ts";
import { below } from "../routing/scores.ts";

/** Softmax of one token's logits before any noise, and the log of the sum of their exponentials. */
export function cleanSoftmax({ logits, noise, shape }: Routing, token: number) {
  const x = (noise?.clean ?? logits).subarray(token * shape.experts, (token + 1) * shape.experts);
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < x.length; i++) largest = Math.max(largest, x[i]!);
  const values = new Float64Array(x.length);
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    values[i] = exp(below(x[i]!, largest));
    sum += values[i]!;
  }
  for (let i = 0; i < values.length; i++) values[i] = values[i]! / sum;
  return { values, logSum: largest + log(sum) };
}

/** Adds softmaxᵀ's product with a gradient by its values to a gradient by its logits. */
export function addSoftmaxGradient(values: Float64Array, byValues: Floats, byLogits: Float64Array): void {
  let mean = 0;
  for (let i = 0; i < values.length; i++) mean += values[i]! * byValues[i]!;
  for (let i = 0; i < values.length; i++) byLogits[i] = byLogits[i]! + values[i]! * (byValues[i]! - mean);
}
