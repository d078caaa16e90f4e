/**
 * Balancing one MoE layer: what the losses of a config say of a micro-batch, and what the bias rules do after a step.
 *
 * Sums are kept per sequence and added in the order of the sequences, so that the result does not depend on
 * how many threads made them.
 */
import type { Floats } from "../core/floats.ts";
import type { RouterShape } from "../routing/router.ts";
import { type ScoreFunctionName, scoreFunctions } from "../routing/scores.ts";
import type { BalancingLoss, BiasRule } from "./rule.ts";
import { type BalanceSetting, balancingRules } from "./rules.ts";

/** Keeps a token without any score from dividing by zero (Megatron-LM). */
const EPSILON = 1e-20;

/**
 * Adds one token's probabilities, its scores divided by their sum over all experts, to a sum.
 * @param scores [.., N] with the token's row at `at` @param sum [.., N] with the sum's row at `to`
 */
function addProbabilities(scores: Floats, at: number, experts: number, sumsToOne: boolean, sum: Floats, to: number) {
  let total = 1;
  if (!sumsToOne) {
    total = EPSILON;
    for (let i = 0; i < experts; i++) total += scores[at + i]!;
  }
  for (let i = 0; i < experts; i++) sum[to + i] = sum[to + i]! + scores[at + i]! / total;
}

/**
 * The load and the summed probabilities of one sequence.
 * @param scores [T, N] @param chosen [T, K] of the micro-batch
 * @param load,probability [sequences, N], the row of this sequence written
 */
export function sumSequence(
  scores: Floats,
  chosen: Int32Array,
  sequence: number,
  length: number,
  { experts, topK }: RouterShape,
  scoreFunction: ScoreFunctionName,
  load: Floats,
  probability: Floats,
): void {
  const row = sequence * experts;
  load.fill(0, row, row + experts);
  probability.fill(0, row, row + experts);
  const { sumsToOne } = scoreFunctions[scoreFunction];
  for (let t = sequence * length; t < (sequence + 1) * length; t++) {
    addProbabilities(scores, t * experts, experts, sumsToOne, probability, row);
    for (let j = t * topK; j < (t + 1) * topK; j++) load[row + chosen[j]!] = load[row + chosen[j]!]! + 1;
  }
}

/** The load of the step so far, for losses that balance the global batch; zeroed at each step. */
export interface StepLoad {
  /** [N] */
  readonly load: Float64Array;
  tokens: number;
}

/**
 * The balancing losses of one micro-batch, their coefficients applied.
 * @param sequenceLoad,sequenceProbability [sequences, N] from `sumSequence`
 * @param ranks virtual data-parallel ranks; each holds an equal run of the sequences
 * @param stepLoad counts before this micro-batch on entry; includes it on return
 * @param gradient [ranks, N] written: the derivative of the mean loss over ranks by the probability of a rank's token
 */
export function balancingLoss(
  settings: readonly BalanceSetting[],
  sequenceLoad: Floats,
  sequenceProbability: Floats,
  sequenceLength: number,
  ranks: number,
  shape: RouterShape,
  stepLoad: StepLoad,
  gradient: Float64Array,
): number {
  const { experts } = shape;
  const perRank = sequenceLoad.length / experts / ranks;
  const tokens = perRank * sequenceLength;
  for (let i = 0; i < sequenceLoad.length; i++) {
    stepLoad.load[i % experts] = stepLoad.load[i % experts]! + sequenceLoad[i]!;
  }
  stepLoad.tokens += tokens * ranks;
  gradient.fill(0);
  let total = 0;
  const ofRank = new Float64Array(experts);
  for (let rank = 0; rank < ranks; rank++) {
    const load = sumRows(sequenceLoad, rank * perRank, perRank, experts);
    const probability = sumRows(sequenceProbability, rank * perRank, perRank, experts);
    for (const setting of settings) {
      const rule: BalancingLoss | BiasRule = balancingRules[setting.rule];
      if (rule.kind !== "loss") continue;
      const share = Number(setting["coefficient"]) / ranks;
      const global = setting["scope"] === "global-batch";
      total +=
        share *
        (global
          ? rule.evaluate(stepLoad.load, stepLoad.tokens, probability, tokens, shape, ofRank)
          : rule.evaluate(load, tokens, probability, tokens, shape, ofRank));
      for (let i = 0; i < experts; i++) {
        gradient[rank * experts + i] = gradient[rank * experts + i]! + share * ofRank[i]!;
      }
    }
  }
  return total;
}

/** Turns a gradient by a token's probabilities into one by its scores and adds it. @param row [N] gradient by probability */
export function addProbabilityGradient(
  scores: Floats,
  at: number,
  gradient: Float64Array,
  row: number,
  scoreFunction: ScoreFunctionName,
  scoreGradient: Float64Array,
): void {
  const experts = scoreGradient.length;
  let sum = 1;
  let mean = 0;
  if (!scoreFunctions[scoreFunction].sumsToOne) {
    sum = EPSILON;
    for (let i = 0; i < experts; i++) sum += scores[at + i]!;
    for (let i = 0; i < experts; i++) mean += (gradient[row + i]! * scores[at + i]!) / sum;
  }
  for (let i = 0; i < experts; i++) scoreGradient[i] = scoreGradient[i]! + (gradient[row + i]! - mean) / sum;
}

/** Moves the selection bias after a step. @param bias [N] @param load [N] assignments of the step */
export function updateBias(settings: readonly BalanceSetting[], bias: Floats, load: ArrayLike<number>): void {
  for (const setting of settings) {
    const rule: BalancingLoss | BiasRule = balancingRules[setting.rule];
    if (rule.kind === "bias") rule.update(bias, load, setting);
  }
}

function sumRows(matrix: Floats, first: number, rows: number, columns: number): Float64Array {
  const sum = new Float64Array(columns);
  for (let r = first; r < first + rows; r++) {
    for (let i = 0; i < columns; i++) sum[i] = sum[i]! + matrix[r * columns + i]!;
  }
  return sum;
}
