/**
 * Gates: the weights with which a token adds up its experts' outputs, from its scores and its chosen experts.
 *
 * The choice is a constant to the gradient; the weights are not.
 */
import type { Floats } from "../core/floats.ts";
import type { RouterShape } from "./router.ts";

export const normalisations = {
  none: "the scores as they are (Pangu Pro MoE, eq. 6)",
  chosen:
    "divided by their sum over the chosen experts; with softmax scores this is the softmax over the chosen logits",
} as const;

export type Normalisation = keyof typeof normalisations;

export interface GateRule {
  readonly normalisation: Normalisation;
  /** Multiplies every weight after normalisation. */
  readonly scale: number;
  /** [N] multiplies the weights of each expert after that; a learned vector in Pangu Pro MoE's published code. */
  readonly expertScale?: Floats;
  /** Keeps a sum of vanished scores from dividing by zero: 1e-20 as in Megatron-LM; DeepSeek-V3's gate has 0. */
  readonly epsilon?: number;
}

const DEFAULT_EPSILON = 1e-20;

/**
 * Weights of the tokens [first, last).
 * @param scores [T, N]
 * @param chosen [T, K]
 * @param weights [T, K], written
 */
export function weigh(
  scores: Floats,
  chosen: Int32Array,
  first: number,
  last: number,
  { experts, topK }: RouterShape,
  { normalisation, scale, expertScale, epsilon = DEFAULT_EPSILON }: GateRule,
  weights: Floats,
): void {
  for (let t = first; t < last; t++) {
    let sum = 1;
    if (normalisation === "chosen") {
      sum = 0;
      for (let j = t * topK; j < (t + 1) * topK; j++) sum += scores[t * experts + chosen[j]!]!;
      sum += epsilon;
    }
    for (let j = t * topK; j < (t + 1) * topK; j++) {
      const expert = chosen[j]!;
      const weight = (scores[t * experts + expert]! / sum) * scale;
      weights[j] = expertScale === undefined ? weight : weight * expertScale[expert]!;
    }
  }
}

/**
 * Adds to the gradient by the scores of token t what comes through its weights.
 * @param weightGradient [T, K]
 * @param scoreGradient [N] of this token alone, added to
 */
export function weighBackward(
  scores: Floats,
  chosen: Int32Array,
  weightGradient: Floats,
  t: number,
  { experts, topK }: RouterShape,
  { normalisation, scale, expertScale, epsilon = DEFAULT_EPSILON }: GateRule,
  scoreGradient: Float64Array,
): void {
  const from = t * topK;
  const scaled = (j: number) =>
    expertScale === undefined ? weightGradient[j]! : weightGradient[j]! * expertScale[chosen[j]!]!;
  let sum = 1;
  let mean = 0; // the weight gradients averaged with the normalised weights
  if (normalisation === "chosen") {
    sum = 0;
    for (let j = from; j < from + topK; j++) sum += scores[t * experts + chosen[j]!]!;
    sum += epsilon;
    for (let j = from; j < from + topK; j++) mean += (scaled(j) * scores[t * experts + chosen[j]!]!) / sum;
  }
  for (let j = from; j < from + topK; j++) {
    const expert = chosen[j]!;
    scoreGradient[expert] = scoreGradient[expert]! + (scale * (scaled(j) - mean)) / sum;
  }
}
