/**
 * The table of load metrics: the load of experts, or of devices, → one number. A new one is one entry here.
 *
 * The same metric serves experts and devices; whoever shows it says of which. Metrics relative to the mean load are
 * NaN where there is no load at all, for nothing is compared. Several loads, such as those of a run of batches, make
 * the metrics of load-series-metrics.ts; what needs a token's own choices is in assignment-metrics.ts.
 */
import { exp, log } from "../core/elementary.ts";
import { mean, sum } from "../core/statistics.ts";
import type { MetricDescription } from "./metric.ts";

/** The batch that a load comes from. */
export interface LoadContext {
  readonly tokens: number;
  readonly topK: number;
}

export interface LoadMetric extends MetricDescription {
  /** It reads one rank of the ordered loads alone, so that it may rise while the loads become more equal. */
  readonly ofOneRank?: true;
  /** @param load [n] assignments of each expert or device, n ≥ 1 */
  of(load: ArrayLike<number>, context: LoadContext): number;
}

const imbalanceScore: LoadMetric = {
  title: "imbalance score",
  formula: "(max_i load_i − min_i load_i) / T",
  unit: "assignments per token",
  direction: "lower is better",
  source: "Pangu Pro MoE, arXiv:2505.21411, eq. 3, where i runs over devices",
  column: "imbalance_score",
  of: (load, { tokens }) => (largest(load) - smallest(load)) / tokens,
};

const maxOverMean: LoadMetric = {
  title: "hottest over mean",
  formula: "max_i load_i / mean load",
  unit: "1",
  direction: "lower is better",
  source: "OLMo-core, MoERouter.compute_metrics, 'load imbalance'; 1 is perfect balance",
  column: "max_over_mean",
  of: (load) => largest(load) / mean(load),
};

const maxViolation: LoadMetric = {
  title: "MaxVio, how far the hottest is above the mean",
  formula: "(max_i load_i − mean load) / mean load",
  unit: "1",
  direction: "lower is better",
  source:
    "Wang et al. 2024, arXiv:2408.15664, its MaxVio_batch; the paper's MaxVio_global is among the series metrics. TensorRT-LLM calls the same over ranks the imbalance ratio",
  column: "max_violation",
  of: (load) => (largest(load) - mean(load)) / mean(load),
};

const meanOverMax: LoadMetric = {
  title: "balancedness, mean over hottest",
  formula: "mean load / max_i load_i",
  unit: "1",
  direction: "higher is better",
  source:
    "SGLang and vLLM over the GPUs of one layer, where 1 is perfect balance; they pool layers differently, see the series metrics. It is 1 / (max/mean)",
  column: "mean_over_max",
  of: (load) => mean(load) / largest(load),
};

const coefficientOfVariation: LoadMetric = {
  title: "coefficient of variation",
  formula: "σ / mean load, σ² = (1/n) Σ_i (load_i − mean load)²",
  unit: "1",
  direction: "lower is better",
  source: "Shazeer et al. 2017, arXiv:1701.06538, section 4, with the population's σ",
  column: "coefficient_of_variation",
  of: (load) => Math.sqrt(squaredDeviations(load) / load.length) / mean(load),
};

const squaredVariation: LoadMetric = {
  title: "CV², squared coefficient of variation",
  formula: "(1/n) Σ_i (load_i − mean load)² / mean load²",
  unit: "1",
  direction: "lower is better",
  source: "Shazeer et al. 2017, arXiv:1701.06538, section 4, with the population's σ²",
  column: "squared_variation",
  of: (load) => squaredDeviations(load) / load.length / (mean(load) * mean(load)),
};

const squaredVariationUnbiased: LoadMetric = {
  title: "CV², unbiased",
  formula: "(1/(n−1)) Σ_i (load_i − mean load)² / (mean load² + 1e-10); 0 for n = 1",
  unit: "1",
  direction: "lower is better",
  source: "FastMoE, NoisyGate.cv_squared, after Shazeer et al. 2017, arXiv:1701.06538; 0 without load",
  column: "squared_variation_unbiased",
  of: (load) =>
    load.length === 1 ? 0 : squaredDeviations(load) / (load.length - 1) / (mean(load) * mean(load) + 1e-10),
};

const gini: LoadMetric = {
  title: "Gini coefficient",
  formula: "Σ_i Σ_j |load_i − load_j| / (2 n² · mean load); 0 equal, 1 − 1/n all on one",
  unit: "1",
  direction: "lower is better",
  source: "Gini 1912, Variabilità e mutabilità",
  column: "gini",
  of(load) {
    const ascending = Float64Array.from(load).sort();
    const n = ascending.length;
    let weighted = 0; // the double sum over pairs, once the loads are in order
    for (let i = 0; i < n; i++) weighted += (2 * i + 1 - n) * ascending[i]!;
    return weighted / (n * n * mean(load));
  },
};

const normalisedEntropy: LoadMetric = {
  title: "normalised entropy",
  formula: "−Σ_i q_i ln q_i / ln n, q_i = load_i / Σ load; 1 equal, 0 all on one; 1 for n = 1",
  unit: "1",
  direction: "higher is better",
  source: "Shannon 1948; divided by its largest value",
  column: "normalised_entropy",
  of(load) {
    const inNats = entropy(load);
    return load.length === 1 && !Number.isNaN(inNats) ? 1 : inNats / log(load.length);
  },
};

const effectiveNumber: LoadMetric = {
  title: "effective number, how many equally loaded ones would have the same entropy",
  formula: "exp(H), H = −Σ_i q_i ln q_i, q_i = load_i / Σ load; n equal, 1 all on one",
  unit: "experts or devices",
  direction: "higher is better",
  source: "Hill 1973, Ecology 54(2), the number of order 1; the perplexity of the loads",
  column: "effective_number",
  of: (load) => exp(entropy(load)),
};

const deadFraction: LoadMetric = {
  title: "dead fraction",
  formula: "share of i with load_i = 0",
  unit: "1",
  direction: "lower is better",
  source: "own definition, over one batch; 1 without load",
  column: "dead_fraction",
  of(load) {
    let dead = 0;
    for (let i = 0; i < load.length; i++) if (load[i] === 0) dead++;
    return dead / load.length;
  },
};

/** A percentile of the loads, in units of the mean load. */
const percentile = (percent: number, direction: LoadMetric["direction"]): LoadMetric => ({
  title: `p${percent}, ${percent}th percentile over mean`,
  formula: `p${percent}(load) / mean load, between ranks in proportion: rank ${percent / 100} · (n − 1) from 0`,
  unit: "1",
  direction,
  source: "definition 7 of Hyndman and Fan 1996, The American Statistician 50(4): numpy's default",
  column: `percentile_${percent}_over_mean`,
  ofOneRank: true,
  of: (load) => quantile(load, percent / 100) / mean(load),
});

export const loadMetrics = {
  "imbalance-score": imbalanceScore,
  "max-over-mean": maxOverMean,
  "max-violation": maxViolation,
  "mean-over-max": meanOverMax,
  "coefficient-of-variation": coefficientOfVariation,
  "squared-variation": squaredVariation,
  "squared-variation-unbiased": squaredVariationUnbiased,
  gini,
  "normalised-entropy": normalisedEntropy,
  "effective-number": effectiveNumber,
  "dead-fraction": deadFraction,
  "percentile-50": percentile(50, "neither"),
  "percentile-95": percentile(95, "lower is better"),
  "percentile-99": percentile(99, "lower is better"),
} satisfies Record<string, LoadMetric>;

export type LoadMetricName = keyof typeof loadMetrics;

function largest(load: ArrayLike<number>): number {
  let value = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < load.length; i++) value = Math.max(value, load[i]!);
  return value;
}

function smallest(load: ArrayLike<number>): number {
  let value = Number.POSITIVE_INFINITY;
  for (let i = 0; i < load.length; i++) value = Math.min(value, load[i]!);
  return value;
}

/** In nats; NaN without load. */
function entropy(load: ArrayLike<number>): number {
  const total = sum(load);
  if (total === 0) return Number.NaN;
  let nats = 0;
  for (let i = 0; i < load.length; i++) {
    const share = load[i]! / total;
    if (share > 0) nats -= share * log(share);
  }
  return nats;
}

function quantile(load: ArrayLike<number>, share: number): number {
  const ascending = Float64Array.from(load).sort();
  const rank = share * (ascending.length - 1);
  const below = Math.floor(rank);
  const above = Math.min(below + 1, ascending.length - 1);
  return ascending[below]! + (rank - below) * (ascending[above]! - ascending[below]!);
}

function squaredDeviations(load: ArrayLike<number>): number {
  const middle = mean(load);
  let squares = 0;
  for (let i = 0; i < load.length; i++) squares += (load[i]! - middle) * (load[i]! - middle);
  return squares;
}
