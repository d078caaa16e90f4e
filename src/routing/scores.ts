/**
 * Score functions: logits → scores, one row a token.
 *
 * Each entry has its forward row and the matching backward row; both are used by every engine, so that
 * the trained gradient and the tested one are the same lines.
 */
import { exp, sigmoid, softplus } from "../core/elementary.ts";
import type { Floats } from "../core/floats.ts";

export interface ScoreFunction {
  readonly title: string;
  readonly formula: string;
  /** Scores of one token: reads logits[at … at + experts), writes the same places of scores. */
  forward(logits: Floats, scores: Floats, at: number, experts: number): void;
  /**
   * In place: the gradient by the scores of one token becomes the gradient by its logits.
   * @param logits,scores what `forward` read and wrote
   * @param gradient [experts] of this token alone
   */
  backward(logits: Floats, scores: Floats, at: number, gradient: Float64Array): void;
  /** True if the scores of a token sum to 1, so that they are probabilities as they stand. */
  readonly sumsToOne: boolean;
}

/** How far a logit is below the largest. Logits that are all −∞ are equal, where a difference would be no number. */
export const below = (logit: number, largest: number): number => (logit === largest ? 0 : logit - largest);

const softmax: ScoreFunction = {
  title: "softmax over all experts",
  formula: "s_i = e^{x_i} / Σ_j e^{x_j}; 1/N each where all logits are −∞",
  sumsToOne: true,
  forward(logits, scores, at, experts) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = at; i < at + experts; i++) if (logits[i]! > largest) largest = logits[i]!;
    let sum = 0;
    for (let i = at; i < at + experts; i++) {
      const e = exp(below(logits[i]!, largest));
      scores[i] = e;
      sum += e;
    }
    for (let i = at; i < at + experts; i++) scores[i] = scores[i]! / sum;
  },
  backward(_logits, scores, at, gradient) {
    let dot = 0;
    for (let i = 0; i < gradient.length; i++) dot += gradient[i]! * scores[at + i]!;
    for (let i = 0; i < gradient.length; i++) gradient[i] = scores[at + i]! * (gradient[i]! - dot);
  },
};

const sigmoidScores: ScoreFunction = {
  title: "sigmoid of each logit",
  formula: "s_i = 1 / (1 + e^{-x_i})",
  sumsToOne: false,
  forward(logits, scores, at, experts) {
    for (let i = at; i < at + experts; i++) scores[i] = sigmoid(logits[i]!);
  },
  backward(_logits, scores, at, gradient) {
    for (let i = 0; i < gradient.length; i++) {
      const s = scores[at + i]!;
      gradient[i] = gradient[i]! * s * (1 - s);
    }
  },
};

const sqrtSoftplus: ScoreFunction = {
  title: "square root of softplus",
  formula: "s_i = √(log(1 + e^{x_i}))",
  sumsToOne: false,
  forward(logits, scores, at, experts) {
    for (let i = at; i < at + experts; i++) scores[i] = Math.sqrt(softplus(logits[i]!));
  },
  backward(logits, scores, at, gradient) {
    for (let i = 0; i < gradient.length; i++) {
      const s = scores[at + i]!;
      gradient[i] = s === 0 ? 0 : (gradient[i]! * sigmoid(logits[at + i]!)) / (2 * s);
    }
  },
};

const relu: ScoreFunction = {
  title: "positive part of each logit",
  formula: "s_i = max(0, x_i)",
  sumsToOne: false,
  forward(logits, scores, at, experts) {
    for (let i = at; i < at + experts; i++) scores[i] = logits[i]! > 0 ? logits[i]! : 0;
  },
  backward(_logits, scores, at, gradient) {
    for (let i = 0; i < gradient.length; i++) if (scores[at + i] === 0) gradient[i] = 0;
  },
};

export const scoreFunctions = {
  softmax,
  sigmoid: sigmoidScores,
  sqrtsoftplus: sqrtSoftplus,
  relu,
} satisfies Record<string, ScoreFunction>;

export type ScoreFunctionName = keyof typeof scoreFunctions;
