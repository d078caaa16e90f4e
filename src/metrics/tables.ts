/** All tables of metrics, with what each is measured on. A new table is one entry here. */
import { assignmentMetrics } from "./assignment-metrics.ts";
import { comparisonMetrics } from "./comparison-metrics.ts";
import { domainMetrics } from "./domain-metrics.ts";
import { dropMetrics } from "./drop-metrics.ts";
import { loadSeriesMetrics } from "./load-series-metrics.ts";
import type { MetricDescription } from "./metric.ts";
import { loadMetrics } from "./metrics.ts";
import { scoreMetrics } from "./score-metrics.ts";

export interface MetricTable {
  readonly title: string;
  /** What its metrics need. */
  readonly needs: string;
  readonly metrics: Readonly<Record<string, MetricDescription>>;
}

export const metricTables = [
  { title: "balance of a load", needs: "assignments of each expert, or of each device", metrics: loadMetrics },
  {
    title: "balance of several loads",
    needs: "loads of the same experts or devices in several batches, or in several layers",
    metrics: loadSeriesMetrics,
  },
  {
    title: "paths of the tokens",
    needs: "the experts and weights of each token, and the device of each expert",
    metrics: assignmentMetrics,
  },
  { title: "dropping", needs: "the experts of each token before and after dropping", metrics: dropMetrics },
  { title: "certainty of the router", needs: "the scores of each token, and its experts", metrics: scoreMetrics },
  {
    title: "domain specialisation",
    needs: "the experts of each token, and the domain it comes from",
    metrics: domainMetrics,
  },
  {
    title: "one routing against another",
    needs: "two routings of the same tokens to the same experts",
    metrics: comparisonMetrics,
  },
] as const satisfies readonly MetricTable[];
