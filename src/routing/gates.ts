/**
 * Gates: the weights with which a token adds up its experts' outputs, from its scores and its chosen experts.
 *
 * The choice is a constant to the gradient; the weights are not.
 */
import { exp } from "../core/elementary.ts";
import type { Floats } from "../core/floats.ts";
import { type Assignment, allTokens, NO_EXPERT, type TokenRange } from "./assignment.ts";
import { below, type ScoreFunctionName } from "./scores.ts";

export const normalisations = {
  none: "the scores as they are (Pangu Pro MoE, eq. 6)",
  chosen:
    "divided by their sum over the chosen experts; with softmax scores this is the softmax over the chosen logits",
  "chosen-of-several":
    "as `chosen`, but a single expert keeps its score (Megatron-LM and DeepSeek's MoEGate with sigmoid scores)",
  "chosen-euclidean":
    "divided by the root of the sum of their squares over the chosen experts (OLMo-core and MegaBlocks, normalize_expert_weights 2; their 1 is `chosen`)",
  "straight-through":
    "1 for every chosen expert, while the gradient is that of the score itself: a straight-through estimator (Bengio et al. 2013, arXiv:1308.3432)",
} as const;

export type Normalisation = keyof typeof normalisations;

export interface GateSettings {
  readonly normalisation: Normalisation;
  /** Multiplies every weight after normalisation. */
  readonly scale: number;
  /** [N] multiplies the weights of each expert after that; a learned vector in Pangu Pro MoE's published code. */
  readonly expertScale?: Floats | undefined;
  /**
   * Keeps a sum of vanished scores from dividing by zero: 1e-20 as in Megatron-LM; DeepSeek-V3's gate has 0. Softmax
   * scores have none in either.
   */
  readonly epsilon?: number;
  /** Where experts are dropped: whether sums go over those that are left, or over all that were chosen. */
  readonly capacity?: { readonly renormalise: boolean } | undefined;
}

/** Keeps a token whose scores have all vanished from dividing by zero; Megatron-LM's value. */
export const DEFAULT_EPSILON = 1e-20;

/** What the gates of a batch are made of. */
export interface Gates {
  readonly settings: GateSettings & { readonly scoreFunction: ScoreFunctionName };
  /** [T, N] */
  readonly logits: Floats;
  /** [T, N] */
  readonly scores: Floats;
  /** [T, slots] the experts before any was dropped: the assignment's own array where nothing drops. */
  readonly chosen: Int32Array;
  /** Its experts are read, its weights written. */
  readonly assignment: Assignment;
}

/** Writes the weights of the tokens of a range. */
export function weigh(gates: Gates, { first, last }: TokenRange = allTokens(gates.assignment)): void {
  const { scale, expertScale } = gates.settings;
  const { slots, experts, weights } = gates.assignment;
  const shares = new Float64Array(slots);
  for (let t = first; t < last; t++) {
    writeShares(gates, t, shares);
    for (let j = 0; j < slots; j++) {
      const expert = experts[t * slots + j]!;
      const ofExpert = expertScale === undefined || expert === NO_EXPERT ? 1 : expertScale[expert]!;
      weights[t * slots + j] = shares[j]! * scale * ofExpert;
    }
  }
}

/** The weights of one token before any scale. @param shares [slots] written, 0 in empty slots */
function writeShares(gates: Gates, token: number, shares: Float64Array): void {
  const { settings, assignment } = gates;
  const { slots, experts, tokens } = assignment;
  const row = (token * gates.scores.length) / tokens;
  const divides = dividesBySum(gates);
  // From the logits: softmax scores that vanish beside an expert not chosen still have their proportions.
  const largest = divides && settings.scoreFunction === "softmax" ? largestLogit(gates, token, row) : undefined;
  let sum = 0;
  for (let j = 0; j < slots; j++) {
    const slot = token * slots + j;
    const expert = experts[slot]!;
    const summed = divides ? summedExpert(gates, slot) : NO_EXPERT;
    const value = expert === NO_EXPERT ? 0 : valueAt(gates, row + expert, largest);
    shares[j] = value;
    if (summed !== NO_EXPERT) {
      const term = summed === expert ? value : valueAt(gates, row + summed, largest);
      sum += isEuclidean(gates) ? term * term : term;
    }
  }
  if (!divides) return;
  const divisor = (isEuclidean(gates) ? Math.sqrt(sum) : sum) + epsilonOf(settings);
  for (let j = 0; j < slots; j++) if (experts[token * slots + j] !== NO_EXPERT) shares[j] = shares[j]! / divisor;
}

/** What a weight is in proportion to. @param largest logit of those that are summed, where it goes by the logits */
function valueAt({ settings, logits, scores }: Gates, place: number, largest: number | undefined): number {
  if (settings.normalisation === "straight-through") return 1;
  return largest === undefined ? scores[place]! : exp(below(logits[place]!, largest));
}

/**
 * Adds to the gradient by the scores of one token what comes through its weights.
 * @param weightGradient [slots] of this token alone
 * @param scoreGradient [N] of this token alone, added to
 */
export function weighBackward(gates: Gates, token: number, weightGradient: Floats, scoreGradient: Float64Array): void {
  const { scale, expertScale } = gates.settings;
  const { scores, assignment } = gates;
  const { slots, experts } = assignment;
  const row = token * scoreGradient.length;
  let divisor = 1;
  const scaled = (j: number) => {
    const gradient = scale * weightGradient[j]!;
    return expertScale === undefined ? gradient : gradient * expertScale[experts[token * slots + j]!]!;
  };
  if (dividesBySum(gates)) {
    divisor = scoreDivisor(gates, token);
    if (divisor === 0) return; // scores that have vanished move no more
    let mean = 0; // the weight gradients averaged with the normalised weights: what dividing by the sum takes back
    for (let j = 0; j < slots; j++) {
      const expert = experts[token * slots + j]!;
      if (expert !== NO_EXPERT) mean += (scaled(j) * scores[row + expert]!) / divisor;
    }
    for (let j = token * slots; j < (token + 1) * slots; j++) {
      const expert = summedExpert(gates, j);
      if (expert === NO_EXPERT) continue;
      const rise = isEuclidean(gates) ? scores[row + expert]! / divisor : 1; // of the divisor with the score
      scoreGradient[expert] = scoreGradient[expert]! - (mean * rise) / divisor;
    }
  }
  for (let j = 0; j < slots; j++) {
    const expert = experts[token * slots + j]!;
    if (expert !== NO_EXPERT) scoreGradient[expert] = scoreGradient[expert]! + scaled(j) / divisor;
  }
}

/**
 * Adds to the gradient by the experts' learned scales what comes through the weights of one token.
 * @param weightGradient [slots] of this token alone
 * @param scaleGradient [N] added to
 */
export function expertScaleGradient(gates: Gates, token: number, weightGradient: Floats, scaleGradient: Floats): void {
  const { slots, experts } = gates.assignment;
  const shares = new Float64Array(slots);
  writeShares(gates, token, shares);
  for (let j = 0; j < slots; j++) {
    const expert = experts[token * slots + j]!;
    if (expert === NO_EXPERT) continue;
    const unscaled = gates.settings.scale * shares[j]!;
    scaleGradient[expert] = scaleGradient[expert]! + weightGradient[j]! * unscaled;
  }
}

/** What is added to the sum of the chosen scores. A softmax over the chosen needs nothing. */
const epsilonOf = ({ scoreFunction, epsilon = DEFAULT_EPSILON }: Gates["settings"]): number =>
  scoreFunction === "softmax" ? 0 : epsilon;

function dividesBySum({ settings, assignment }: Gates): boolean {
  const { normalisation } = settings;
  if (normalisation === "chosen-of-several") return assignment.slots > 1;
  return normalisation === "chosen" || normalisation === "chosen-euclidean";
}

const isEuclidean = ({ settings }: Gates): boolean => settings.normalisation === "chosen-euclidean";

/**
 * The expert of a slot of [T, slots] whose score is added up, or NO_EXPERT: where weights are shared before any is
 * dropped, also one that was dropped or that the router refused.
 */
function summedExpert({ settings, assignment, chosen }: Gates, slot: number): number {
  if (settings.capacity?.renormalise) return assignment.experts[slot]!;
  const expert = chosen[slot]!;
  return expert === NO_EXPERT ? (assignment.refused?.[slot] ?? NO_EXPERT) : expert;
}

/** What the scores of a token's experts are divided by; 1 where they are not. */
export function scoreDivisor(gates: Gates, token: number): number {
  if (!dividesBySum(gates)) return 1;
  const { slots, tokens } = gates.assignment;
  const row = (token * gates.scores.length) / tokens;
  let sum = 0;
  for (let j = token * slots; j < (token + 1) * slots; j++) {
    const expert = summedExpert(gates, j);
    if (expert === NO_EXPERT) continue;
    const score = gates.scores[row + expert]!;
    sum += isEuclidean(gates) ? score * score : score;
  }
  return (isEuclidean(gates) ? Math.sqrt(sum) : sum) + epsilonOf(gates.settings);
}

function largestLogit(gates: Gates, token: number, row: number): number {
  const { slots } = gates.assignment;
  let largest = Number.NEGATIVE_INFINITY;
  for (let j = token * slots; j < (token + 1) * slots; j++) {
    const expert = summedExpert(gates, j);
    if (expert !== NO_EXPERT) largest = Math.max(largest, gates.logits[row + expert]!);
  }
  return largest;
}
