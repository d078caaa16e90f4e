/** The figures of a routed batch that the page shows, by the tables of metrics. */
import { assignmentMetrics } from "../../metrics/assignment-metrics.ts";
import { dropMetrics } from "../../metrics/drop-metrics.ts";
import { loadMetrics } from "../../metrics/metrics.ts";
import { scoreMetrics } from "../../metrics/score-metrics.ts";
import type { Routing } from "../../routing/route.ts";

export interface Measures {
  readonly imbalance: number;
  readonly expertMaxOverMean: number;
  readonly fanOut: number;
  readonly dropRate: number;
  readonly chosenProbability: number;
}

/** @param expertLoad [N] @param deviceLoad [D] @param deviceOf [N] */
export function measure(
  { assignment, chosen, scores, shape }: Routing,
  expertLoad: Float64Array,
  deviceLoad: Float64Array,
  deviceOf: Int32Array,
): Measures {
  const context = { tokens: assignment.tokens, topK: shape.topK };
  return {
    imbalance: loadMetrics["imbalance-score"].of(deviceLoad, context),
    expertMaxOverMean: loadMetrics["max-over-mean"].of(expertLoad, context),
    fanOut: assignmentMetrics["fan-out"].of(assignment, { deviceOf }),
    dropRate: dropMetrics["drop-rate"].of({ assignment, chosen }),
    chosenProbability: scoreMetrics["chosen-probability"].of({ scores, choice: { ...assignment, experts: chosen } }),
  };
}
