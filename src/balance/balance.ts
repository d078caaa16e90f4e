/**
 * Balancing one MoE layer: what the losses of a config say of a micro-batch, and what changes after a step.
 * `countSequence` for each sequence, then `balanceForward`, then `balanceBackward` on the way back through the
 * router; `finishStep` when all micro-batches are done.
 *
 * Sums are kept per sequence and added in the order of the sequences, so that the result does not depend on
 * how many threads made them.
 */
import type { Floats } from "../core/floats.ts";
import type { AddTokenGradient, Routing } from "../routing/route.ts";
import type { BalanceScope, LayerStepLoad, LossContext, Sums } from "./rule.ts";
import { type BalanceSetting, biasRuleOf, isBias, isLoss, type LossSetting, lossOf } from "./rules.ts";
import type { BalanceShape } from "./statistic.ts";
import { type StatisticName, statisticNamed } from "./statistics.ts";

/** The balancing of one layer at work; an engine lends its own memory. */
export interface Balance {
  readonly settings: readonly BalanceSetting[];
  readonly shape: BalanceShape;
  /** Virtual data-parallel ranks; each holds an equal run of the sequences. */
  readonly ranks: number;
  /** Tokens of a sequence. */
  readonly sequenceLength: number;
  /** [sequences, width] each, of the statistics needed */
  readonly sums: Sums;
  /** [sequences, width] each: derivatives of all losses by the sums, of those that are no counts */
  readonly gradients: Sums<Float64Array>;
  /** The step so far. */
  readonly step: StepSums;
  /** [settings] what a loss carries from step to step */
  readonly state: Float64Array;
}

/** What the micro-batches of a step add up to. */
export interface StepSums {
  /** [width] each, of the statistics that are counts */
  readonly sums: Sums<Float64Array>;
  tokens: number;
  /** [settings] of each bias rule what it saw, [N] */
  readonly seen: readonly Float64Array[];
}

/** What the losses are made of, and the load, which bias rules go by. */
export function neededStatistics(settings: readonly BalanceSetting[]): StatisticName[] {
  const ofLosses = settings.filter(isLoss).flatMap((setting) => lossOf(setting).statistics(setting));
  return [...new Set<StatisticName>(["load", ...ofLosses])];
}

const isCount = (name: StatisticName): boolean => statisticNamed(name).addGradient === undefined;

/** One array for each of the statistics. @param length of the array for a statistic of that width */
export function sumsOf<Values extends Floats>(
  names: readonly StatisticName[],
  shape: BalanceShape,
  array: (width: number) => Values,
): Sums<Values> {
  return Object.fromEntries(names.map((name) => [name, array(statisticNamed(name).width(shape))])) as Sums<Values>;
}

export type BalanceConfig = Pick<Balance, "settings" | "shape" | "ranks" | "sequenceLength">;

/**
 * At the beginning of a step.
 * @param sums memory for the sums, of its own without it
 * @param state what the losses carry, as `initialState` gives it or a checkpoint held it
 */
export function newBalance(
  config: BalanceConfig,
  sequences: number,
  sums?: Sums,
  state: Float64Array = initialState(config.settings),
): Balance {
  const { shape, settings } = config;
  const names = neededStatistics(settings);
  const rows = (width: number) => new Float64Array(sequences * width);
  return {
    ...config,
    sums: sums ?? sumsOf(names, shape, rows),
    gradients: sumsOf(
      names.filter((name) => !isCount(name)),
      shape,
      rows,
    ),
    step: {
      sums: sumsOf(names.filter(isCount), shape, (width) => new Float64Array(width)),
      tokens: 0,
      seen: settings.map(() => new Float64Array(shape.experts)),
    },
    state,
  };
}

/** What the losses start with. [settings] */
export function initialState(settings: readonly BalanceSetting[]): Float64Array {
  return Float64Array.from(settings, (setting) =>
    isLoss(setting) ? (lossOf(setting).state?.initial(setting) ?? 0) : 0,
  );
}

export function startStep({ step }: Balance): void {
  for (const sums of Object.values(step.sums)) sums.fill(0);
  for (const seen of step.seen) seen.fill(0);
  step.tokens = 0;
}

/** Writes the sums of one sequence of a routed micro-batch. */
export function countSequence({ shape, sequenceLength, sums }: Balance, routing: Routing, sequence: number): void {
  const range = { first: sequence * sequenceLength, last: (sequence + 1) * sequenceLength };
  for (const [name, matrix] of entries(sums)) {
    const statistic = statisticNamed(name);
    statistic.add(routing, range, rowOf(matrix, sequence, statistic.width(shape)).fill(0), shape);
  }
}

/** Lets the bias rules look at a routed micro-batch. @param bias [N] */
export function observe({ settings, step }: Balance, routing: Routing, bias: Floats): void {
  settings.forEach((setting, i) => {
    if (isBias(setting)) biasRuleOf(setting).observe?.(routing, bias, step.seen[i]!);
  });
}

/** Whether `observe` does anything. */
export const isObserved = ({ settings }: Pick<Balance, "settings">): boolean =>
  settings.some((setting) => isBias(setting) && biasRuleOf(setting).observe !== undefined);

/**
 * The balancing losses of one micro-batch, their coefficients applied.
 * Every sequence must be counted. Writes the gradients and adds to the sums of the step.
 * @param share of the micro-batch in the step, for the gradients alone
 */
export function balanceForward(balance: Balance, share = 1): number {
  const { settings, shape, sums, gradients, step, sequenceLength } = balance;
  for (const [name, total] of entries(step.sums)) {
    const width = statisticNamed(name).width(shape);
    for (let i = 0; i < sums[name].length; i++) total[i % width] = total[i % width]! + sums[name][i]!;
  }
  step.tokens += (sums.load.length / shape.experts) * sequenceLength;
  for (const gradient of Object.values(gradients)) gradient.fill(0);
  let total = 0;
  settings.forEach((setting, i) => {
    if (isLoss(setting)) total += evaluateLoss(balance, setting, balance.state[i]!, share);
  });
  return total;
}

/** Sequences that a loss balances together. */
function unitLength(scope: BalanceScope, sequences: number, ranks: number): number {
  if (scope === "sequence") return 1;
  return scope === "micro-batch" ? sequences / ranks : sequences;
}

/** The mean over all that is balanced together; adds to the gradients. */
function evaluateLoss(balance: Balance, setting: LossSetting, state: number, gradientShare: number): number {
  const { shape, ranks, sums, gradients, step, sequenceLength } = balance;
  const loss = lossOf(setting);
  const names = loss.statistics(setting);
  const sequences = sums.load.length / shape.experts;
  const length = unitLength(setting.scope, sequences, ranks);
  const share = (setting.coefficient * length) / sequences;
  const tokens = length * sequenceLength;
  const ofStep = setting.scope === "global-batch";
  let total = 0;
  for (let first = 0; first < sequences; first += length) {
    const ofUnit = Object.fromEntries(
      names.map((name) => {
        const width = statisticNamed(name).width(shape);
        return [name, ofStep && isCount(name) ? step.sums[name] : sumOfRows(sums[name], first, length, width)];
      }),
    ) as Sums;
    const byUnit = sumsOf(names, shape, (width) => new Float64Array(width));
    const countedTokens = ofStep ? step.tokens : tokens;
    const context: LossContext = { shape, sums: ofUnit, tokens, countedTokens, state };
    total += share * loss.evaluate(context, byUnit, setting);
    for (const name of names) {
      if (!isCount(name)) addToRows(gradients[name], first, length, byUnit[name], share * gradientShare);
    }
  }
  return total;
}

/** The losses' part of the gradient of a token, for `routeBackward`. */
export function balanceBackward(balance: Balance, routing: Routing): AddTokenGradient {
  const { gradients, sequenceLength, shape } = balance;
  const parts = entries(gradients).map(([name, matrix]) => {
    const statistic = statisticNamed(name);
    const width = statistic.width(shape);
    const rows = Array.from({ length: matrix.length / width }, (_, sequence) => rowOf(matrix, sequence, width));
    return { statistic, rows };
  });
  return (token, gradient) => {
    const sequence = Math.floor(token / sequenceLength);
    for (const { statistic, rows } of parts) statistic.addGradient?.(routing, token, rows[sequence]!, gradient);
  };
}

/** A layer when its step is done. */
export interface FinishedLayer {
  readonly balance: Balance;
  /** [N] moved */
  readonly bias: Floats;
}

/** Moves the selection biases and what losses carry. @param layers all MoE layers @param progress done of the training, (0, 1] */
export function finishStep(layers: readonly FinishedLayer[], progress: number, microBatches: number): void {
  const loads: LayerStepLoad[] = layers.map(({ balance: { step } }) => ({ load: step.sums.load, tokens: step.tokens }));
  layers.forEach(({ balance, bias }, layer) => {
    const { settings, step, state, shape } = balance;
    settings.forEach((setting, i) => {
      if (isBias(setting)) {
        const seen = step.seen[i]!;
        biasRuleOf(setting).update(bias, { ...loads[layer]!, progress, seen, microBatches }, setting);
      } else if (isLoss(setting)) {
        state[i] = lossOf(setting).state?.next(state[i]!, loads, shape, setting) ?? 0;
      }
    });
  });
}

const entries = <Values extends Floats>(sums: Sums<Values>) => Object.entries(sums) as [StatisticName, Values][];

const rowOf = <Values extends Floats>(matrix: Values, row: number, width: number): Values =>
  matrix.subarray(row * width, (row + 1) * width) as Values;

function sumOfRows(matrix: Floats, first: number, rows: number, width: number): Float64Array {
  const sum = new Float64Array(width);
  for (let r = first; r < first + rows; r++) {
    for (let i = 0; i < width; i++) sum[i] = sum[i]! + matrix[r * width + i]!;
  }
  return sum;
}

function addToRows(matrix: Float64Array, first: number, rows: number, values: Float64Array, factor: number): void {
  const width = values.length;
  for (let i = first * width; i < (first + rows) * width; i++) matrix[i] = matrix[i]! + factor * values[i % width]!;
}
