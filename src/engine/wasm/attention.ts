/** The attention block: output = x + projection(attention(qkv(norm(x)))), and its backward pass. */
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type Linear, linearBackward, linearForward, shareOfWeightGradient } from "./linear.ts";
import { type Norm, normBackward, normForward, planNorm } from "./norm.ts";
import { type ParameterPlan, weightsNamed } from "./parameters.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { copyRows, ownSequences, ownTokens, rowAddress, type Thread } from "./thread.ts";

export interface AttentionBlock {
  readonly norm: Norm;
  readonly project: Linear;
  readonly merge: Linear;
  /** [T, 3H] */
  readonly qkv: Address;
  /** [sequences, heads, context, context] */
  readonly probabilities: Address;
  /** [T, H] what the heads give, side by side */
  readonly attended: Address;
  /** [T, H] */
  readonly output: Address;
}

/** Gradients on the way back; the layers use them one after another. */
export interface AttentionGradients {
  /** [T, H] by `attended`, then by the norm's output */
  readonly dHidden: Address;
  /** [T, 3H] */
  readonly dQkv: Address;
  /** [threads, context, context] by the attention scores of one head */
  readonly dScores: Address;
}

export function planAttention(arena: Arena, sizes: Sizes, parameters: ParameterPlan, layer: number): AttentionBlock {
  const { tokens, sequences, context, heads, hiddenSize: H } = sizes;
  const name = `layers.${layer}.attention`;
  return {
    norm: planNorm(arena, sizes, parameters, `${name}.norm`),
    project: { ...weightsNamed(parameters, `${name}.qkv`), inputs: H, outputs: 3 * H },
    merge: { ...weightsNamed(parameters, `${name}.output`), inputs: H, outputs: H },
    qkv: arena.words(tokens * 3 * H),
    probabilities: arena.words(sequences * heads * context * context),
    attended: arena.words(tokens * H),
    output: arena.words(tokens * H),
  };
}

export function planAttentionGradients(arena: Arena, sizes: Sizes, threads: number): AttentionGradients {
  const { tokens, hiddenSize, context } = sizes;
  return {
    dHidden: arena.words(tokens * hiddenSize),
    dQkv: arena.words(tokens * 3 * hiddenSize),
    dScores: arena.words(threads * context * context),
  };
}

/** @param x [T, H] */
export function attentionForward(thread: Thread, block: AttentionBlock, x: Address, pass: Pass): void {
  const { kernels, scratch, laps } = thread;
  const { context, heads, headSize, hiddenSize } = thread.sizes;
  const rows = ownTokens(thread, pass);
  normForward(thread, block.norm, x, pass);
  laps.lap("norms");
  linearForward(thread, block.project, block.norm.output, block.qkv, rows);
  laps.lap("attention, projections");
  const { first, last } = ownSequences(thread, pass);
  for (let sequence = first; sequence < last; sequence++) {
    const qkv = rowAddress(block.qkv, sequence * context, 3 * hiddenSize);
    const probabilities = rowAddress(block.probabilities, sequence * heads * context, context);
    const attended = rowAddress(block.attended, sequence * context, hiddenSize);
    kernels.attentionForward(qkv, probabilities, attended, context, heads, headSize, 1 / Math.sqrt(headSize), scratch);
  }
  laps.lap("attention, heads");
  copyRows(thread, x, block.output, rows, hiddenSize);
  linearForward(thread, block.merge, block.attended, block.output, rows, 1);
  laps.lap("attention, projections");
}

/** @param x,dOutput,dx [T, H] */
export function attentionBackward(
  thread: Thread,
  block: AttentionBlock,
  gradients: AttentionGradients,
  x: Address,
  dOutput: Address,
  dx: Address,
  pass: Pass,
): void {
  const { kernels, scratch, crew, laps } = thread;
  const { context, heads, headSize, hiddenSize } = thread.sizes;
  const { dHidden, dQkv } = gradients;
  const rows = ownTokens(thread, pass);
  linearBackward(thread, block.merge, dOutput, dHidden, rows);
  laps.lap("attention, projections");
  const dScores = rowAddress(gradients.dScores, crew.index * context, context);
  const { first, last } = ownSequences(thread, pass);
  for (let sequence = first; sequence < last; sequence++) {
    const token = sequence * context;
    const qkv = rowAddress(block.qkv, token, 3 * hiddenSize);
    const probabilities = rowAddress(block.probabilities, sequence * heads * context, context);
    const dAttended = rowAddress(dHidden, token, hiddenSize);
    const dQkvRows = rowAddress(dQkv, token, 3 * hiddenSize);
    const scale = 1 / Math.sqrt(headSize);
    kernels.attentionBackward(
      qkv,
      probabilities,
      dAttended,
      dScores,
      dQkvRows,
      context,
      heads,
      headSize,
      scale,
      scratch,
    );
  }
  laps.lap("attention, heads");
  linearBackward(thread, block.project, dQkv, dHidden, rows);
  laps.lap("attention, projections");
  normBackward(thread, block.norm, x, dHidden, dOutput, dx, pass);
  laps.lap("norms");
  crew.barrier();
  const tokens = pass.sequences * context;
  shareOfWeightGradient(thread, block.merge, block.attended, dOutput, tokens);
  shareOfWeightGradient(thread, block.project, block.norm.output, dQkv, tokens);
  crew.barrier();
  laps.lap("attention, projections");
}
