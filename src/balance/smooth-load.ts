/**
 * The load of an expert as a smooth function of the logits: how likely each token would go to it if the noise on its
 * own logit were drawn again. Only defined for routers that add noise.
 */
import { normalDensity, normalDistribution } from "../core/elementary.ts";
import { deviationAt } from "../routing/noise.ts";
import type { Routing } from "../routing/route.ts";
import { addSoftmaxGradient, cleanSoftmax } from "./clean-softmax.ts";
import type { Statistic } from "./statistic.ts";

/** The experts of a token by their noisy logits, largest first, equal ones by lower id. */
function rankedExperts({ logits, shape }: Routing, token: number): number[] {
  const at = token * shape.experts;
  return Array.from({ length: shape.experts }, (_, i) => i).sort((a, b) => logits[at + b]! - logits[at + a]! || a - b);
}

/** What a noisy logit must exceed: the (K+1)-th of all for an expert that is chosen, the K-th for another. */
interface Threshold {
  readonly expert: number;
  /** How far the logit is above it, in standard deviations. */
  readonly z: number;
  readonly deviation: number;
}

function thresholds(routing: Routing, token: number): Threshold[] {
  const { shape, logits, noise } = routing;
  if (noise === undefined) throw new RangeError("smooth load: the router adds no noise");
  const at = token * shape.experts;
  const ranked = rankedExperts(routing, token);
  const [last, next] = [ranked[shape.topK - 1]!, ranked[shape.topK]!];
  return Array.from({ length: shape.experts }, (_, i) => {
    const isIn = logits[at + i]! > logits[at + next]!;
    const expert = isIn ? next : last;
    const deviation = deviationAt(noise, at + i);
    return { expert, deviation, z: (noise.clean[at + i]! - logits[at + expert]!) / deviation };
  });
}

/** P(x, i) of Shazeer et al. 2017, arXiv:1701.06538, eq. 8-9, as FastMoE's NoisyGate computes it. */
export const smoothLoad: Statistic = {
  title: "probability that each expert is among the K best when its own noise is drawn again",
  formula: "L_i = Σ_t Φ((x_i − threshold_i) / σ_i), threshold: the K-th noisy logit of the others",
  width: ({ experts }) => experts,
  add(routing, { first, last }, sums) {
    const { experts, topK } = routing.shape;
    for (let t = first; t < last; t++) {
      const above = topK < experts ? thresholds(routing, t) : undefined; // all are chosen, whatever the noise
      for (let i = 0; i < experts; i++) sums[i] = sums[i]! + (above ? normalDistribution(above[i]!.z) : 1);
    }
  },
  addGradient(routing, token, bySums, { clean, logits, deviation: byDeviation }) {
    const { experts, topK } = routing.shape;
    if (topK >= experts) return;
    thresholds(routing, token).forEach(({ expert, z, deviation }, i) => {
      const byLogit = (bySums[i]! * normalDensity(z)) / deviation;
      clean[i] = clean[i]! + byLogit;
      logits[expert] = logits[expert]! - byLogit;
      byDeviation[i] = byDeviation[i]! - byLogit * z;
    });
  },
};

/**
 * Tutel's load: it compares probabilities before the noise with the K-th noisy logit, as its source does
 * (losses.load_importance_loss). There the deviation is that of its gate noise, the same for all.
 */
export const thresholdLoad: Statistic = {
  title: "probability of each expert's softmax score, with its noise, to exceed the K-th noisy logit",
  formula: "L_i = Σ_t Φ((p_i − h_(K)) / σ_i)",
  width: ({ experts }) => experts,
  add(routing, { first, last }, sums) {
    for (let t = first; t < last; t++) {
      aboveThreshold(routing, t).z.forEach((z, i) => {
        sums[i] = sums[i]! + normalDistribution(z);
      });
    }
  },
  addGradient(routing, token, bySums, { clean, logits, deviation: byDeviation }) {
    const { values, z, deviations, last } = aboveThreshold(routing, token);
    const byValues = z.map((each, i) => (bySums[i]! * normalDensity(each)) / deviations[i]!);
    addSoftmaxGradient(values, byValues, clean);
    byValues.forEach((each, i) => {
      logits[last] = logits[last]! - each;
      byDeviation[i] = byDeviation[i]! - each * z[i]!;
    });
  },
};

/** How far each softmax score is above the K-th noisy logit, in standard deviations. */
function aboveThreshold(routing: Routing, token: number) {
  const { noise, logits, shape } = routing;
  if (noise === undefined) throw new RangeError("threshold load: the router adds no noise");
  const at = token * shape.experts;
  const last = rankedExperts(routing, token)[shape.topK - 1]!;
  const { values } = cleanSoftmax(routing, token);
  const deviations = values.map((_, i) => deviationAt(noise, at + i));
  return { values, deviations, last, z: values.map((p, i) => (p - logits[at + last]!) / deviations[i]!) };
}
