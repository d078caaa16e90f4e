/** The table of metrics that need the choices of each token, not the summed load alone. A new one is one entry here. */
import type { Floats } from "../core/floats.ts";
import type { MetricDescription } from "./metrics.ts";

/** Where the tokens of a batch went. */
export interface Assignment {
  readonly tokens: number;
  readonly topK: number;
  /** [T, K] */
  readonly chosen: Int32Array;
  /** [T, K] */
  readonly weights: Floats;
  /** [N] */
  readonly deviceOf: Int32Array;
}

export interface AssignmentMetric extends MetricDescription {
  /** NaN without tokens. */
  of(assignment: Assignment): number;
}

/** Mean number of distinct devices that a token's experts lie on. @param chosen [T, K] @param deviceOf [N] */
export function fanOut(chosen: Int32Array, tokens: number, topK: number, deviceOf: Int32Array): number {
  const lastToken = new Int32Array(deviceOf.reduce((most, device) => Math.max(most, device), 0) + 1).fill(-1);
  let visits = 0;
  for (let t = 0; t < tokens; t++) {
    for (let j = t * topK; j < (t + 1) * topK; j++) {
      const device = deviceOf[chosen[j]!]!;
      if (lastToken[device] === t) continue;
      lastToken[device] = t;
      visits++;
    }
  }
  return visits / tokens;
}

/** Mean sum of a token's gate weights. @param weights [T, K] */
export function gateMass(weights: Floats, tokens: number): number {
  let sum = 0;
  for (let j = 0; j < weights.length; j++) sum += weights[j]!;
  return sum / tokens;
}

export const assignmentMetrics = {
  "fan-out": {
    title: "fan-out, distinct devices a token is sent to",
    formula: "mean over tokens of |{device of e : e chosen}|",
    unit: "devices per token",
    direction: "lower is better",
    source:
      "the quantity that DeepSeek-V2, arXiv:2405.04434, section 2.2.1, limits; sets the volume of deduplicated dispatch",
    column: "fan_out",
    of: ({ chosen, tokens, topK, deviceOf }) => fanOut(chosen, tokens, topK, deviceOf),
  },
  "gate-mass": {
    title: "gate mass, sum of a token's weights",
    formula: "mean over tokens of Σ_j w_j",
    unit: "1",
    direction: "neither",
    source:
      "1 when weights are normalised over the chosen; K/N for MoGE's global softmax without preference, arXiv:2505.21411, eq. 6",
    column: "gate_mass",
    of: ({ weights, tokens }) => gateMass(weights, tokens),
  },
} satisfies Record<string, AssignmentMetric>;
