/** The table of metrics that need the choices of each token, not the summed load alone. A new one is one entry here. */
import { type Assignment, NO_EXPERT } from "../routing/assignment.ts";
import { pairCounts, strongestCompanion } from "./co-activation.ts";
import type { MetricDescription } from "./metric.ts";

/** Where the experts of an assignment lie, and which of its tokens follow one another. */
export interface AssignmentContext {
  /** [N] device of each expert */
  readonly deviceOf: Int32Array;
  /** Ascending, the first token of each sequence; absent: all tokens are one. */
  readonly sequenceStarts?: ArrayLike<number> | undefined;
}

export interface AssignmentMetric extends MetricDescription {
  /** NaN without tokens. */
  of(assignment: Assignment, context: AssignmentContext): number;
}

const fanOut: AssignmentMetric = {
  title: "fan-out with de-duplication, distinct devices that a token's experts lie on",
  formula: "mean over tokens of |{device of e : e chosen}|",
  unit: "devices per token",
  direction: "lower is better",
  source:
    "the quantity that DeepSeek-V2, arXiv:2405.04434, section 2.2.2, limits; sets the volume of deduplicated dispatch",
  column: "fan_out_devices_per_token",
  of({ tokens, slots, experts }, { deviceOf }) {
    const lastToken = new Int32Array(devicesOf(deviceOf)).fill(-1);
    let visits = 0;
    for (let t = 0; t < tokens; t++) {
      for (let j = t * slots; j < (t + 1) * slots; j++) {
        if (experts[j] === NO_EXPERT) continue;
        const device = deviceOf[experts[j]!]!;
        if (lastToken[device] === t) continue;
        lastToken[device] = t;
        visits++;
      }
    }
    return visits / tokens;
  },
};

const copies: AssignmentMetric = {
  title: "fan-out without de-duplication, copies of a token that are sent",
  formula: "mean over tokens of |{e : e chosen}|, one copy for each expert; K when nothing drops",
  unit: "copies per token",
  direction: "lower is better",
  source: "what a plain all-to-all moves, as in Megatron-LM's all-to-all dispatcher; DeepEP sends one copy a device",
  column: "copies_per_token",
  of({ tokens, experts }) {
    let sent = 0;
    for (let j = 0; j < experts.length; j++) if (experts[j] !== NO_EXPERT) sent++;
    return sent / tokens;
  },
};

const gateMass: AssignmentMetric = {
  title: "gate mass, sum of a token's weights",
  formula: "mean over tokens of Σ_j w_j",
  unit: "1",
  direction: "neither",
  source:
    "1 when weights are normalised over the chosen; K/N for MoGE's global softmax without preference, arXiv:2505.21411, eq. 6",
  column: "gate_mass",
  of({ tokens, experts, weights }) {
    let mass = 0;
    for (let j = 0; j < experts.length; j++) if (experts[j] !== NO_EXPERT) mass += weights[j]!;
    return mass / tokens;
  },
};

const coActivation: AssignmentMetric = {
  title: "co-activation, how firmly experts come in pairs",
  formula:
    "mean over experts i that are used of max_{j≠i} C_ij, C_ij = tokens with i and j / tokens with i; at least (K−1)/(N−1) if all have K",
  unit: "1",
  direction: "neither",
  source: "matrix C of OLMoE, arXiv:2409.02060, section 5.2; its row maxima, averaged, are ours",
  column: "co_activation",
  of: (assignment, { deviceOf: { length: experts } }) => strongestCompanion(pairCounts(assignment, experts), experts),
};

const sameDevicePairs: AssignmentMetric = {
  title: "pairs of a token's experts that lie on one device",
  formula: "Σ_t pairs of its experts on one device / Σ_t pairs of its experts; NaN where no token has two",
  unit: "1",
  direction: "neither",
  source: "Pangu Pro MoE, arXiv:2505.21411, figure 8: 0 within a group when K' is 1; (N/D − 1)/(N − 1) by chance",
  column: "same_device_pairs",
  of({ tokens, slots, experts }, { deviceOf }) {
    const lastToken = new Int32Array(devicesOf(deviceOf)).fill(-1);
    const met = new Int32Array(lastToken.length);
    let together = 0;
    let pairs = 0;
    for (let t = 0; t < tokens; t++) {
      let taken = 0;
      for (let j = t * slots; j < (t + 1) * slots; j++) {
        if (experts[j] === NO_EXPERT) continue;
        const device = deviceOf[experts[j]!]!;
        if (lastToken[device] !== t) met[device] = 0;
        lastToken[device] = t;
        together += met[device]!;
        pairs += taken++;
        met[device] = met[device]! + 1;
      }
    }
    return together / pairs;
  },
};

const temporalLocality: AssignmentMetric = {
  title: "temporal locality, experts kept from one token to the next",
  formula: "Σ_t |E_t ∩ E_{t−1}| / Σ_t |E_t|, t from the second token of each sequence; K/N by chance",
  unit: "1",
  direction: "neither",
  source: "Mixtral of Experts, arXiv:2401.04088, section 5 and table 5, over all K choices",
  column: "temporal_locality",
  of({ tokens, slots, experts }, { deviceOf, sequenceStarts = [] }) {
    const lastToken = new Int32Array(deviceOf.length).fill(-2);
    let kept = 0;
    let chosen = 0;
    let sequence = 0; // of the next beginning
    for (let t = 0; t < tokens; t++) {
      while (sequenceStarts[sequence]! < t) sequence++;
      const follows = t > 0 && sequenceStarts[sequence] !== t;
      for (let j = t * slots; j < (t + 1) * slots; j++) {
        const expert = experts[j]!;
        if (expert === NO_EXPERT) continue;
        if (follows) {
          chosen++;
          if (lastToken[expert] === t - 1) kept++;
        }
        lastToken[expert] = t;
      }
    }
    return kept / chosen;
  },
};

export const assignmentMetrics = {
  "fan-out": fanOut,
  copies,
  "gate-mass": gateMass,
  "co-activation": coActivation,
  "same-device-pairs": sameDevicePairs,
  "temporal-locality": temporalLocality,
} satisfies Record<string, AssignmentMetric>;

export type AssignmentMetricName = keyof typeof assignmentMetrics;

const devicesOf = (deviceOf: Int32Array): number => deviceOf.reduce((most, device) => Math.max(most, device), 0) + 1;
