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
  const { slots, experts, weights, tokens } = gates.assignment;
  const width = gates.scores.length / tokens;
  for (let t = first; t < last; t++) {
    const share = sharesOf(gates, t, width);
    for (let j = t * slots; j < (t + 1) * slots; j++) {
      const expert = experts[j]!;
      if (expert === NO_EXPERT) weights[j] = 0;
      else weights[j] = share(t * width + expert) * scale * (expertScale === undefined ? 1 : expertScale[expert]!);
    }
  }
}

/** From the place of a chosen expert in [T, N] to its weight before any scale. */
function sharesOf(gates: Gates, token: number, width: number): (place: number) => number {
  const { settings, logits, scores } = gates;
  if (settings.normalisation === "straight-through") return () => 1;
  if (!dividesBySum(gates)) return (place) => scores[place]!;
  if (settings.scoreFunction !== "softmax") {
    const divisor = sumOverSlots(gates, token, width, (place) => scores[place]!) + epsilonOf(settings);
    return (place) => scores[place]! / divisor;
  }
  // From the logits: scores that vanish beside an expert not chosen still have their proportions.
  const largest = largestLogit(gates, token, width);
  const ofLogit = (place: number) => exp(below(logits[place]!, largest));
  const divisor = sumOverSlots(gates, token, width, ofLogit);
  return (place) => ofLogit(place) / divisor;
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
  const width = scoreGradient.length;
  const scaled = (j: number) => {
    const gradient = scale * weightGradient[j]!;
    return expertScale === undefined ? gradient : gradient * expertScale[experts[token * slots + j]!]!;
  };
  let divisor = 1;
  if (dividesBySum(gates)) {
    divisor = sumOverSlots(gates, token, width, (place) => scores[place]!) + epsilonOf(gates.settings);
    if (divisor === 0) return; // scores that have vanished move no more
    let mean = 0; // the weight gradients averaged with the normalised weights: what dividing by the sum takes back
    for (let j = 0; j < slots; j++) {
      const expert = experts[token * slots + j]!;
      if (expert !== NO_EXPERT) mean += (scaled(j) * scores[token * width + expert]!) / divisor;
    }
    const summed = summedExperts(gates);
    for (let j = token * slots; j < (token + 1) * slots; j++) {
      const expert = summed[j]!;
      if (expert !== NO_EXPERT) scoreGradient[expert] = scoreGradient[expert]! - mean / divisor;
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
  const { slots, experts, tokens } = gates.assignment;
  const width = gates.scores.length / tokens;
  const share = sharesOf(gates, token, width);
  for (let j = 0; j < slots; j++) {
    const expert = experts[token * slots + j]!;
    if (expert === NO_EXPERT) continue;
    const unscaled = gates.settings.scale * share(token * width + expert);
    scaleGradient[expert] = scaleGradient[expert]! + weightGradient[j]! * unscaled;
  }
}

/** What is added to the sum of the chosen scores. A softmax over the chosen needs nothing. */
export const epsilonOf = ({ scoreFunction, epsilon = DEFAULT_EPSILON }: Gates["settings"]): number =>
  scoreFunction === "softmax" ? 0 : epsilon;

function dividesBySum({ settings, assignment }: Gates): boolean {
  const { normalisation } = settings;
  return normalisation === "chosen" || (normalisation === "chosen-of-several" && assignment.slots > 1);
}

/** [T, slots] the experts whose scores are added up. */
const summedExperts = ({ settings, assignment, chosen }: Gates): Int32Array =>
  settings.capacity?.renormalise === false ? chosen : assignment.experts;

function sumOverSlots(gates: Gates, token: number, width: number, valueAt: (place: number) => number): number {
  const { slots } = gates.assignment;
  const summed = summedExperts(gates);
  let sum = 0;
  for (let j = token * slots; j < (token + 1) * slots; j++) {
    if (summed[j] !== NO_EXPERT) sum += valueAt(token * width + summed[j]!);
  }
  return sum;
}

function largestLogit(gates: Gates, token: number, width: number): number {
  const { slots } = gates.assignment;
  const summed = summedExperts(gates);
  let largest = Number.NEGATIVE_INFINITY;
  for (let j = token * slots; j < (token + 1) * slots; j++) {
    if (summed[j] !== NO_EXPERT) largest = Math.max(largest, gates.logits[token * width + summed[j]!]!);
  }
  return largest;
}
