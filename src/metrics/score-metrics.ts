/**
 * The table of metrics of a router's scores: how sure it is. Scores are made probabilities by their sum over all
 * experts, p_ti = s_ti / Σ_j s_tj; softmax scores are probabilities already. Tokens whose scores have all vanished
 * are left out. A new metric is one entry here.
 */
import { log } from "../core/elementary.ts";
import type { Floats } from "../core/floats.ts";
import { type Choice, NO_EXPERT } from "../routing/assignment.ts";
import type { MetricDescription } from "./metric.ts";

/** What a router computed and what it chose. */
export interface ScoredBatch {
  /** [T, N] */
  readonly scores: Floats;
  /** What was chosen, before any is dropped. */
  readonly choice: Choice;
}

export interface ScoreMetric extends MetricDescription {
  /** NaN where no token has a score. */
  of(batch: ScoredBatch): number;
}

/** Mean over the tokens that have scores. @param ofToken sum: of the scores in [from, to) */
function meanOverTokens(
  { scores, choice: { tokens } }: ScoredBatch,
  ofToken: (from: number, to: number, sum: number, token: number) => number,
): number {
  const experts = scores.length / tokens;
  let total = 0;
  let counted = 0;
  for (let t = 0; t < tokens; t++) {
    let sum = 0;
    for (let i = t * experts; i < (t + 1) * experts; i++) sum += scores[i]!;
    if (!(sum > 0)) continue;
    total += ofToken(t * experts, (t + 1) * experts, sum, t);
    counted++;
  }
  return total / counted;
}

const confidence: ScoreMetric = {
  title: "router confidence, probability of the best expert",
  formula: "mean over tokens of max_i p_ti",
  unit: "1",
  direction: "neither",
  source:
    "the priority of Riquelme et al. 2021, arXiv:2106.05974, section 4.1, averaged; 1/N for a router without preference",
  column: "router_confidence",
  of: (batch) =>
    meanOverTokens(batch, (from, to, sum) => {
      let largest = 0;
      for (let i = from; i < to; i++) largest = Math.max(largest, batch.scores[i]!);
      return largest / sum;
    }),
};

const entropy: ScoreMetric = {
  title: "router entropy",
  formula: "mean over tokens of −Σ_i p_ti ln p_ti; ln N without preference, 0 when sure",
  unit: "nats",
  direction: "neither",
  source: "Shannon 1948; of each token's own distribution, not of the loads",
  column: "router_entropy_nats",
  of: (batch) =>
    meanOverTokens(batch, (from, to, sum) => {
      let nats = 0;
      for (let i = from; i < to; i++) {
        const p = batch.scores[i]! / sum;
        if (p > 0) nats -= p * log(p);
      }
      return nats;
    }),
};

const chosenProbability: ScoreMetric = {
  title: "probability of the chosen, before any normalisation",
  formula: "mean over tokens of Σ_{i chosen} p_ti",
  unit: "1",
  direction: "neither",
  source: "what a rule gives up against top-k, whose choice has the largest sum of all; K/N without preference",
  column: "chosen_probability",
  of: (batch) =>
    meanOverTokens(batch, (from, _to, sum, token) => {
      const { slots, experts } = batch.choice;
      let chosen = 0;
      for (let j = token * slots; j < (token + 1) * slots; j++) {
        if (experts[j] !== NO_EXPERT) chosen += batch.scores[from + experts[j]!]!;
      }
      return chosen / sum;
    }),
};

export const scoreMetrics = {
  "router-confidence": confidence,
  "router-entropy": entropy,
  "chosen-probability": chosenProbability,
} satisfies Record<string, ScoreMetric>;

export type ScoreMetricName = keyof typeof scoreMetrics;
