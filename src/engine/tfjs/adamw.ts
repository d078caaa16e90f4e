/** AdamW over flat arrays, and clipping of the whole gradient. Plain loops: there is nothing to differentiate. */
import { integerPower } from "../../core/elementary.ts";
import type { Parameter } from "../parameters.ts";

const EPSILON = 1e-8;

export interface AdamWSetting {
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
}

/** Euclidean norm. */
export function gradientNorm(gradient: Float32Array): number {
  let sum = 0;
  for (const g of gradient) sum += g * g;
  return Math.sqrt(sum);
}

/** Factor that brings a gradient's norm down to `clipNorm`; 1 if it is not above it or clipNorm is 0. */
export function clipFactor(norm: number, clipNorm: number): number {
  return clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1;
}

/**
 * One step: p −= η · (m̂ / (√v̂ + ε) + λ · p), λ on matrices only. Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2.
 * @param step 1 for the first
 * @param parameters,firstMoment,secondMoment flat, changed in place
 * @param factor multiplies the gradient, for clipping
 */
export function adamw(
  layout: readonly Parameter[],
  parameters: Float32Array,
  firstMoment: Float32Array,
  secondMoment: Float32Array,
  gradient: Float32Array,
  factor: number,
  step: number,
  learningRate: number,
  { beta1, beta2, weightDecay }: AdamWSetting,
): void {
  const firstCorrection = 1 - integerPower(beta1, step);
  const secondCorrection = 1 - integerPower(beta2, step);
  for (const { offset, size, decays } of layout) {
    const decay = decays ? weightDecay : 0;
    for (let i = offset; i < offset + size; i++) {
      const g = gradient[i]! * factor;
      firstMoment[i] = beta1 * firstMoment[i]! + (1 - beta1) * g;
      secondMoment[i] = beta2 * secondMoment[i]! + (1 - beta2) * g * g;
      const direction = firstMoment[i]! / firstCorrection / (Math.sqrt(secondMoment[i]! / secondCorrection) + EPSILON);
      parameters[i] = parameters[i]! - learningRate * (direction + decay * parameters[i]!);
    }
  }
}
