/** Random matrices for tests of kernels, and what counts as equal to a twin. */
import { expect } from "chai";
import { randomStream } from "../../src/core/random.ts";
import { relativeError } from "./relative-error.ts";

const random = randomStream(3, "kernels");

/** Normal numbers that float32 holds exactly. */
export const gaussians = (count: number) => Float64Array.from({ length: count }, () => Math.fround(random.gaussian()));

export const integersBelow = (bound: number, count: number) =>
  Int32Array.from({ length: count }, () => random.below(bound));

/** Row lengths that fill no register, one, or several. */
export const widths = [1, 2, 3, 4, 5, 7, 8, 18, 64];

/** Float32 rounding of sums of some hundred terms. */
const CLOSE = 2e-6;

export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what = "result",
  tolerance = CLOSE,
) {
  expect(actual.length, what).to.equal(expected.length);
  expect(relativeError(actual, expected), what).to.be.below(tolerance);
}
