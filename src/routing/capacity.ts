/**
 * Capacity: how many assignments an expert, or a device, takes from a batch, and which ones go on when there are more.
 * What is dropped takes the residual path alone.
 *
 * The sources differ in all of it: how the number is rounded, whether the largest gates or the first tokens stay,
 * whether first choices go before second ones. Each difference is a setting; presets.ts has the combinations.
 */
import type { Floats } from "../core/floats.ts";
import type { Random } from "../core/random.ts";
import { type Assignment, type Choice, NO_EXPERT, type TokenRange } from "./assignment.ts";
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
  device: "the experts of a device share theirs (DeepSeek-V2, arXiv:2405.04434, section 2.2.3)",
} as const;

export interface CapacitySettings {
  readonly rule: CapacityRuleName;
  readonly factor: number;
  /** What capacity never falls below. */
  readonly minimum: number;
  /** Capacity is rounded up to a multiple of it. */
  readonly alignment: number;
  readonly level: keyof typeof capacityLevels;
  readonly order: DropOrder;
  /** Of tokens served in the orders `token` and `choice`. */
  readonly priority: TokenPriority;
  /** Weights that are divided by a sum: whether it is over the experts that are left, or over all that were chosen. */
  readonly renormalise: boolean;
  /** Experts compute their whole capacity, with rows of zeros where tokens are missing. */
  readonly pad: boolean;
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

/** Who shares a capacity, and what it is. */
export interface Bins {
  /** [N] the bin of each expert: itself, or its device */
  readonly binOf: ArrayLike<number>;
  readonly bins: number;
  /** Assignments of one bin. */
  readonly capacity: number;
}

/** What `dropOverflow` goes by. */
export interface DropInput extends TokenRange {
  readonly settings: Pick<CapacitySettings, "order" | "priority">;
  /** [T, N] */
  readonly scores: Floats;
  readonly random?: Random | undefined;
}

/**
 * The place of each assignment of a range in the queue of its bin, in the order in which they are served.
 * @param bins given a capacity, bins with room for all are not sorted: places then tell no more than who finds room
 * @returns [tokens of the range, slots]; −1 in empty slots
 */
export function queuePlaces(
  assignment: Assignment,
  bins: Pick<Bins, "binOf" | "bins"> & Partial<Bins>,
  input: DropInput,
): Int32Array {
  const { experts, slots } = assignment;
  const from = input.first * slots;
  const places = new Int32Array((input.last - input.first) * slots).fill(-1);
  const queued = new Int32Array(bins.bins);
  const { order } = input.settings;
  const byTokens = order === "token" || order === "choice";
  const served = byTokens ? byToken(assignment, input) : byValue(assignment, bins, input);
  for (let i = 0; i < served.length; i++) {
    const slot = served[i]!;
    const expert = experts[slot]!;
    if (expert !== NO_EXPERT) places[slot - from] = queued[bins.binOf[expert]!]!++;
  }
  return places;
}

/**
 * Empties the slots of those assignments of a range that find their bin full.
 * @param assignment with the weights of all that were chosen; weights of dropped slots become 0
 */
export function dropOverflow(assignment: Assignment, bins: Bins, input: DropInput): void {
  const { experts, weights, slots } = assignment;
  queuePlaces(assignment, bins, input).forEach((place, i) => {
    if (place < bins.capacity) return;
    experts[input.first * slots + i] = NO_EXPERT;
    weights[input.first * slots + i] = 0;
  });
}

/**
 * Places in [T, slots], bin after bin, in each the largest value first, equal ones by place; in bins with room for all
 * by place, for sorting is what dropping costs.
 */
function byValue(
  { slots, experts, weights, tokens }: Assignment,
  { binOf, bins, capacity = 0 }: Pick<Bins, "binOf" | "bins"> & Partial<Bins>,
  { settings, scores, random, first, last }: DropInput,
): Int32Array {
  const width = scores.length / tokens;
  const value = new Float64Array((last - first) * slots);
  const ends = new Int32Array(bins + 1); // of each bin and, before the first, of nothing
  for (let i = 0; i < value.length; i++) {
    const slot = first * slots + i;
    const expert = experts[slot]!;
    if (expert === NO_EXPERT) continue;
    ends[binOf[expert]! + 1]!++;
    if (settings.order === "weight") value[i] = weights[slot]!;
    else if (settings.order === "score") value[i] = scores[Math.floor(slot / slots) * width + expert]!;
    else value[i] = random!.uniform();
  }
  for (let bin = 0; bin < bins; bin++) ends[bin + 1] = ends[bin + 1]! + ends[bin]!;
  const order = new Int32Array(ends[bins]!);
  const next = ends.slice();
  for (let i = 0; i < value.length; i++) {
    const expert = experts[first * slots + i]!;
    if (expert !== NO_EXPERT) order[next[binOf[expert]!]!++] = i;
  }
  for (let bin = 0; bin < bins; bin++) {
    if (ends[bin + 1]! - ends[bin]! <= capacity) continue;
    order.subarray(ends[bin], ends[bin + 1]).sort((a, b) => value[b]! - value[a]! || a - b);
  }
  return order.map((i) => first * slots + i);
}

function byToken({ slots, tokens }: Choice, { settings, scores, first, last }: DropInput): Int32Array {
  const count = last - first;
  const width = scores.length / tokens;
  const largestScore = (_: unknown, i: number) => {
    let largest = Number.NEGATIVE_INFINITY;
    for (let at = (first + i) * width; at < (first + i + 1) * width; at++) largest = Math.max(largest, scores[at]!);
    return largest;
  };
  const tokenAt =
    settings.priority === "confidence"
      ? descending(Float64Array.from({ length: count }, largestScore))
      : Int32Array.from({ length: count }, (_, i) => i);
  const byChoice = settings.order === "choice";
  return Int32Array.from({ length: count * slots }, (_, i) => {
    const place = byChoice ? i % count : Math.floor(i / slots);
    const slot = byChoice ? Math.floor(i / count) : i % slots;
    return (first + tokenAt[place]!) * slots + slot;
  });
}

/** Indices of the values, largest first, equal ones by index. */
function descending(values: Float64Array): Int32Array {
  return Int32Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
}

/** Rows that the experts of a batch compute: their load, or their whole capacity where it is padded to. */
export function computedRows(load: ArrayLike<number>, capacity: number, pad: boolean): Float64Array {
  return Float64Array.from(load, (each) => (pad ? Math.max(each, capacity) : each));
}
