/** What one layer did with a batch, by all metrics of single tokens: the tables of this room put together. */
import type { Floats } from "../core/floats.ts";
import type { Assignment, Choice } from "../routing/assignment.ts";
import { type AssignmentContext, type AssignmentMetricName, assignmentMetrics } from "./assignment-metrics.ts";
import { type DomainMetricName, domainMetrics } from "./domain-metrics.ts";
import { type DropMetricName, dropMetrics } from "./drop-metrics.ts";
import { type ScoreMetricName, scoreMetrics } from "./score-metrics.ts";

export const routingMetrics = { ...assignmentMetrics, ...dropMetrics, ...scoreMetrics, ...domainMetrics };

export type RoutingMetricName = keyof typeof routingMetrics;

/** Absent where what they need is absent. */
export type RoutingMeasures = Readonly<Partial<Record<RoutingMetricName, number>>>;

export interface RoutedBatch extends AssignmentContext {
  readonly assignment: Assignment;
  /** [T, slots] the experts before any was dropped */
  readonly chosen: Int32Array;
}

/** The metrics that are cheap enough for every step. */
export function measureBatch(batch: RoutedBatch): Record<AssignmentMetricName | DropMetricName, number> {
  return {
    ...measureAll(assignmentMetrics, (metric) => metric.of(batch.assignment, batch)),
    ...measureAll(dropMetrics, (metric) => metric.of(batch)),
  };
}

export interface InspectedBatch extends RoutedBatch {
  /** [its tokens, N] scores of the last tokens of the batch */
  readonly scores: Floats;
  /** [T] the domain of each token */
  readonly domains: ArrayLike<number>;
}

/** The metrics that look at all scores and domains. */
export function inspectBatch(batch: InspectedBatch): Record<ScoreMetricName | DomainMetricName, number> {
  const { assignment, chosen, scores, domains, deviceOf } = batch;
  const experts = deviceOf.length;
  const choice: Choice = { ...assignment, experts: chosen };
  const scored = { scores, choice: lastTokens(choice, scores.length / experts) };
  return {
    ...measureAll(scoreMetrics, (metric) => metric.of(scored)),
    ...measureAll(domainMetrics, (metric) => metric.of({ choice, experts, domains })),
  };
}

const lastTokens = ({ slots, experts }: Choice, tokens: number): Choice => ({
  tokens,
  slots,
  experts: experts.subarray(experts.length - tokens * slots),
});

function measureAll<Name extends string, Metric>(
  table: Readonly<Record<Name, Metric>>,
  value: (metric: Metric) => number,
): Record<Name, number> {
  const values = (Object.entries(table) as [Name, Metric][]).map(([name, metric]) => [name, value(metric)]);
  return Object.fromEntries(values) as Record<Name, number>;
}
