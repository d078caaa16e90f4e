/** The figures of a routed batch that the page shows, by the tables of metrics. */
import { assignmentMetrics } from "../../metrics/assignment-metrics.ts";
import { dropMetrics } from "../../metrics/drop-metrics.ts";
import { loadMetrics } from "../../metrics/metrics.ts";
import { scoreMetrics } from "../../metrics/score-metrics.ts";
import type { Assignment } from "../../routing/assignment.ts";
import type { Routing } from "../../routing/route.ts";

/** What does not depend on where the experts lie. */
export interface RoutingMeasures {
  readonly expertMaxOverMean: number;
  readonly dropRate: number;
  readonly chosenProbability: number;
}

export interface Measures extends RoutingMeasures {
  readonly imbalance: number;
  readonly fanOut: number;
}

/** @param expertLoad [N] */
export function measureRouting(
  { assignment, chosen, scores, shape }: Routing,
  expertLoad: Float64Array,
): RoutingMeasures {
  const context = { tokens: assignment.tokens, topK: shape.topK };
  return {
    expertMaxOverMean: loadMetrics["max-over-mean"].of(expertLoad, context),
    dropRate: dropMetrics["drop-rate"].of({ assignment, chosen }),
    chosenProbability: scoreMetrics["chosen-probability"].of({ scores, choice: { ...assignment, experts: chosen } }),
  };
}

/** @param deviceLoad [D] @param deviceOf [N] */
export function measurePlacement(
  assignment: Assignment,
  topK: number,
  deviceLoad: Float64Array,
  deviceOf: Int32Array,
): Omit<Measures, keyof RoutingMeasures> {
  return {
    imbalance: loadMetrics["imbalance-score"].of(deviceLoad, { tokens: assignment.tokens, topK }),
    fanOut: assignmentMetrics["fan-out"].of(assignment, { deviceOf }),
  };
}
