/**
 * A router balanced for a moment, so that the reader sees at once what a balancing rule does: one number an expert is
 * learned on tokens of the same kind as those that are shown.
 *
 * With a loss: offsets b of the logits that make α · loss + Σ b²/2N small, by gradient descent with the routing core's
 * own gradients. The second term stands for the language model's loss, which wants the preferences as they are. With a
 * bias rule: the rule's own updates.
 */
import { type Balance, balanceBackward, balanceForward, countSequence, newBalance } from "../../balance/balance.ts";
import { type BalanceSetting, type BiasSetting, biasRuleOf, isLoss } from "../../balance/rules.ts";
import type { BalanceShape } from "../../balance/statistic.ts";
import { countLoad } from "../../routing/assignment.ts";
import { newRouting, type Routing, type RoutingSettings } from "../../routing/route.ts";
import { scoreFunctions } from "../../routing/scores.ts";
import { choose, score } from "./pass.ts";
import { logitsOf, type Preferences } from "./preferences.ts";

/** Few enough for a frame. */
const TOKENS_OF_LOSS = 96;
const STEPS_OF_LOSS = 6;
const RATE_OF_LOSS = 0.4;
const TOKENS_OF_BIAS = 128;
const STEPS_OF_BIAS = 32;

export interface Balanced {
  /** [N] added to the logits */
  readonly offset: Float64Array;
  /** [N] added to the scores for the choice alone */
  readonly bias: Float64Array;
}

export const unbalanced = (experts: number): Balanced => ({
  offset: new Float64Array(experts),
  bias: new Float64Array(experts),
});

/** @param setting one rule; a coefficient of 0 leaves everything as it is */
export function balanced(
  preferences: Preferences,
  setting: BalanceSetting,
  shape: BalanceShape,
  { capacity: _, ...settings }: RoutingSettings,
): Balanced {
  const { experts } = preferences;
  if (!isLoss(setting)) {
    const logits = logitsOf(preferences, TOKENS_OF_BIAS, "trained");
    return { ...unbalanced(experts), bias: learnedBias(logits, setting, shape, settings) };
  }
  if (setting.coefficient === 0) return unbalanced(experts);
  const logits = logitsOf(preferences, TOKENS_OF_LOSS, "trained");
  const balance = newBalance({ settings: [setting], shape, ranks: 1, sequenceLength: TOKENS_OF_LOSS }, 1);
  const offset = new Float64Array(experts);
  const sums = new Float64Array(logits.length);
  const routing = newRouting(sums, shape, settings);
  for (let step = 0; step < STEPS_OF_LOSS; step++) {
    shift(logits, offset, sums);
    const gradient = offsetGradient(routing, balance);
    for (let i = 0; i < experts; i++) offset[i] = offset[i]! - RATE_OF_LOSS * (experts * gradient[i]! + offset[i]!);
  }
  return { ...unbalanced(experts), offset };
}

/** Adds the same number to every token's logit of an expert. @param sums [T, N] written */
export function shift(logits: Float64Array, offset: Float64Array, sums: Float64Array): void {
  const experts = offset.length;
  for (let row = 0; row < logits.length; row += experts) {
    for (let i = 0; i < experts; i++) sums[row + i] = logits[row + i]! + offset[i]!;
  }
}

/** [N] the balancing loss by the offsets; nothing comes through the gate weights. */
function offsetGradient(routing: Routing, balance: Balance): Float64Array {
  const { shape, settings, logits, scores } = routing;
  const none = new Float64Array(0);
  score(routing);
  choose(routing, none);
  countSequence(balance, routing, 0);
  balanceForward(balance);
  const addGradient = balanceBackward(balance, routing);
  const { backward } = scoreFunctions[settings.scoreFunction];
  const numbers = () => new Float64Array(shape.experts);
  const [ofScores, sum] = [numbers(), numbers()];
  const gradient = { weights: none, scores: ofScores, logits: none, clean: none, deviation: none };
  for (let t = 0; t < routing.assignment.tokens; t++) {
    ofScores.fill(0);
    addGradient(t, gradient);
    backward(logits, scores, t * shape.experts, ofScores);
    for (let i = 0; i < shape.experts; i++) sum[i] = sum[i]! + ofScores[i]!;
  }
  return sum;
}

/** [N] the selection bias after some updates of a rule on one batch. @param logits [T, N] */
export function learnedBias(
  logits: Float64Array,
  setting: BiasSetting,
  shape: BalanceShape,
  settings: RoutingSettings,
): Float64Array {
  const tokens = logits.length / shape.experts;
  const bias = new Float64Array(shape.experts);
  const routing = newRouting(logits, shape, settings);
  score(routing);
  const [seen, microBatches] = [new Float64Array(shape.experts), 1];
  for (let step = 1; step <= STEPS_OF_BIAS; step++) {
    choose(routing, bias);
    const load = new Float64Array(shape.experts);
    countLoad(routing.assignment, load);
    const progress = step / STEPS_OF_BIAS;
    biasRuleOf(setting).update(bias, { load, tokens, progress, seen, microBatches }, setting);
  }
  return bias;
}
