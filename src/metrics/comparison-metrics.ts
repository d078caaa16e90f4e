/**
 * The table of metrics that hold one routing of some tokens against another of the same tokens: a checkpoint against
 * the final one, or one variant against another. A new one is one entry here.
 */
import { type Assignment, type Choice, countLoad, NO_EXPERT } from "../routing/assignment.ts";
import type { MetricDescription } from "./metric.ts";

export interface ComparisonMetric extends MetricDescription {
  /**
   * @param other a routing of the same tokens and experts; its slots may differ
   * @param experts N
   * NaN where there is nothing to compare.
   */
  of(assignment: Assignment, other: Assignment, experts: number): number;
}

/** For each token, how many experts it has in one, in the other, and in both. */
function forEachToken(
  one: Choice,
  other: Choice,
  experts: number,
  visit: (inOne: number, inOther: number, inBoth: number) => void,
): void {
  const lastToken = new Int32Array(experts).fill(-1);
  for (let t = 0; t < one.tokens; t++) {
    let [inOne, inOther, inBoth] = [0, 0, 0];
    for (let j = t * one.slots; j < (t + 1) * one.slots; j++) {
      if (one.experts[j] === NO_EXPERT) continue;
      lastToken[one.experts[j]!] = t;
      inOne++;
    }
    for (let j = t * other.slots; j < (t + 1) * other.slots; j++) {
      if (other.experts[j] === NO_EXPERT) continue;
      if (lastToken[other.experts[j]!] === t) inBoth++;
      inOther++;
    }
    visit(inOne, inOther, inBoth);
  }
}

const saturation = {
  title: "router saturation, share of the other's experts that are chosen already",
  formula: "mean over tokens of |E_t ∩ E'_t| / |E'_t|, E' the final checkpoint; K/N by chance",
  unit: "1",
  direction: "neither",
  source: "OLMoE, arXiv:2409.02060, section 5.1",
  column: "router_saturation",
  of(choice: Choice, other: Choice, experts: number) {
    let [total, tokens] = [0, 0];
    forEachToken(choice, other, experts, (_inOne, inOther, inBoth) => {
      if (inOther === 0) return;
      total += inBoth / inOther;
      tokens++;
    });
    return total / tokens;
  },
} satisfies ComparisonMetric;

const overlap: ComparisonMetric = {
  title: "overlap of the two choices",
  formula: "mean over tokens of |E_t ∩ E'_t| / |E_t ∪ E'_t|",
  unit: "1",
  direction: "neither",
  source: "Jaccard 1901; unlike saturation it is the same both ways",
  column: "routing_overlap",
  of(assignment, other, experts) {
    let [total, tokens] = [0, 0];
    forEachToken(assignment, other, experts, (inOne, inOther, inBoth) => {
      const inEither = inOne + inOther - inBoth;
      if (inEither === 0) return;
      total += inBoth / inEither;
      tokens++;
    });
    return total / tokens;
  },
};

/** The expert with the largest weight, of equal ones that in the lower slot. */
function heaviest({ slots, experts, weights }: Assignment, token: number): number {
  let best = NO_EXPERT;
  let largest = Number.NEGATIVE_INFINITY;
  for (let j = token * slots; j < (token + 1) * slots; j++) {
    if (experts[j] === NO_EXPERT || !(weights[j]! > largest)) continue;
    [best, largest] = [experts[j]!, weights[j]!];
  }
  return best;
}

const firstChoiceAgreement: ComparisonMetric = {
  title: "agreement of the first choices",
  formula: "share of tokens whose expert of the largest weight is the same, of those that have one in both",
  unit: "1",
  direction: "neither",
  source: "own definition: overlap of top-1, as OLMoE, arXiv:2409.02060, section 5.1, also shows",
  column: "first_choice_agreement",
  of(assignment, other) {
    let [same, tokens] = [0, 0];
    for (let t = 0; t < assignment.tokens; t++) {
      const [one, two] = [heaviest(assignment, t), heaviest(other, t)];
      if (one === NO_EXPERT || two === NO_EXPERT) continue;
      if (one === two) same++;
      tokens++;
    }
    return same / tokens;
  },
};

const loadDistance: ComparisonMetric = {
  title: "distance of the load distributions",
  formula: "½ Σ_i |q_i − q'_i|, q_i = share of the assignments; 0 equal, 1 on different experts",
  unit: "1",
  direction: "neither",
  source: "total variation distance",
  column: "load_distance",
  of(assignment, other, experts) {
    const shares = [assignment, other].map((each) => {
      const load = new Float64Array(experts);
      countLoad(each, load);
      const total = load.reduce((sum, count) => sum + count, 0);
      return load.map((count) => count / total);
    });
    return shares[0]!.reduce((sum, share, i) => sum + Math.abs(share - shares[1]![i]!) / 2, 0);
  },
};

export const comparisonMetrics = {
  "router-saturation": saturation,
  "routing-overlap": overlap,
  "first-choice-agreement": firstChoiceAgreement,
  "load-distance": loadDistance,
} satisfies Record<string, ComparisonMetric>;
