/**
 * Balancing one MoE layer: what the losses of a config say of a micro-batch, and what the bias rules do after a step.
 * `countSequence` for each sequence, then `balanceForward`, then `balanceBackward` on the way back through the router.
 *
 * Sums are kept per sequence and added in the order of the sequences, so that the result does not depend on
 * how many threads made them.
 */
import type { Floats } from "../core/floats.ts";
import { countLoad } from "../routing/assignment.ts";
import { DEFAULT_EPSILON } from "../routing/gates.ts";
import type { AddScoreGradient, Routing } from "../routing/route.ts";
import type { RouterShape } from "../routing/router.ts";
import { scoreFunctions } from "../routing/scores.ts";
import type { BalancingLoss, BiasRule } from "./rule.ts";
import { type BalanceSetting, balancingRules, isBias, isLoss } from "./rules.ts";

/** The load of the step so far, for losses that balance the global batch. */
export interface StepLoad {
  /** [N] */
  readonly load: Float64Array;
  tokens: number;
}

/** The balancing losses of one layer at work; an engine lends its own memory. */
export interface Balance {
  readonly settings: readonly BalanceSetting[];
  readonly shape: RouterShape;
  /** Virtual data-parallel ranks; each holds an equal run of the sequences. */
  readonly ranks: number;
  /** Tokens of a sequence. */
  readonly sequenceLength: number;
  /** [sequences, N] assignments per expert */
  readonly sequenceLoad: Floats;
  /** [sequences, N] summed probabilities */
  readonly sequenceProbability: Floats;
  /** Before a micro-batch and, after `balanceForward`, with it. */
  readonly stepLoad: StepLoad;
  /** [ranks, N] the derivative of the mean loss over ranks by the probability of a rank's token */
  readonly probabilityGradient: Float64Array;
}

export function newStepLoad(experts: number): StepLoad {
  return { load: new Float64Array(experts), tokens: 0 };
}

/** With memory of its own, at the beginning of a step. */
export function newBalance(
  config: Pick<Balance, "settings" | "shape" | "ranks" | "sequenceLength">,
  sequences: number,
  stepLoad = newStepLoad(config.shape.experts),
): Balance {
  const { ranks, shape } = config;
  return {
    ...config,
    sequenceLoad: new Float64Array(sequences * shape.experts),
    sequenceProbability: new Float64Array(sequences * shape.experts),
    stepLoad,
    probabilityGradient: new Float64Array(ranks * shape.experts),
  };
}

/** Writes the load and the summed probabilities of one sequence of a routed micro-batch. */
export function countSequence(balance: Balance, { settings, scores, assignment }: Routing, sequence: number): void {
  const { shape, sequenceLength, sequenceLoad, sequenceProbability } = balance;
  const { experts } = shape;
  const { sumsToOne } = scoreFunctions[settings.scoreFunction];
  const [from, to] = [sequence * experts, (sequence + 1) * experts];
  const range = { first: sequence * sequenceLength, last: (sequence + 1) * sequenceLength };
  countLoad(assignment, sequenceLoad.fill(0, from, to).subarray(from, to), range);
  const probability = sequenceProbability.fill(0, from, to);
  for (let t = range.first; t < range.last; t++) {
    const total = sumsToOne ? 1 : scoreSum(scores, t * experts, experts);
    for (let i = 0; i < experts; i++) {
      probability[from + i] = probability[from + i]! + scores[t * experts + i]! / total;
    }
  }
}

/**
 * The balancing losses of one micro-batch, their coefficients applied, mean over the ranks.
 * Every sequence must be counted. Writes the probability gradient and adds to the step's load.
 */
export function balanceForward(balance: Balance): number {
  const { settings, shape, ranks, sequenceLength, sequenceLoad, sequenceProbability, stepLoad } = balance;
  const { experts } = shape;
  const perRank = sequenceLoad.length / experts / ranks;
  const tokens = perRank * sequenceLength;
  for (let i = 0; i < sequenceLoad.length; i++) {
    stepLoad.load[i % experts] = stepLoad.load[i % experts]! + sequenceLoad[i]!;
  }
  stepLoad.tokens += tokens * ranks;
  const gradient = balance.probabilityGradient.fill(0);
  const losses = settings.filter(isLoss);
  const ofLoss = new Float64Array(experts);
  let total = 0;
  for (let rank = 0; rank < ranks; rank++) {
    const load = sumRows(sequenceLoad, rank * perRank, perRank, experts);
    const probabilitySum = sumRows(sequenceProbability, rank * perRank, perRank, experts);
    for (const setting of losses) {
      const loss: BalancingLoss = balancingRules[setting.rule];
      const counted =
        setting.scope === "global-batch"
          ? { load: stepLoad.load, loadTokens: stepLoad.tokens }
          : { load, loadTokens: tokens };
      const share = setting.coefficient / ranks;
      total += share * loss.evaluate({ shape, ...counted, probabilitySum, tokens }, ofLoss, setting);
      for (let i = 0; i < experts; i++) {
        gradient[rank * experts + i] = gradient[rank * experts + i]! + share * ofLoss[i]!;
      }
    }
  }
  return total;
}

/** The losses' part of the gradient by the scores, for `routeBackward`. */
export function balanceBackward(balance: Balance, { settings, scores, assignment }: Routing): AddScoreGradient {
  const { sumsToOne } = scoreFunctions[settings.scoreFunction];
  const { shape, ranks, probabilityGradient } = balance;
  const { experts } = shape;
  const tokensPerRank = assignment.tokens / ranks;
  return (token, scoreGradient) => {
    const row = Math.floor(token / tokensPerRank) * experts;
    const at = token * experts;
    const total = sumsToOne ? 1 : scoreSum(scores, at, experts);
    let mean = 0; // of the gradient, weighted by the probabilities: what dividing by the sum takes back
    if (!sumsToOne) {
      for (let i = 0; i < experts; i++) mean += (probabilityGradient[row + i]! * scores[at + i]!) / total;
    }
    for (let i = 0; i < experts; i++) {
      scoreGradient[i] = scoreGradient[i]! + (probabilityGradient[row + i]! - mean) / total;
    }
  };
}

/** Moves the selection bias after a step. @param bias [N] @param load [N] assignments of the step */
export function updateBias(settings: readonly BalanceSetting[], bias: Floats, load: ArrayLike<number>): void {
  for (const setting of settings.filter(isBias)) {
    const rule: BiasRule = balancingRules[setting.rule];
    rule.update(bias, load, setting);
  }
}

/** What a token's scores are divided by to be probabilities. */
function scoreSum(scores: Floats, at: number, experts: number): number {
  let total = DEFAULT_EPSILON;
  for (let i = at; i < at + experts; i++) total += scores[i]!;
  return total;
}

function sumRows(matrix: Floats, first: number, rows: number, columns: number): Float64Array {
  const sum = new Float64Array(columns);
  for (let r = first; r < first + rows; r++) {
    for (let i = 0; i < columns; i++) sum[i] = sum[i]! + matrix[r * columns + i]!;
  }
  return sum;
}
