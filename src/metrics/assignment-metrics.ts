/** The table of metrics that need the choices of each token, not the summed load alone. A new one is one entry here. */
import { type Assignment, NO_EXPERT } from "../routing/assignment.ts";
import type { MetricDescription } from "./metrics.ts";

/** Where the experts of an assignment lie. */
export interface AssignmentContext {
  /** [N] device of each expert */
  readonly deviceOf: Int32Array;
}

export interface AssignmentMetric extends MetricDescription {
  /** NaN without tokens. */
  of(assignment: Assignment, context: AssignmentContext): number;
}

const fanOut: AssignmentMetric = {
  title: "fan-out, distinct devices that a token's experts lie on",
  formula: "mean over tokens of |{device of e : e chosen}|",
  unit: "devices per token",
  direction: "lower is better",
  source:
    "the quantity that DeepSeek-V2, arXiv:2405.04434, section 2.2.1, limits; sets the volume of deduplicated dispatch",
  column: "fan_out_devices_per_token",
  of({ tokens, slots, experts }, { deviceOf }) {
    const lastToken = new Int32Array(deviceOf.reduce((most, device) => Math.max(most, device), 0) + 1).fill(-1);
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

export const assignmentMetrics = {
  "fan-out": fanOut,
  "gate-mass": gateMass,
} satisfies Record<string, AssignmentMetric>;

export type AssignmentMetricName = keyof typeof assignmentMetrics;

/** All of the table. */
export function measureAssignment(
  assignment: Assignment,
  context: AssignmentContext,
): Record<AssignmentMetricName, number> {
  const values = Object.entries(assignmentMetrics).map(([name, metric]) => [name, metric.of(assignment, context)]);
  return Object.fromEntries(values) as Record<AssignmentMetricName, number>;
}
