/** The optimizer step: the norm of the whole gradient, clipping, and AdamW with decoupled weight decay. */
import type { RunConfig } from "../../config/schema.ts";
import { integerPower } from "../../core/elementary.ts";
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import type { ParameterPlan } from "./parameters.ts";
import { clearRows, type Thread } from "./thread.ts";

/** Floats whose squares are summed together; the sums are added in order, whoever made them. */
const BLOCK = 16384;

const EPSILON = 1e-8;

export interface OptimizerPlan {
  /** [blocks] float64 sums of squares */
  readonly squares: Address;
  readonly blocks: number;
}

export function planOptimizer(arena: Arena, { count }: ParameterPlan): OptimizerPlan {
  const blocks = Math.ceil(count / BLOCK);
  return { squares: arena.doubles(blocks), blocks };
}

/** Gradients are added up during a step; this thread's part of them starts from zero. */
export function clearShareOfGradient(thread: Thread, { gradient, count }: ParameterPlan): void {
  const [first, last] = thread.crew.share(count);
  clearRows(thread, gradient, { first, last }, 1);
}

/** The norm of the whole gradient, the same on every thread. Everyone's gradients must be ready. */
export function gradientNorm(thread: Thread, plan: OptimizerPlan, { gradient, count }: ParameterPlan): number {
  const { kernels, crew, doubles } = thread;
  const squares = plan.squares / 8;
  const [first, last] = crew.share(plan.blocks);
  for (let block = first; block < last; block++) {
    const from = block * BLOCK;
    doubles[squares + block] = kernels.sumOfSquares(gradient + 4 * from, Math.min(BLOCK, count - from));
  }
  crew.barrier();
  let sum = 0;
  for (let block = 0; block < plan.blocks; block++) sum += doubles[squares + block]!;
  return Math.sqrt(sum);
}

/**
 * Moves this thread's part of the parameters.
 * @param step counts from 1
 * @param norm of the whole gradient
 */
export function shareOfAdamw(
  { kernels, crew }: Thread,
  { layout, count, values, gradient, firstMoment, secondMoment }: ParameterPlan,
  training: RunConfig["training"],
  learningRate: number,
  step: number,
  norm: number,
): void {
  const { beta1, beta2, clipNorm, weightDecay } = training;
  const clip = clipNorm > 0 && norm > clipNorm ? clipNorm / norm : 1;
  const rate = learningRate / (1 - integerPower(beta1, step));
  const rootCorrection = 1 / Math.sqrt(1 - integerPower(beta2, step));
  const [first, last] = crew.share(count);
  for (const { offset, size, decays } of layout) {
    const from = Math.max(first, offset);
    const floats = Math.min(last, offset + size) - from;
    if (floats <= 0) continue;
    const keep = decays ? 1 - learningRate * weightDecay : 1;
    const at = (array: Address) => array + 4 * from;
    kernels.adamw(
      at(values),
      at(gradient),
      at(firstMoment),
      at(secondMoment),
      floats,
      clip,
      beta1,
      beta2,
      rate,
      rootCorrection,
      keep,
      EPSILON,
    );
  }
}
