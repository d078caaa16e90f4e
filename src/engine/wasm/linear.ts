/**
 * y = x·W, the product that most of the model consists of. Weights are [inputs, outputs].
 *
 * Forward and the gradient by x go by rows of tokens, of which a thread has its own. The gradient by the weights
 * sums over all tokens, so there each thread takes columns of the weights: the sum over the tokens is the same
 * whoever makes it.
 */
import type { Address } from "./kernels.ts";
import type { Weights } from "./parameters.ts";
import { type Rows, rowAddress, type Thread } from "./thread.ts";

export interface Linear extends Weights {
  readonly inputs: number;
  readonly outputs: number;
}

/** Columns are dealt in the width of a packed panel. */
const PANEL = 8;

/** Rows of y (+)= rows of x·W. */
export function linearForward(
  { kernels, scratch }: Thread,
  { values, inputs, outputs }: Linear,
  x: Address,
  y: Address,
  { first, last }: Rows,
  accumulate: 0 | 1 = 0,
): void {
  const xRows = rowAddress(x, first, inputs);
  const yRows = rowAddress(y, first, outputs);
  kernels.gemm(
    xRows,
    inputs,
    1,
    values,
    outputs,
    1,
    yRows,
    outputs,
    last - first,
    outputs,
    inputs,
    accumulate,
    scratch,
  );
}

/** Rows of dx (+)= rows of dy·Wᵀ. */
export function linearBackward(
  { kernels, scratch }: Thread,
  { values, inputs, outputs }: Linear,
  dy: Address,
  dx: Address,
  { first, last }: Rows,
  accumulate: 0 | 1 = 0,
): void {
  const dyRows = rowAddress(dy, first, outputs);
  const dxRows = rowAddress(dx, first, inputs);
  kernels.gemm(
    dyRows,
    outputs,
    1,
    values,
    1,
    outputs,
    dxRows,
    inputs,
    last - first,
    inputs,
    outputs,
    accumulate,
    scratch,
  );
}

/** dW += xᵀ·dy over the rows given, whole: for weights that one thread has to itself, like an expert's. */
export function weightGradient(
  { kernels, scratch }: Thread,
  { gradient, inputs, outputs }: Linear,
  x: Address,
  dy: Address,
  { first, last }: Rows,
): void {
  const xRows = rowAddress(x, first, inputs);
  const dyRows = rowAddress(dy, first, outputs);
  kernels.gemm(xRows, 1, inputs, dyRows, outputs, 1, gradient, outputs, inputs, outputs, last - first, 1, scratch);
}

/** This thread's columns of dW += xᵀ·dy over the first `tokens` rows. Everyone's rows must be ready. */
export function shareOfWeightGradient(
  { kernels, scratch, crew }: Thread,
  { gradient, inputs, outputs }: Linear,
  x: Address,
  dy: Address,
  tokens: number,
): void {
  const [firstPanel, lastPanel] = crew.share(Math.ceil(outputs / PANEL));
  const from = firstPanel * PANEL;
  const columns = Math.min(lastPanel * PANEL, outputs) - from;
  if (columns <= 0) return;
  kernels.gemm(
    x,
    1,
    inputs,
    dy + 4 * from,
    outputs,
    1,
    gradient + 4 * from,
    outputs,
    inputs,
    columns,
    tokens,
    1,
    scratch,
  );
}
