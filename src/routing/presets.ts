/**
 * Published combinations of selection, score function, normalisation and capacity, by name: one for each source.
 * Sizes (N, K, M) and learned things (biases, scales of experts) are the config's, not the preset's.
 */
import type { CapacitySettings } from "./capacity.ts";
import type { RoutingSettings } from "./route.ts";

export interface RoutingPreset {
  readonly settings: RoutingSettings;
  readonly source: string;
  /** One sentence: what it does otherwise than its neighbours. */
  readonly differs: string;
}

/** What most sources that drop have in common. */
const capacity: CapacitySettings = {
  rule: "megatron",
  factor: 1,
  minimum: 0,
  alignment: 1,
  level: "expert",
  order: "choice",
  priority: "position",
  renormalise: false,
  pad: false,
};

const softmax = { scoreFunction: "softmax", scale: 1 } as const;

export const routingPresets = {
  "pangu-topk": {
    settings: { ...softmax, selection: "topk", normalisation: "chosen" },
    source: "Pangu Pro MoE, arXiv:2505.21411, eq. 1-2",
    differs: "softmax over the chosen logits, so that the weights of a token sum to 1",
  },
  "pangu-moge": {
    settings: { ...softmax, selection: "moge", normalisation: "none" },
    source: "Pangu Pro MoE, arXiv:2505.21411, eq. 5-7; vllm-ascend, models/pangu_moe.py",
    differs: "softmax over all experts and no normalisation, so that the weights of a token sum to less than 1",
  },
  "megatron-topk": {
    settings: { ...softmax, selection: "topk", normalisation: "chosen" },
    source: "Megatron-LM, moe_utils.topk_routing_with_score_function, its default",
    differs: "softmax after the choice; a selection bias enters it here, where the source ignores one for softmax",
  },
  "megatron-pre-softmax": {
    settings: { ...softmax, selection: "topk", normalisation: "none" },
    source: "Megatron-LM, --moe-router-pre-softmax",
    differs:
      "softmax before the choice and no normalisation; a selection bias enters it here, where the source ignores one for softmax",
  },
  "megatron-sigmoid": {
    settings: {
      selection: "topk",
      scoreFunction: "sigmoid",
      normalisation: "chosen-of-several",
      scale: 1,
      epsilon: 1e-20,
    },
    source: "Megatron-LM, --moe-router-score-function sigmoid",
    differs:
      "chosen by score + bias, weighed by the score over the chosen scores' sum + 1e-20; one expert keeps its score",
  },
  "deepseek-v2": {
    settings: {
      selection: "group-limited",
      options: { limit: 3, groupScore: "max", compare: "scores", mask: "zero" },
      scoreFunction: "softmax",
      normalisation: "none",
      scale: 16,
    },
    source: "DeepSeek-V2, arXiv:2405.04434, section 2.2.2, and its published config and MoEGate (group_limited_greedy)",
    differs: "groups compete by their best score, 3 of 8 stay; weights are 16 times the scores, not normalised",
  },
  "deepseek-v3": {
    settings: {
      selection: "group-limited",
      options: { limit: 4, groupScore: "top-2-sum", compare: "scores", mask: "exclude" },
      scoreFunction: "sigmoid",
      normalisation: "chosen",
      scale: 2.5,
      epsilon: 0,
    },
    source: "DeepSeek-V3, inference/model.py, Gate, with a bias",
    differs:
      "groups compete by the sum of their two best biased scores, 4 of 8 stay, others are excluded; no epsilon, so weights of vanished scores are NaN as in the source",
  },
  "deepseek-v3-hf": {
    settings: {
      selection: "group-limited",
      options: { limit: 4, groupScore: "top-2-sum", compare: "scores", mask: "zero" },
      scoreFunction: "sigmoid",
      normalisation: "chosen",
      scale: 2.5,
      epsilon: 1e-20,
    },
    source: "Hugging Face transformers, DeepseekV3MoE.route_tokens_to_experts; DeepSeek's MoEGate (noaux_tc)",
    differs:
      "as deepseek-v3, but experts of other groups count as 0 and beat negative biased scores, and 1e-20 is added",
  },
  torchtitan: {
    settings: {
      selection: "group-limited",
      options: { limit: 4, groupScore: "top-2-sum", compare: "scores", mask: "exclude" },
      scoreFunction: "sigmoid",
      normalisation: "chosen",
      scale: 2.5,
      epsilon: 1e-20,
    },
    source: "torchtitan, models/common/moe.py, TokenChoiceTopKRouter, with the settings of its DeepSeek-V3 671B",
    differs: "the sum of two decides between groups whatever the scores; others are excluded, and 1e-20 is added",
  },
  olmo: {
    settings: { ...softmax, selection: "topk", normalisation: "none" },
    source: "OLMo-core, nn/moe/router.py, with the settings of OLMoE (arXiv:2409.02060)",
    differs: "softmax over all experts, not normalised; a bias enters the choice if there is one",
  },
  mixtral: {
    settings: { ...softmax, selection: "topk", normalisation: "chosen" },
    source: "Hugging Face transformers, MixtralSparseMoeBlock",
    differs: "weights as megatron-topk; its loss is K times the usual one, over the tokens of all layers together",
  },
  "switch-hf": {
    settings: {
      ...softmax,
      selection: "switch",
      normalisation: "none",
      capacity: { ...capacity, rule: "fixed", factor: 64, order: "token" },
    },
    source: "Hugging Face transformers, SwitchTransformersTop1Router, expert_capacity 64",
    differs: "an expert takes the first 64 tokens of a sequence; the weight is the probability itself",
  },
  "deepspeed-top1": {
    settings: {
      ...softmax,
      selection: "switch",
      normalisation: "none",
      capacity: { ...capacity, rule: "deepspeed", minimum: 4, order: "random" },
    },
    source: "DeepSpeed, sharded_moe.top1gating with random token selection, defaults of deepspeed.moe.layer.MoE",
    differs: "which tokens a full expert keeps is drawn; the capacity is rounded up in single precision, 4 at least",
  },
  "deepspeed-top2": {
    settings: {
      ...softmax,
      selection: "gshard-top2",
      options: { second: "sampled" },
      normalisation: "chosen",
      capacity: { ...capacity, rule: "deepspeed", minimum: 4, renormalise: true },
    },
    source: "DeepSpeed, sharded_moe.top2gating, defaults of deepspeed.moe.layer.MoE",
    differs:
      "the second expert is sampled; weights are shared among the experts that had room, so one left alone has 1",
  },
  "deepspeed-topk": {
    settings: {
      ...softmax,
      selection: "topk",
      normalisation: "chosen",
      capacity: { ...capacity, rule: "deepspeed", minimum: 4, order: "score", renormalise: true },
    },
    source: "DeepSpeed, sharded_moe.topkgating, drop_policy probs",
    differs: "a full expert keeps the largest scores, first and later choices alike",
  },
  gshard: {
    settings: {
      ...softmax,
      selection: "gshard-top2",
      options: { second: "random" },
      normalisation: "chosen",
      capacity,
    },
    source: "GShard, arXiv:2006.16668, algorithm 1",
    differs:
      "the second expert is taken with probability min(1, 2 g₂); weights are shared before that and before any is dropped, so that a first expert left alone keeps g₁",
  },
  nllb: {
    settings: {
      ...softmax,
      selection: "gshard-top2",
      options: { second: "all" },
      normalisation: "chosen",
      capacity: { ...capacity, rule: "nllb", renormalise: true },
    },
    source: "Hugging Face transformers, NllbMoeTop2Router with its defaults; capacity 2 ⌈T/N⌉",
    differs: "both experts are always taken; weights are shared among those that had room",
  },
  tutel: {
    settings: {
      ...softmax,
      selection: "topk",
      normalisation: "chosen-of-several",
      capacity: { ...capacity, rule: "tutel" },
    },
    source: "Tutel, impls/fast_dispatch.extract_critical",
    differs: "capacity K ⌊factor ⌈T/N⌉⌋; weights are shared before any is dropped and not after",
  },
  "flaxformer-tokens-choose": {
    settings: {
      ...softmax,
      selection: "topk",
      normalisation: "none",
      capacity: { ...capacity, rule: "flaxformer", minimum: 4 },
    },
    source: "flaxformer, moe/routing.TokensChooseMaskedRouter, moe_layers.MoeLayer",
    differs: "capacity T/N whatever K is; weights are the scores themselves",
  },
  "flaxformer-batch-prioritised": {
    settings: {
      ...softmax,
      selection: "topk",
      normalisation: "none",
      capacity: { ...capacity, rule: "flaxformer", minimum: 4, priority: "confidence" },
    },
    source: "flaxformer, moe/routing.TokensChooseMaskedRouter with batch_prioritized_routing (V-MoE, arXiv:2106.05974)",
    differs: "as flaxformer-tokens-choose, but the surest tokens are served first",
  },
  megablocks: {
    settings: {
      ...softmax,
      selection: "topk",
      normalisation: "none",
      capacity: { ...capacity, rule: "megablocks", order: "token" },
    },
    source: "MegaBlocks, layers/moe.ParallelMLP with a capacity factor of 1; its dMoE drops nothing",
    differs: "the capacity is rounded down; tokens are served in order, each with all its choices",
  },
  sinkhorn: {
    settings: { ...softmax, selection: "sinkhorn", normalisation: "none" },
    source: "Megatron-LM, TopKRouter.sinkhorn_load_balancing; with one expert a token its scores are sigmoids",
    differs: "chosen from the balanced matrix while training, weighed by the softmax over all experts",
  },
  "expert-choice": {
    settings: { ...softmax, selection: "expert-choice", normalisation: "none" },
    source: "Zhou et al. 2022, arXiv:2202.09368; flaxformer, ExpertsChooseMaskedRouter",
    differs: "experts choose tokens, by a softmax over the experts of each token; weights are the scores themselves",
  },
  remoe: {
    settings: { selection: "relu", scoreFunction: "relu", normalisation: "none", scale: 1 },
    source: "Wang et al. 2024, ReMoE, arXiv:2412.14711",
    differs: "every positive score is a weight; goes with the relu-sparsity rule",
  },
  hash: {
    settings: { ...softmax, selection: "hash", normalisation: "chosen" },
    source: "Roller et al. 2021, Hash Layers, arXiv:2106.04426",
    differs: "the token's id decides; a single expert has weight 1, so that nothing is learned about routing",
  },
} satisfies Record<string, RoutingPreset>;

export type RoutingPresetName = keyof typeof routingPresets;
