/**
 * Gate weights and balancing losses as TensorFlow.js ops, so that autodiff checks the gradients of routing/ and
 * balance/ by an independent way. It does not choose experts: the choice comes from the router and is a constant.
 *
 * A new score function, normalisation or balancing loss needs one line in a table here to run in this engine.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Balance } from "../../balance/balance.ts";
import { type BalanceSetting, isLoss } from "../../balance/rules.ts";
import { type Assignment, countLoad, NO_EXPERT } from "../../routing/assignment.ts";
import { DEFAULT_EPSILON, epsilonOf } from "../../routing/gates.ts";
import type { RoutingSettings } from "../../routing/route.ts";
import { scoreFunctions } from "../../routing/scores.ts";

type Table<Entry> = Readonly<Record<string, Entry>>;

/** Logits [T, N] → scores [T, N]. */
const scoreExpressions: Table<(logits: tf.Tensor) => tf.Tensor> = {
  softmax: (logits) => tf.softmax(logits),
  sigmoid: (logits) => tf.sigmoid(logits),
  sqrtsoftplus: (logits) => tf.sqrt(tf.softplus(logits)),
};

const dividedBySum = (rows: tf.Tensor, epsilon: number = DEFAULT_EPSILON): tf.Tensor =>
  tf.div(rows, tf.add(tf.sum(rows, -1, true), epsilon));

/** Scores of the chosen, zero elsewhere [T, N] → weights [T, N]. */
const normalisationExpressions: Table<(chosenScores: tf.Tensor, epsilon: number) => tf.Tensor> = {
  none: (chosenScores) => chosenScores,
  chosen: dividedBySum,
};

/** Share of the assignments [N] (a constant) and mean probability [N] → loss without its coefficient. */
const lossExpressions: Table<(loadShare: tf.Tensor, meanProbability: tf.Tensor, experts: number) => tf.Tensor> = {
  "switch-loss": (loadShare, meanProbability, experts) => tf.mul(tf.sum(tf.mul(loadShare, meanProbability)), experts),
};

function expression<Entry>(table: Table<Entry>, what: string, name: string): Entry {
  const entry = Object.hasOwn(table, name) ? table[name] : undefined;
  if (entry !== undefined) return entry;
  throw new Error(
    `engine.kind tfjs: the ${what} ${name} has no TensorFlow.js expression; add it to engine/tfjs/routing.ts or use engine.kind wasm`,
  );
}

/** Throws, naming it, if a setting has no expression here. */
export function assertExpressible(settings: RoutingSettings, balance: readonly BalanceSetting[]): void {
  expression(scoreExpressions, "score function", settings.scoreFunction);
  expression(normalisationExpressions, "normalisation", settings.normalisation);
  for (const { rule } of balance.filter(isLoss)) expression(lossExpressions, "balancing loss", rule);
}

/** @param logits [T, N] @returns [T, N] */
export function scoresOf(logits: tf.Tensor, { scoreFunction }: RoutingSettings): tf.Tensor {
  return expression(scoreExpressions, "score function", scoreFunction)(logits);
}

/** The gate weights, zero where an expert is not chosen. @param scores [T, N] @returns [T, N] */
export function weightsOf(scores: tf.Tensor, assignment: Assignment, settings: RoutingSettings): tf.Tensor {
  const { normalisation, scale, expertScale } = settings;
  const experts = scores.shape[1]!;
  const mask = new Float32Array(scores.size);
  assignment.experts.forEach((expert, j) => {
    if (expert !== NO_EXPERT) mask[Math.floor(j / assignment.slots) * experts + expert] = 1;
  });
  const chosenScores = tf.mul(scores, tf.tensor2d(mask, [assignment.tokens, experts]));
  const normalised = expression(
    normalisationExpressions,
    "normalisation",
    normalisation,
  )(chosenScores, epsilonOf(settings));
  const weights = tf.mul(normalised, scale);
  return expertScale === undefined ? weights : tf.mul(weights, tf.tensor1d(Float32Array.from(expertScale)));
}

/** What the losses need of a layer's balancing. */
export type BalanceInput = Pick<Balance, "settings" | "shape" | "ranks" | "stepLoad">;

/**
 * The balancing losses of one layer and micro-batch, coefficients applied, mean over the virtual ranks.
 * Each rank holds an equal run of the tokens. The step's load is counts before this micro-batch on entry and
 * includes it on return.
 * @param scores [T, N]
 */
export function balancingLossOf(
  { settings, shape, ranks, stepLoad }: BalanceInput,
  scores: tf.Tensor,
  assignment: Assignment,
  { scoreFunction }: RoutingSettings,
): tf.Tensor {
  const { experts, topK } = shape;
  const tokens = assignment.tokens / ranks;
  countLoad(assignment, stepLoad.load);
  stepLoad.tokens += assignment.tokens;
  const probabilities = scoreFunctions[scoreFunction].sumsToOne ? scores : dividedBySum(scores);
  let total: tf.Tensor = tf.scalar(0);
  for (let rank = 0; rank < ranks; rank++) {
    const load = new Float64Array(experts);
    countLoad(assignment, load, { first: rank * tokens, last: (rank + 1) * tokens });
    const meanProbability = tf.mean(tf.slice(probabilities, [rank * tokens, 0], [tokens, experts]), 0);
    for (const { rule, scope, coefficient } of settings.filter(isLoss)) {
      const counted = scope === "global-batch" ? stepLoad : { load, tokens };
      const loadShare = tf.tensor1d(Float32Array.from(counted.load, (n) => n / (topK * counted.tokens)));
      const loss = expression(lossExpressions, "balancing loss", rule)(loadShare, meanProbability, experts);
      total = tf.add(total, tf.mul(loss, coefficient / ranks));
    }
  }
  return total;
}
