/** The input of the model: bytes to rows of the residual stream, and the gradients of the two tables. */
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type ParameterPlan, type Weights, weightsNamed } from "./parameters.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { ownSequences, rowAddress, type Thread } from "./thread.ts";

export interface Embedding {
  readonly embedding: Weights;
  readonly position: Weights;
  /** [places, sequences, context + 1] bytes; the last of a sequence is a target only */
  readonly tokens: Address;
  /** [places, sequences] int32: the domain of each sequence */
  readonly domains: Address;
  /** [T, H] */
  readonly output: Address;
}

export function planEmbedding(arena: Arena, sizes: Sizes, parameters: ParameterPlan): Embedding {
  const { microBatches, sequences, context, tokens, hiddenSize } = sizes;
  return {
    embedding: weightsNamed(parameters, "embedding"),
    position: weightsNamed(parameters, "position"),
    tokens: arena.bytes((microBatches + 1) * sequences * (context + 1)),
    domains: arena.words((microBatches + 1) * sequences),
    output: arena.words(tokens * hiddenSize),
  };
}

/** Address of the bytes of a sequence of a pass. */
export function tokensOf(
  { tokens }: Embedding,
  { sequences, context }: Sizes,
  { place }: Pass,
  sequence: number,
): Address {
  return tokens + (place * sequences + sequence) * (context + 1);
}

export function embeddingForward(thread: Thread, plan: Embedding, pass: Pass): void {
  const { context, hiddenSize } = thread.sizes;
  const { first, last } = ownSequences(thread, pass);
  for (let sequence = first; sequence < last; sequence++) {
    const tokens = tokensOf(plan, thread.sizes, pass, sequence);
    const rows = rowAddress(plan.output, sequence * context, hiddenSize);
    thread.kernels.embeddingForward(tokens, plan.embedding.values, plan.position.values, rows, context, hiddenSize);
  }
}

/** This thread's part of the two gradients. Everyone's rows must be ready. @param dx [T, H] */
export function shareOfEmbeddingGradient(thread: Thread, plan: Embedding, dx: Address, pass: Pass): void {
  const { kernels, crew, sizes } = thread;
  const { context, hiddenSize } = sizes;
  for (let sequence = 0; sequence < pass.sequences; sequence++) {
    const tokens = tokensOf(plan, sizes, pass, sequence);
    const rows = rowAddress(dx, sequence * context, hiddenSize);
    kernels.embeddingBackward(tokens, rows, plan.embedding.gradient, context, hiddenSize, crew.index, crew.size);
  }
  const [first, last] = crew.share(context);
  kernels.positionBackward(dx, plan.position.gradient, pass.sequences, context, hiddenSize, first, last);
}
