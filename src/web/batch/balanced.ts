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
import { newRouting, type Routing, type RoutingSettings, route, routeBackward } from "../../routing/route.ts";
import { logitsOf, type Preferences } from "./preferences.ts";

const TOKENS = 128;
const STEPS_OF_LOSS = 8;
const RATE_OF_LOSS = 0.4;
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
  const logits = logitsOf(preferences, TOKENS, "trained");
  if (!isLoss(setting)) return { ...unbalanced(experts), bias: learnedBias(logits, setting, shape, settings) };
  if (setting.coefficient === 0) return unbalanced(experts);
  const balance = newBalance({ settings: [setting], shape, ranks: 1, sequenceLength: TOKENS }, 1);
  const offset = new Float64Array(experts);
  for (let step = 0; step < STEPS_OF_LOSS; step++) {
    const gradient = offsetGradient(newRouting(shifted(logits, offset), shape, settings), balance);
    for (let i = 0; i < experts; i++) offset[i] = offset[i]! - RATE_OF_LOSS * (experts * gradient[i]! + offset[i]!);
  }
  return { ...unbalanced(experts), offset };
}

/** [T, N] with the same number added to every token's logit of an expert. */
export function shifted(logits: Float64Array, offset: Float64Array): Float64Array {
  const experts = offset.length;
  const sums = new Float64Array(logits.length);
  for (let row = 0; row < logits.length; row += experts) {
    for (let i = 0; i < experts; i++) sums[row + i] = logits[row + i]! + offset[i]!;
  }
  return sums;
}

/** [N] the balancing loss by the offsets. */
function offsetGradient(routing: Routing, balance: Balance): Float64Array {
  route(routing);
  countSequence(balance, routing, 0);
  balanceForward(balance);
  const { experts } = routing.shape;
  const gradients = {
    weights: new Float64Array(routing.assignment.weights.length),
    logits: new Float64Array(routing.logits.length),
  };
  routeBackward(routing, gradients, balanceBackward(balance, routing));
  const sum = new Float64Array(experts);
  for (let row = 0; row < gradients.logits.length; row += experts) {
    for (let i = 0; i < experts; i++) sum[i] = sum[i]! + gradients.logits[row + i]!;
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
  const [seen, microBatches] = [new Float64Array(shape.experts), 1];
  for (let step = 1; step <= STEPS_OF_BIAS; step++) {
    route(routing, { bias });
    const load = new Float64Array(shape.experts);
    countLoad(routing.assignment, load);
    const progress = step / STEPS_OF_BIAS;
    biasRuleOf(setting).update(bias, { load, tokens, progress, seen, microBatches }, setting);
  }
  return bias;
}
