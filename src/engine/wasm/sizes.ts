/** The sizes of a model and its micro-batches as the wasm engine uses them, worked out once from the config. */

import { mostAssignments, routingSettings } from "../../config/router-settings.ts";
import type { RunConfig } from "../../config/schema.ts";
import { slotsOf } from "../../routing/route.ts";
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
  /** Places for experts that a token has. */
  readonly slots: number;
  /** Assignments of a micro-batch, at most. */
  readonly assignments: number;
  readonly expertHiddenSize: number;
  /** Joint width of the shared experts, or of the dense twin; 0: neither. */
  readonly commonHiddenSize: number;
  readonly vocabulary: number;
}

export function sizesOf(config: RunConfig): Sizes {
  const { model, training } = config;
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
    slots: slotsOf(routingSettings(config), model),
    assignments: mostAssignments(config, sequences * context),
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
  readonly training: boolean;
  /** Optimizer step, from 1; 0 where nothing was trained. */
  readonly step: number;
}
