/**
 * The table of metrics of several loads over the same experts or devices: those of successive batches, or those of the
 * layers of a model. How they are pooled is where published numbers of one name differ. A new one is one entry here.
 */
import { mean, sum } from "../core/statistics.ts";
import type { MetricDescription } from "./metric.ts";
import { loadMetrics } from "./metrics.ts";

export interface LoadSeriesMetric extends MetricDescription {
  /** @param loads [steps or layers][n] assignments, n the same in all; loads without any assignment are left out. NaN of none */
  of(loads: readonly ArrayLike<number>[]): number;
}

/** None of the metrics here counts by tokens. */
const anyBatch = { tokens: 1, topK: 1 };
const largest = (load: ArrayLike<number>): number => loadMetrics["max-over-mean"].of(load, anyBatch) * mean(load);
const maxViolation = (load: ArrayLike<number>): number => loadMetrics["max-violation"].of(load, anyBatch);

const ofLoaded =
  (of: (loads: readonly ArrayLike<number>[]) => number) =>
  (loads: readonly ArrayLike<number>[]): number => {
    const loaded = loads.filter((load) => sum(load) > 0);
    return loaded.length === 0 ? Number.NaN : of(loaded);
  };

/** [n] the sum of the loads. */
export function accumulated(loads: readonly ArrayLike<number>[]): Float64Array {
  const total = new Float64Array(loads[0]?.length ?? 0);
  for (const load of loads) for (let i = 0; i < total.length; i++) total[i] = total[i]! + load[i]!;
  return total;
}

const globalViolation: LoadSeriesMetric = {
  title: "MaxVio, global: of the accumulated load",
  formula: "(max_i L_i − mean L) / mean L, L_i = Σ_s load_si",
  unit: "1",
  direction: "lower is better",
  source: "Wang et al. 2024, arXiv:2408.15664, MaxVio_global, where s runs over the batches of a validation set",
  column: "max_violation_global",
  of: ofLoaded((loads) => maxViolation(accumulated(loads))),
};

const batchViolation: LoadSeriesMetric = {
  title: "MaxVio, per batch: mean over the loads",
  formula: "mean_s (max_i load_si − mean load_s) / mean load_s",
  unit: "1",
  direction: "lower is better",
  source:
    "Wang et al. 2024, arXiv:2408.15664, MaxVio_batch; TensorRT-LLM's imbalance ratio, averaged over iterations. Never below the global one for batches of equal size",
  column: "max_violation_batch_mean",
  of: ofLoaded((loads) => mean(loads.map(maxViolation))),
};

const worstViolation: LoadSeriesMetric = {
  title: "MaxVio, per batch: the largest of the loads",
  formula: "max_s (max_i load_si − mean load_s) / mean load_s",
  unit: "1",
  direction: "lower is better",
  source: "Wang et al. 2024, arXiv:2408.15664, MaxVio_batch of the worst batch",
  column: "max_violation_batch_max",
  of: ofLoaded((loads) => loads.map(maxViolation).reduce((most, each) => Math.max(most, each))),
};

const meanOfRatios: LoadSeriesMetric = {
  title: "balancedness as SGLang pools it: mean of the ratios",
  formula: "mean_s (mean load_s / max_i load_si)",
  unit: "1",
  direction: "higher is better",
  source: "SGLang, expert_distribution.py, 'Expert Balancedness': s runs over layers, i over GPUs",
  column: "balancedness_mean_of_ratios",
  of: ofLoaded((loads) => mean(loads.map((load) => loadMetrics["mean-over-max"].of(load, anyBatch)))),
};

const ratioOfSums: LoadSeriesMetric = {
  title: "balancedness as vLLM pools it: ratio of the sums",
  formula: "Σ_s mean load_s / Σ_s max_i load_si",
  unit: "1",
  direction: "higher is better",
  source: "vLLM, EPLB step log, 'balancedness': s runs over layers, i over ranks; busy layers weigh more",
  column: "balancedness_ratio_of_sums",
  of: ofLoaded((loads) => sum(loads.map(mean)) / sum(loads.map(largest))),
};

export const loadSeriesMetrics = {
  "max-violation-global": globalViolation,
  "max-violation-batch-mean": batchViolation,
  "max-violation-batch-max": worstViolation,
  "balancedness-mean-of-ratios": meanOfRatios,
  "balancedness-ratio-of-sums": ratioOfSums,
} satisfies Record<string, LoadSeriesMetric>;
