/**
 * Capacity: how many assignments an expert, or a device, takes from a batch, and which ones go on when there are more.
 * What is dropped takes the residual path alone.
 *
 * The sources differ in all of it: how the number is rounded, whether the largest gates or the first tokens stay,
 * whether first choices go before second ones. Each difference is a setting; presets.ts has the combinations.
 */
import { type Knobs, type KnobValues, titlesOf } from "../core/knob.ts";
import type { Normalisation } from "./gates.ts";
import type { RouterShape } from "./router.ts";

export interface CapacityRule {
  readonly title: string;
  readonly formula: string;
  readonly source: string;
  /** Assignments of one expert, before the minimum and the alignment. @param needed load of the fullest expert */
  of(tokens: number, shape: Pick<RouterShape, "experts" | "topK">, factor: number, needed: number): number;
}

/** The product K·T over N in each source's own arithmetic: 50 · 1.1 is 56 in doubles and 55 in singles, rounded up. */
export const capacityRules = {
  megatron: {
    title: "⌈(T·K/N) · factor⌉ in doubles",
    formula: "ceil((T·K / N) · factor)",
    source: "Megatron-LM, moe_utils.get_capacity",
    of: (tokens, { experts, topK }, factor) => Math.ceil(((tokens * topK) / experts) * factor),
  },
  deepspeed: {
    title: "⌈(T/N) · (K · factor)⌉ in single precision",
    formula: "ceil(f32(f32(T/N) · f32(K·factor)))",
    source: "DeepSpeed, sharded_moe._capacity",
    of: (tokens, { experts, topK }, factor) =>
      Math.ceil(Math.fround(Math.fround(tokens / experts) * Math.fround(topK * factor))),
  },
  tutel: {
    title: "K · ⌊factor · ⌈T/N⌉⌋; 0: as many as needed; negative: as many as needed, |factor| at most",
    formula: "K · floor(factor · ceil(T/N)); factor 0: needed; factor < 0: min(needed, K · floor(−factor · ceil(T/N)))",
    source: "Tutel, fast_dispatch.extract_critical",
    of(tokens, { experts, topK }, factor, needed) {
      const most = topK * Math.floor(Math.abs(factor) * Math.ceil(tokens / experts));
      if (factor > 0) return most;
      return factor === 0 ? needed : Math.min(needed, most);
    },
  },
  megablocks: {
    title: "⌊factor · T·K/N⌋",
    formula: "floor(factor · (T·K / N))",
    source: "MegaBlocks, layers/moe.expert_capacity",
    of: (tokens, { experts, topK }, factor) => Math.floor(factor * ((tokens * topK) / experts)),
  },
  nllb: {
    title: "⌈factor · K · ⌈T/N⌉⌉",
    formula: "ceil(factor · K · ceil(T/N))",
    source: "Hugging Face NllbMoeTop2Router, with factor 1",
    of: (tokens, { experts, topK }, factor) => Math.ceil(factor * topK * Math.ceil(tokens / experts)),
  },
  flaxformer: {
    title: "factor · T/N, rounded, whatever K is",
    formula: "round(factor · T / N), halves to even",
    source: "flaxformer, moe_layers.MoeLayer",
    of(tokens, { experts }, factor) {
      const exact = (factor * tokens) / experts;
      const below = Math.floor(exact);
      return exact - below === 0.5 ? below + (below % 2) : Math.round(exact);
    },
  },
  fraction: {
    title: "⌈factor · T⌉",
    formula: "ceil(factor · T)",
    source: "Hugging Face NllbMoeTop2Router, moe_eval_capacity_token_fraction",
    of: (tokens, _shape, factor) => Math.ceil(factor * tokens),
  },
  fixed: {
    title: "the factor itself, as a number of assignments",
    formula: "factor",
    source: "Hugging Face SwitchTransformersTop1Router and flaxformer, expert_capacity",
    of: (_tokens, _shape, factor) => factor,
  },
} satisfies Record<string, CapacityRule>;

export type CapacityRuleName = keyof typeof capacityRules;

export const dropOrders = {
  weight: "the largest gate weights stay (Megatron-LM's `probs`)",
  score: "the largest scores stay, before any normalisation (DeepSpeed topkgating's `probs`)",
  token: "tokens are served one after another, each with all its choices (`position`)",
  choice: "all first choices are served before any second choice (GShard, Tutel, flaxformer)",
  random: "assignments are served in random order (DeepSpeed's random token selection)",
} as const;

export type DropOrder = keyof typeof dropOrders;

export const tokenPriorities = {
  position: "in the order of the batch",
  confidence: "tokens with the largest score first: batch-prioritised routing (Riquelme et al. 2021, arXiv:2106.05974)",
} as const;

export type TokenPriority = keyof typeof tokenPriorities;

export const capacityLevels = {
  expert: "each expert has a capacity",
  device: "the experts of a device share theirs (DeepSeek-V2, arXiv:2405.04434, section 2.2.4)",
} as const;

/** The settings of a capacity; the config, the command line and the page take them from here. */
export const capacityKnobs = {
  rule: {
    kind: "choice",
    default: "megatron",
    options: titlesOf(capacityRules),
    help: "how many assignments an expert takes, K·T/N times the factor",
  },
  factor: {
    kind: "number",
    default: 1.25,
    minimum: -1e9,
    help: "capacity factor; of rule `fixed` the capacity itself",
    source: "ST-MoE, arXiv:2202.08906, in training",
  },
  minimum: { kind: "number", default: 0, minimum: 0, whole: true, help: "what capacity never falls below" },
  alignment: {
    kind: "number",
    default: 1,
    minimum: 1,
    whole: true,
    help: "capacity is rounded up to a multiple of it",
  },
  level: { kind: "choice", default: "expert", options: capacityLevels, help: "who has a capacity" },
  order: { kind: "choice", default: "weight", options: dropOrders, help: "which assignments stay" },
  priority: {
    kind: "choice",
    default: "position",
    options: tokenPriorities,
    help: "which tokens are served first in the orders `token` and `choice`",
  },
  renormalise: {
    kind: "boolean",
    default: false,
    help: "divide weights by the sum over the experts that are left, not over all that were chosen",
  },
  pad: {
    kind: "boolean",
    default: false,
    help: "experts compute their whole capacity, with rows of zeros where tokens are missing; routes as without it",
  },
} as const satisfies Knobs;

export type CapacitySettings = KnobValues<typeof capacityKnobs>;

/** Whether tokens are served one after another, rather than the assignments of a bin by a value of theirs. */
export const servesTokens = (order: DropOrder): boolean => order === "token" || order === "choice";

/** What is wrong with a capacity for batches of `tokens` tokens, or undefined; the knob it lies with, numbers in the text. */
export function capacityContradiction(
  settings: CapacitySettings,
  tokens: number,
  shape: Pick<RouterShape, "experts" | "topK">,
  normalisation: Normalisation,
): { readonly knob: keyof CapacitySettings; readonly message: string } | undefined {
  const { rule, factor, order, priority, renormalise } = settings;
  if (factor < 0 && rule !== "tutel") {
    const message = `expected more than 0, got ${factor}; rule tutel alone gives 0 and less a meaning`;
    return { knob: "factor", message };
  }
  if (priority !== "position" && !servesTokens(order)) {
    const message = `${priority} has no effect with order ${order}; take order token or choice`;
    return { knob: "priority", message };
  }
  if (renormalise && !normalisation.startsWith("chosen")) {
    const message = `has no effect with normalisation ${normalisation}, which divides by no sum; take chosen`;
    return { knob: "renormalise", message };
  }
  const size = expertCapacity(tokens, shape, settings, tokens);
  if (size >= 1 && Number.isInteger(size)) return undefined;
  const of = `${size} of ${tokens} tokens, with ${shape.experts} experts and topK ${shape.topK}`;
  const message = `${factor} with rule ${rule} gives an expert room for ${of}; it needs a whole number, at least 1`;
  return { knob: "factor", message };
}

/** Assignments that one expert may have of a batch. @param needed load of the fullest expert */
export function expertCapacity(
  tokens: number,
  shape: Pick<RouterShape, "experts" | "topK">,
  { rule, factor, minimum, alignment }: Pick<CapacitySettings, "rule" | "factor" | "minimum" | "alignment">,
  needed = Number.POSITIVE_INFINITY,
): number {
  const least = Math.max(capacityRules[rule].of(tokens, shape, factor, needed), minimum);
  return Math.ceil(least / alignment) * alignment;
}

/** Rows that the experts of a batch compute: their load, or their whole capacity where it is padded to. */
export function computedRows(load: ArrayLike<number>, capacity: number, pad: boolean): Float64Array {
  return Float64Array.from(load, (each) => (pad ? Math.max(each, capacity) : each));
}
