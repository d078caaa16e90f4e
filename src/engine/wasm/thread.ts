/**
 * What one thread of the crew works with: the kernels, the memory, its scratch space and its place in the crew.
 */
import type { Crew } from "./crew.ts";
import type { Address, Kernels } from "./kernels.ts";
import type { Laps } from "./profile.ts";
import type { Pass, Sizes } from "./sizes.ts";

export interface Thread {
  readonly kernels: Kernels;
  readonly crew: Crew;
  readonly buffer: ArrayBufferLike;
  /** All of the buffer, two ways. */
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  readonly sizes: Sizes;
  /** Memory of this thread's own for what kernels work out: packed panels of `gemm`, rows of others. */
  readonly scratch: Address;
  /** Told what is done, for a profile. */
  readonly laps: Laps;
}

/** Rows of the token matrices: [first, last). */
export interface Rows {
  readonly first: number;
  readonly last: number;
}

/** The sequences of a pass that this thread works on, and their tokens. Threads never share a sequence. */
export function ownSequences({ crew }: Thread, pass: Pass): Rows {
  const [first, last] = crew.share(pass.sequences);
  return { first, last };
}

export function ownTokens(thread: Thread, pass: Pass): Rows {
  const { first, last } = ownSequences(thread, pass);
  return { first: first * thread.sizes.context, last: last * thread.sizes.context };
}

/** Address of a row of a float32 matrix. */
export function rowAddress(matrix: Address, row: number, width: number): Address {
  return matrix + 4 * row * width;
}

/** y = x, float32. */
export function copyRows({ kernels }: Thread, x: Address, y: Address, { first, last }: Rows, width: number): void {
  kernels.copy(rowAddress(x, first, width), rowAddress(y, first, width), 4 * (last - first) * width);
}

/** y = 0, float32. */
export function clearRows({ kernels }: Thread, y: Address, { first, last }: Rows, width: number): void {
  kernels.clear(rowAddress(y, first, width), 4 * (last - first) * width);
}
