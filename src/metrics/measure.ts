/** Measures everything that can be measured of a routing with what is known of it. */
import type { Floats } from "../core/floats.ts";
import type { Assignment } from "../routing/assignment.ts";
import { type AssignmentMetric, assignmentMetrics } from "./assignment-metrics.ts";
import { comparisonMetrics } from "./comparison-metrics.ts";
import { domainMetrics } from "./domain-metrics.ts";
import { dropMetrics } from "./drop-metrics.ts";
import { loadSeriesMetrics } from "./load-series-metrics.ts";
import type { MetricDescription } from "./metric.ts";
import { type LoadContext, loadMetrics } from "./metrics.ts";
import { scoreMetrics } from "./score-metrics.ts";

/** A metric's name, what it was measured of, and its value. */
export interface Measured {
  readonly metric: string;
  /** "experts" or "devices" for loads; empty otherwise. */
  readonly of: string;
  readonly value: number;
  readonly description: MetricDescription;
}

type Table<Metric> = Readonly<Record<string, Metric>>;

function all<Metric extends MetricDescription>(table: Table<Metric>, of: string, value: (metric: Metric) => number) {
  return Object.entries(table).map(
    ([name, metric]): Measured => ({ metric: name, of, value: value(metric), description: metric }),
  );
}

/** @param of whose load it is: "experts" or "devices" */
export const measureLoad = (load: ArrayLike<number>, of: string, context: LoadContext): Measured[] =>
  all(loadMetrics, of, (metric) => metric.of(load, context));

/** @param of whose loads they are */
export const measureLoads = (loads: readonly ArrayLike<number>[], of: string): Measured[] =>
  all(loadSeriesMetrics, of, (metric) => metric.of(loads));

/** What may be known of a routing. */
export interface KnownRouting {
  readonly assignment: Assignment;
  /** N */
  readonly experts: number;
  /** [N] absent: devices are unknown, and metrics of them are left out */
  readonly deviceOf?: Int32Array | undefined;
  /** Whether the weights are the router's own. */
  readonly weighted: boolean;
  /** [T, slots] before dropping */
  readonly chosen?: Int32Array | undefined;
  /** [T, N] */
  readonly scores?: Floats | undefined;
  /** [T] */
  readonly domains?: ArrayLike<number> | undefined;
  readonly sequenceStarts?: ArrayLike<number> | undefined;
  /** Another routing of the same tokens. */
  readonly other?: Assignment | undefined;
}

const ofDevices: readonly AssignmentMetric[] = [assignmentMetrics["fan-out"], assignmentMetrics["same-device-pairs"]];

/** Every metric that does not go by loads and whose needs are known. */
export function measureRouting(known: KnownRouting): Measured[] {
  const { assignment, experts, deviceOf, weighted, chosen, scores, domains, sequenceStarts, other } = known;
  const context = { deviceOf: deviceOf ?? new Int32Array(experts), sequenceStarts };
  const before = chosen ?? assignment.experts;
  const ofPaths = Object.entries<AssignmentMetric>(assignmentMetrics).filter(
    ([, metric]) =>
      (deviceOf !== undefined || !ofDevices.includes(metric)) &&
      (weighted || metric !== assignmentMetrics["gate-mass"]),
  );
  const choice = { ...assignment, experts: before };
  return [
    ...all(Object.fromEntries(ofPaths), "", (metric) => metric.of(assignment, context)),
    ...all(dropMetrics, "", (metric) => metric.of({ assignment, chosen: before })),
    ...(scores === undefined ? [] : all(scoreMetrics, "", (metric) => metric.of({ scores, choice }))),
    ...(domains === undefined ? [] : all(domainMetrics, "", (metric) => metric.of({ choice, experts, domains }))),
    ...(other === undefined ? [] : all(comparisonMetrics, "", (metric) => metric.of(assignment, other, experts))),
  ];
}
