/** The whole memory of a model, planned: the same on every thread, from the config and the number of threads alone. */
import type { RunConfig } from "../../config/schema.ts";
import { Arena } from "./arena.ts";
import { type AttentionBlock, type AttentionGradients, planAttention, planAttentionGradients } from "./attention.ts";
import { type Embedding, planEmbedding } from "./embedding.ts";
import { type FeedForwardGradients, type FeedForwardPlan, planFeedForward } from "./feed-forward.ts";
import { type Head, planHead } from "./head.ts";
import { type Address, GEMM_SCRATCH_BYTES } from "./kernels.ts";
import { type OptimizerPlan, planOptimizer } from "./optimizer.ts";
import { type ParameterPlan, planParameters } from "./parameters.ts";
import { planRouterGradients } from "./router-plan.ts";
import { type Sizes, sizesOf } from "./sizes.ts";

export interface ModelPlan {
  readonly sizes: Sizes;
  readonly parameters: ParameterPlan;
  readonly embedding: Embedding;
  readonly layers: readonly { readonly attention: AttentionBlock; readonly feedForward: FeedForwardPlan }[];
  readonly head: Head;
  readonly optimizer: OptimizerPlan;
  readonly attentionGradients: AttentionGradients;
  readonly feedForwardGradients: FeedForwardGradients;
  /** [T, H] gradient by the residual stream behind a layer */
  readonly dLayer: Address;
  /** [T, H] gradient by the residual stream between attention and feed-forward */
  readonly dMiddle: Address;
  /** One for each thread. */
  readonly scratch: readonly Address[];
  /** [3] float64: what a command is told, see command.ts */
  readonly orders: Address;
  readonly pages: number;
}

/** @throws ModelTooLargeError if the model does not fit in a wasm memory */
export function planModel(config: RunConfig, threads: number): ModelPlan {
  const arena = new Arena();
  const sizes = sizesOf(config);
  const { tokens, hiddenSize, layers } = sizes;
  const parameters = planParameters(arena, config);
  const plan = {
    sizes,
    parameters,
    embedding: planEmbedding(arena, sizes, parameters),
    layers: Array.from({ length: layers }, (_, layer) => ({
      attention: planAttention(arena, sizes, parameters, layer),
      feedForward: planFeedForward(arena, sizes, parameters, config, layer),
    })),
    head: planHead(arena, sizes, parameters, config.model),
    optimizer: planOptimizer(arena, parameters),
    attentionGradients: planAttentionGradients(arena, sizes, threads),
    feedForwardGradients: { ...planRouterGradients(arena, sizes, config), dHidden: arena.words(tokens * hiddenSize) },
    dLayer: arena.words(tokens * hiddenSize),
    dMiddle: arena.words(tokens * hiddenSize),
    scratch: Array.from({ length: threads }, () => arena.bytes(GEMM_SCRATCH_BYTES)),
    orders: arena.doubles(3),
  };
  return { ...plan, pages: arena.pages() };
}
