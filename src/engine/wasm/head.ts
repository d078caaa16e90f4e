/** The head: loss = cross-entropy(norm(x)·W, next byte), and its backward pass. W is the embedding if they are tied. */

import type { RunConfig } from "../../config/schema.ts";
import { log } from "../../core/elementary.ts";
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type Linear, linearBackward, linearForward, shareOfWeightGradient } from "./linear.ts";
import { type Norm, normBackward, normForward, planNorm } from "./norm.ts";
import { type ParameterPlan, weightsNamed } from "./parameters.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { clearRows, ownSequences, ownTokens, rowAddress, type Thread } from "./thread.ts";

export interface Head {
  readonly norm: Norm;
  /** Tied: the embedding, [V, H], whose products run the other way: [inputs V, outputs H]. */
  readonly linear: Linear;
  readonly tied: boolean;
  /** [T, V] logits, then probabilities, then the gradient by the logits */
  readonly logits: Address;
  /** [T, 2] from the kernel: what the loss of a token is made of */
  readonly terms: Address;
  /** [places, sequences] float64: summed loss of each sequence */
  readonly losses: Address;
  /** [T, H] gradient by the norm's output */
  readonly dHidden: Address;
}

export function planHead(
  arena: Arena,
  sizes: Sizes,
  parameters: ParameterPlan,
  { tiedHead: tied }: RunConfig["model"],
): Head {
  const { tokens, sequences, hiddenSize: H, vocabulary: V, microBatches } = sizes;
  return {
    norm: planNorm(arena, sizes, parameters, "final.norm"),
    linear: tied
      ? { ...weightsNamed(parameters, "embedding"), inputs: V, outputs: H }
      : { ...weightsNamed(parameters, "head"), inputs: H, outputs: V },
    tied,
    logits: arena.words(tokens * V),
    terms: arena.words(tokens * 2),
    losses: arena.doubles((microBatches + 1) * sequences),
    dHidden: arena.words(tokens * H),
  };
}

/**
 * Losses of this thread's sequences.
 * @param x [T, H]
 * @param targets address of each sequence's first target byte, by sequence
 */
export function headForward(
  thread: Thread,
  head: Head,
  x: Address,
  targets: (sequence: number) => Address,
  pass: Pass,
): void {
  const { context, vocabulary, sequences } = thread.sizes;
  const rows = ownTokens(thread, pass);
  normForward(thread, head.norm, x, pass);
  const multiply = head.tied ? linearBackward : linearForward;
  multiply(thread, head.linear, head.norm.output, head.logits, rows);
  const { first, last } = ownSequences(thread, pass);
  const losses = head.losses / 8 + pass.place * sequences;
  for (let sequence = first; sequence < last; sequence++) {
    const token = sequence * context;
    const terms = rowAddress(head.terms, token, 2);
    thread.kernels.crossEntropyForward(
      rowAddress(head.logits, token, vocabulary),
      targets(sequence),
      terms,
      context,
      vocabulary,
    );
    thread.doubles[losses + sequence] = sumLoss(thread.floats, terms / 4, context);
  }
}

/** Σ log(sum) − shifted, over the pairs of `tokens` tokens from `at` on. */
function sumLoss(terms: Float32Array, at: number, tokens: number): number {
  let loss = 0;
  for (let i = at; i < at + 2 * tokens; i += 2) loss += log(terms[i]!) - terms[i + 1]!;
  return loss;
}

/** @param x,dx [T, H] @param scale the share of a token in the mean loss */
export function headBackward(
  thread: Thread,
  head: Head,
  x: Address,
  targets: (sequence: number) => Address,
  dx: Address,
  scale: number,
  pass: Pass,
): void {
  const { context, vocabulary, hiddenSize } = thread.sizes;
  const { first, last } = ownSequences(thread, pass);
  for (let sequence = first; sequence < last; sequence++) {
    const logits = rowAddress(head.logits, sequence * context, vocabulary);
    thread.kernels.crossEntropyBackward(logits, targets(sequence), scale, context, vocabulary);
  }
  const rows = ownTokens(thread, pass);
  const multiply = head.tied ? linearForward : linearBackward;
  multiply(thread, head.linear, head.logits, head.dHidden, rows);
  clearRows(thread, dx, rows, hiddenSize); // nothing goes round the head
  normBackward(thread, head.norm, x, head.dHidden, dx, dx, pass);
  thread.crew.barrier();
  const [from, to] = head.tied ? [head.logits, head.norm.output] : [head.norm.output, head.logits];
  shareOfWeightGradient(thread, head.linear, from, to, pass.sequences * context);
  thread.crew.barrier();
}
