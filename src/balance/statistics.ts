/** The table of statistics that balancing losses are made of. A new one is one entry here. */
import type { Floats } from "../core/floats.ts";
import { countLoad, emptyAssignment, NO_EXPERT } from "../routing/assignment.ts";
import { DEFAULT_EPSILON } from "../routing/gates.ts";
import type { Routing } from "../routing/route.ts";
import { selectTopK } from "../routing/router.ts";
import { scoreFunctions } from "../routing/scores.ts";
import { addSoftmaxGradient, cleanSoftmax } from "./clean-softmax.ts";
import { smoothLoad, thresholdLoad } from "./smooth-load.ts";
import type { BalanceShape, Statistic } from "./statistic.ts";

const ofExperts = ({ experts }: BalanceShape): number => experts;

const load: Statistic = {
  title: "assignments of each expert, before any is dropped",
  formula: "c_i = Σ_t 1[i chosen by t]",
  width: ofExperts,
  add: ({ assignment, chosen }, range, sums) => countLoad({ ...assignment, experts: chosen }, sums, range),
};

const topKLoad: Statistic = {
  title: "assignments of each expert if every token took its K best scores, without bias, groups or noise",
  formula: "c_i = Σ_t 1[i among the K best of t]",
  width: ofExperts,
  add({ shape, logits, scores, noise }, { first, last }, sums) {
    const rows = (matrix: Floats) => matrix.subarray(first * shape.experts, last * shape.experts);
    const choice = emptyAssignment(last - first, shape.topK);
    const input = { shape, options: undefined, logits: rows(noise?.clean ?? logits), scores: rows(scores) };
    selectTopK({ ...input, first: 0, last: last - first }, choice);
    countLoad(choice, sums);
  },
};

const firstChoiceLoad: Statistic = {
  title: "tokens whose first choice each expert is",
  formula: "c_i = Σ_t 1[i best of t]",
  width: ofExperts,
  add({ assignment: { slots }, chosen }, { first, last }, sums) {
    for (let t = first; t < last; t++) {
      const expert = chosen[t * slots]!;
      if (expert !== NO_EXPERT) sums[expert] = sums[expert]! + 1;
    }
  },
};

/** Tokens that go to each of equal blocks of neighbouring experts, each counted once. */
const visits = (what: string, blocksOf: (shape: BalanceShape) => number): Statistic => ({
  title: `tokens with at least one expert of each ${what}`,
  formula: `v_b = Σ_t 1[some expert of ${what} b chosen by t]`,
  width: blocksOf,
  add({ assignment: { slots }, chosen, shape }, { first, last }, sums, balanceShape) {
    const blocks = blocksOf(balanceShape);
    const lastToken = new Int32Array(blocks).fill(-1);
    for (let t = first; t < last; t++) {
      for (let j = t * slots; j < (t + 1) * slots; j++) {
        if (chosen[j] === NO_EXPERT) continue;
        const block = Math.floor((chosen[j]! * blocks) / shape.experts);
        if (lastToken[block] === t) continue;
        lastToken[block] = t;
        sums[block] = sums[block]! + 1;
      }
    }
  },
});

const probability: Statistic = {
  title: "probability of each expert: scores, divided by their sum over all experts",
  formula: "P_i = Σ_t s_i / (Σ_j s_j + 1e-20); softmax scores as they are",
  width: ofExperts,
  add(routing, { first, last }, sums) {
    const { scores, shape } = routing;
    for (let t = first; t < last; t++) {
      const total = scoreSum(routing, t);
      for (let i = 0; i < shape.experts; i++) sums[i] = sums[i]! + scores[t * shape.experts + i]! / total;
    }
  },
  addGradient(routing, token, bySums, { scores: gradient }) {
    const { scores, shape, settings } = routing;
    const at = token * shape.experts;
    const total = scoreSum(routing, token);
    let mean = 0; // of the gradient, weighted by the probabilities: what dividing by the sum takes back
    if (!scoreFunctions[settings.scoreFunction].sumsToOne) {
      for (let i = 0; i < shape.experts; i++) mean += (bySums[i]! * scores[at + i]!) / total;
    }
    for (let i = 0; i < shape.experts; i++) gradient[i] = gradient[i]! + (bySums[i]! - mean) / total;
  },
};

const score: Statistic = {
  title: "score of each expert, as it is",
  formula: "S_i = Σ_t s_i",
  width: ofExperts,
  add({ scores, shape }, { first, last }, sums) {
    for (let t = first; t < last; t++) {
      for (let i = 0; i < shape.experts; i++) sums[i] = sums[i]! + scores[t * shape.experts + i]!;
    }
  },
  addGradient({ shape }, _token, bySums, { scores }) {
    for (let i = 0; i < shape.experts; i++) scores[i] = scores[i]! + bySums[i]!;
  },
};

const importance: Statistic = {
  title: "importance, the gate weights of each expert",
  formula: "I_i = Σ_t w_i",
  width: ofExperts,
  add({ assignment: { slots, experts, weights } }, { first, last }, sums) {
    for (let j = first * slots; j < last * slots; j++) {
      const expert = experts[j]!;
      if (expert !== NO_EXPERT) sums[expert] = sums[expert]! + weights[j]!;
    }
  },
  addGradient({ assignment: { slots, experts } }, token, bySums, { weights }) {
    for (let j = 0; j < slots; j++) {
      const expert = experts[token * slots + j]!;
      if (expert !== NO_EXPERT) weights[j] = weights[j]! + bySums[expert]!;
    }
  },
};

const cleanProbability: Statistic = {
  title: "softmax of the logits before any noise",
  formula: "P_i = Σ_t e^{x_i} / Σ_j e^{x_j}",
  width: ofExperts,
  add(routing, { first, last }, sums) {
    for (let t = first; t < last; t++) {
      const { values } = cleanSoftmax(routing, t);
      for (let i = 0; i < values.length; i++) sums[i] = sums[i]! + values[i]!;
    }
  },
  addGradient(routing, token, bySums, { clean }) {
    const { values } = cleanSoftmax(routing, token);
    addSoftmaxGradient(values, bySums, clean);
  },
};

const logSumExpSquared: Statistic = {
  title: "square of the log of the sum of exponentials of the logits, before any noise",
  formula: "Z = Σ_t (ln Σ_j e^{x_j})²",
  width: () => 1,
  add(routing, { first, last }, sums) {
    for (let t = first; t < last; t++) {
      const { logSum } = cleanSoftmax(routing, t);
      sums[0] = sums[0]! + logSum * logSum;
    }
  },
  addGradient(routing, token, bySums, { clean }) {
    const { values, logSum } = cleanSoftmax(routing, token);
    for (let i = 0; i < values.length; i++) clean[i] = clean[i]! + 2 * bySums[0]! * logSum * values[i]!;
  },
};

export const statistics = {
  load,
  "top-k-load": topKLoad,
  "first-choice-load": firstChoiceLoad,
  "device-visits": visits("device", ({ devices }) => devices),
  "group-visits": visits("group", ({ groups }) => groups),
  probability,
  score,
  importance,
  "clean-probability": cleanProbability,
  "log-sum-exp-squared": logSumExpSquared,
  "smooth-load": smoothLoad,
  "threshold-load": thresholdLoad,
} satisfies Record<string, Statistic>;

export type StatisticName = keyof typeof statistics;

export const statisticNamed = (name: StatisticName): Statistic => statistics[name];

/** What a token's scores are divided by to be probabilities. */
function scoreSum({ scores, shape, settings }: Routing, token: number): number {
  if (scoreFunctions[settings.scoreFunction].sumsToOne) return 1;
  let total = DEFAULT_EPSILON;
  for (let i = token * shape.experts; i < (token + 1) * shape.experts; i++) total += scores[i]!;
  return total;
}
