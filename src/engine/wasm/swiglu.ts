/**
 * A SwiGLU that every token passes through: the shared experts of a MoE layer as one, or the dense twin.
 *
 * On the way back the gradients take the place of what they belong to: `gateUp` becomes the gradient by itself.
 */
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type Linear, linearBackward, linearForward, shareOfWeightGradient } from "./linear.ts";
import { type ParameterPlan, weightsNamed } from "./parameters.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { type Rows, rowAddress, type Thread } from "./thread.ts";

export interface Swiglu {
  readonly up: Linear;
  readonly down: Linear;
  /** [T, 2F] */
  readonly gateUp: Address;
  /** [T, F] */
  readonly hidden: Address;
  /** [T, F] gradient by `hidden` */
  readonly dHidden: Address;
}

/** @param name of the parameters, e.g. "layers.0.shared" */
export function planSwiglu(arena: Arena, sizes: Sizes, parameters: ParameterPlan, name: string): Swiglu {
  const { tokens, hiddenSize: H, commonHiddenSize: F } = sizes;
  return {
    up: { ...weightsNamed(parameters, `${name}.up`), inputs: H, outputs: 2 * F },
    down: { ...weightsNamed(parameters, `${name}.down`), inputs: F, outputs: H },
    gateUp: arena.words(tokens * 2 * F),
    hidden: arena.words(tokens * F),
    dHidden: arena.words(tokens * F),
  };
}

/** y += swiglu(x). @param x,y [T, H] */
export function swigluForward(thread: Thread, swiglu: Swiglu, x: Address, y: Address, rows: Rows): void {
  const { up, down, gateUp, hidden } = swiglu;
  const { first, last } = rows;
  linearForward(thread, up, x, gateUp, rows);
  const gateUpRows = rowAddress(gateUp, first, up.outputs);
  thread.kernels.swigluForward(gateUpRows, rowAddress(hidden, first, down.inputs), last - first, down.inputs);
  linearForward(thread, down, hidden, y, rows, 1);
}

/** dx = the gradient through the SwiGLU. @param dy,dx [T, H] */
export function swigluBackward(thread: Thread, swiglu: Swiglu, dy: Address, dx: Address, rows: Rows): void {
  const { up, down, gateUp, dHidden } = swiglu;
  const { first, last } = rows;
  linearBackward(thread, down, dy, dHidden, rows);
  const gateUpRows = rowAddress(gateUp, first, up.outputs);
  const dHiddenRows = rowAddress(dHidden, first, down.inputs);
  thread.kernels.swigluBackward(gateUpRows, dHiddenRows, last - first, down.inputs, thread.scratch);
  linearBackward(thread, up, gateUp, dx, rows);
}

/** This thread's part of the weights' gradients, after `swigluBackward` of all threads. @param x,dy [T, H] */
export function shareOfSwigluGradient(thread: Thread, swiglu: Swiglu, x: Address, dy: Address, pass: Pass): void {
  const tokens = pass.sequences * thread.sizes.context;
  shareOfWeightGradient(thread, swiglu.down, swiglu.hidden, dy, tokens);
  shareOfWeightGradient(thread, swiglu.up, x, swiglu.gateUp, tokens);
}
