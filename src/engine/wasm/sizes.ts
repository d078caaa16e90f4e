/** The sizes of a model and its micro-batches as the wasm engine uses them, worked out once from the config. */
import type { RunConfig } from "../../config/schema.ts";
import { denseHiddenSize, VOCABULARY } from "../parameters.ts";

export interface Sizes {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly headSize: number;
  /** Tokens of a sequence. */
  readonly context: number;
  /** Sequences of a micro-batch, all virtual ranks together. */
  readonly sequences: number;
  /** Tokens of a micro-batch. */
  readonly tokens: number;
  readonly microBatches: number;
  readonly ranks: number;
  readonly experts: number;
  readonly topK: number;
  readonly groups: number;
  readonly expertHiddenSize: number;
  /** Joint width of the shared experts, or of the dense twin; 0: neither. */
  readonly commonHiddenSize: number;
  readonly vocabulary: number;
}

export function sizesOf({ model, training }: RunConfig): Sizes {
  const { layers, hiddenSize, heads, context, experts, topK, groups, expertHiddenSize, sharedExperts } = model;
  const { microBatches, ranks } = training;
  const sequences = training.sequences * ranks;
  return {
    layers,
    hiddenSize,
    heads,
    headSize: hiddenSize / heads,
    context,
    sequences,
    tokens: sequences * context,
    microBatches,
    ranks,
    experts,
    topK,
    groups,
    expertHiddenSize,
    commonHiddenSize: model.feedForward === "dense" ? denseHiddenSize(model) : sharedExperts * expertHiddenSize,
    vocabulary: VOCABULARY,
  };
}

/** One walk through the model: a training micro-batch, or a chunk of sequences to evaluate. */
export interface Pass {
  /** Which of the [microBatches + 1] places for tokens, choices and losses it uses; the last is for evaluation. */
  readonly place: number;
  /** At most `sizes.sequences`. */
  readonly sequences: number;
}
