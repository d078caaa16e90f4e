/**
 * Gate weights and balancing losses as TensorFlow.js ops, so that autodiff checks the gradients of routing/ and
 * balance/ by an independent way. It does not choose experts: the choice comes from the router and is a constant.
 *
 * A new score function, normalisation or balancing loss needs one line in a table here to run in this engine.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { StepLoad } from "../../balance/balance.ts";
import type { BalancingLoss, BiasRule } from "../../balance/rule.ts";
import { type BalanceSetting, balancingRules } from "../../balance/rules.ts";
import { countLoad, type RoutingRule } from "../../routing/route.ts";
import type { RouterShape } from "../../routing/router.ts";
import { scoreFunctions } from "../../routing/scores.ts";

type Table<Entry> = Readonly<Record<string, Entry>>;

/** Logits [T, N] → scores [T, N]. */
const scoreExpressions: Table<(logits: tf.Tensor) => tf.Tensor> = {
  softmax: (logits) => tf.softmax(logits),
  sigmoid: (logits) => tf.sigmoid(logits),
  sqrtsoftplus: (logits) => tf.sqrt(tf.softplus(logits)),
};

/** Keeps a sum of vanished scores from dividing by zero; the same as in routing/gates.ts. */
const EPSILON = 1e-20;
const dividedBySum = (rows: tf.Tensor): tf.Tensor => tf.div(rows, tf.add(tf.sum(rows, -1, true), EPSILON));

/** Scores of the chosen, zero elsewhere [T, N] → weights [T, N]. */
const normalisationExpressions: Table<(chosenScores: tf.Tensor) => tf.Tensor> = {
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

/** The losses among the balancing rules of a config. */
function balancingLosses(settings: readonly BalanceSetting[]): readonly BalanceSetting[] {
  return settings.filter(({ rule }) => (balancingRules[rule] as BalancingLoss | BiasRule).kind === "loss");
}

/** Throws, naming it, if a setting has no expression here. */
export function assertExpressible(rule: RoutingRule, balance: readonly BalanceSetting[]): void {
  expression(scoreExpressions, "score function", rule.scoreFunction);
  expression(normalisationExpressions, "normalisation", rule.normalisation);
  for (const { rule: name } of balancingLosses(balance)) expression(lossExpressions, "balancing loss", name);
}

/** @param logits [T, N] @returns [T, N] */
export function scoresOf(logits: tf.Tensor, rule: RoutingRule): tf.Tensor {
  return expression(scoreExpressions, "score function", rule.scoreFunction)(logits);
}

/** The gate weights, zero where an expert is not chosen. @param scores [T, N] @param chosen [T, K] @returns [T, N] */
export function weightsOf(
  scores: tf.Tensor,
  chosen: Int32Array,
  { experts, topK }: RouterShape,
  rule: RoutingRule,
): tf.Tensor {
  const mask = new Float32Array((chosen.length / topK) * experts);
  for (let j = 0; j < chosen.length; j++) mask[Math.floor(j / topK) * experts + chosen[j]!] = 1;
  const chosenScores = tf.mul(scores, tf.tensor2d(mask, [mask.length / experts, experts]));
  return tf.mul(expression(normalisationExpressions, "normalisation", rule.normalisation)(chosenScores), rule.scale);
}

/**
 * The balancing losses of one layer and micro-batch, coefficients applied, mean over the virtual ranks.
 * @param scores [T, N] @param chosen [T, K]; each rank holds an equal run of the tokens
 * @param stepLoad counts before this micro-batch on entry; includes it on return
 */
export function balancingLossOf(
  settings: readonly BalanceSetting[],
  scores: tf.Tensor,
  chosen: Int32Array,
  ranks: number,
  { experts, topK }: RouterShape,
  rule: RoutingRule,
  stepLoad: StepLoad,
): tf.Tensor {
  const tokens = chosen.length / topK / ranks;
  countLoad(chosen, 0, tokens * ranks, topK, stepLoad.load);
  stepLoad.tokens += tokens * ranks;
  const probabilities = scoreFunctions[rule.scoreFunction].sumsToOne ? scores : dividedBySum(scores);
  let total: tf.Tensor = tf.scalar(0);
  for (let rank = 0; rank < ranks; rank++) {
    const load = new Float64Array(experts);
    countLoad(chosen, rank * tokens, (rank + 1) * tokens, topK, load);
    const meanProbability = tf.mean(tf.slice(probabilities, [rank * tokens, 0], [tokens, experts]), 0);
    for (const setting of balancingLosses(settings)) {
      const counted = setting["scope"] === "global-batch" ? stepLoad : { load, tokens };
      const loadShare = tf.tensor1d(Float32Array.from(counted.load, (n) => n / (topK * counted.tokens)));
      const loss = expression(lossExpressions, "balancing loss", setting.rule)(loadShare, meanProbability, experts);
      total = tf.add(total, tf.mul(loss, Number(setting["coefficient"]) / ranks));
    }
  }
  return total;
}
