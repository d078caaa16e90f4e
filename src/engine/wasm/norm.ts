/** RMSNorm of the residual stream, with the gradient of its gain summed sequence by sequence. */
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type ParameterPlan, type Weights, weightsNamed } from "./parameters.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { ownSequences, ownTokens, rowAddress, type Thread } from "./thread.ts";

export interface Norm {
  readonly gain: Weights;
  /** [T, H] */
  readonly output: Address;
  /** [T] 1 / root mean square of each row */
  readonly inverse: Address;
  /** [sequences, H] the gain's gradient of each sequence */
  readonly gainGradients: Address;
}

export function planNorm(arena: Arena, sizes: Sizes, parameters: ParameterPlan, name: string): Norm {
  const { tokens, sequences, hiddenSize } = sizes;
  return {
    gain: weightsNamed(parameters, name),
    output: arena.words(tokens * hiddenSize),
    inverse: arena.words(tokens),
    gainGradients: arena.words(sequences * hiddenSize),
  };
}

/** @param x [T, H] */
export function normForward(thread: Thread, norm: Norm, x: Address, pass: Pass): void {
  const { first, last } = ownTokens(thread, pass);
  const { hiddenSize } = thread.sizes;
  const output = rowAddress(norm.output, first, hiddenSize);
  const rows = rowAddress(x, first, hiddenSize);
  thread.kernels.normForward(rows, norm.gain.values, output, norm.inverse + 4 * first, last - first, hiddenSize);
}

/**
 * dx = residual + the gradient through the norm.
 * @param x,dOutput,residual,dx [T, H]
 */
export function normBackward(
  thread: Thread,
  norm: Norm,
  x: Address,
  dOutput: Address,
  residual: Address,
  dx: Address,
  pass: Pass,
): void {
  const { context, hiddenSize } = thread.sizes;
  const { first, last } = ownSequences(thread, pass);
  for (let sequence = first; sequence < last; sequence++) {
    const token = sequence * context;
    const row = (matrix: Address) => rowAddress(matrix, token, hiddenSize);
    const ofGain = rowAddress(norm.gainGradients, sequence, hiddenSize);
    const inverse = norm.inverse + 4 * token;
    const { values } = norm.gain;
    thread.kernels.normBackward(
      row(dOutput),
      row(x),
      values,
      inverse,
      row(residual),
      row(dx),
      ofGain,
      context,
      hiddenSize,
    );
  }
}

/** Adds up the gain's gradient. Everyone's sequences must be ready. */
export function gainGradient({ kernels, sizes }: Thread, norm: Norm, pass: Pass): void {
  kernels.addRows(norm.gainGradients, norm.gain.gradient, pass.sequences, sizes.hiddenSize);
}
