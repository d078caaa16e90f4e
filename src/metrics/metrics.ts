/**
 * The table of load metrics: the load of experts, or of devices, → one number. A new one is one entry here.
 *
 * The same metric serves experts and devices; whoever shows it says of which. Metrics relative to the mean load are
 * NaN where there is no load at all, for nothing is compared. What needs a token's own choices is in
 * assignment-metrics.ts.
 */
import { log } from "../core/elementary.ts";
import { mean } from "../core/statistics.ts";

export interface MetricDescription {
  readonly title: string;
  readonly formula: string;
  /** "1" for a plain ratio. */
  readonly unit: string;
  readonly direction: "lower is better" | "higher is better" | "neither";
  readonly source: string;
  /** Name of its column in CSV files. */
  readonly column: string;
}

/** The batch that a load comes from. */
export interface LoadContext {
  readonly tokens: number;
  readonly topK: number;
}

export interface LoadMetric extends MetricDescription {
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
  source: "Wang et al. 2024, arXiv:2408.15664; over one batch here, the paper's 'global' is over a validation set",
  column: "max_violation",
  of: (load) => (largest(load) - mean(load)) / mean(load),
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
    const total = mean(load) * load.length;
    if (total === 0) return Number.NaN;
    if (load.length === 1) return 1;
    let entropy = 0;
    for (let i = 0; i < load.length; i++) {
      const share = load[i]! / total;
      if (share > 0) entropy -= share * log(share);
    }
    return entropy / log(load.length);
  },
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

export const loadMetrics = {
  "imbalance-score": imbalanceScore,
  "max-over-mean": maxOverMean,
  "max-violation": maxViolation,
  "coefficient-of-variation": coefficientOfVariation,
  "squared-variation-unbiased": squaredVariationUnbiased,
  gini,
  "normalised-entropy": normalisedEntropy,
  "dead-fraction": deadFraction,
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

function squaredDeviations(load: ArrayLike<number>): number {
  const middle = mean(load);
  let sum = 0;
  for (let i = 0; i < load.length; i++) sum += (load[i]! - middle) * (load[i]! - middle);
  return sum;
}
