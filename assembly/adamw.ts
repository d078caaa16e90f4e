/**
 * The optimizer: AdamW (Loshchilov and Hutter, arXiv:1711.05101) on flat arrays, and the sum of squares that
 * clipping by the global norm needs. Element by element; callers split it as they like.
 */
import { loadLanes, storeLanes } from "./lanes";

/** Σ x² in doubles. @param x [count] */
export function sumOfSquares(x: usize, count: i32): f64 {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  for (let left = count; left > 0; left -= 4, x += 16) {
    const four = loadLanes(x, left);
    const first = f64x2.promote_low_f32x4(four);
    const second = f64x2.promote_low_f32x4(v128.shuffle<f64>(four, four, 1, 1));
    low = f64x2.add(low, f64x2.mul(first, first));
    high = f64x2.add(high, f64x2.mul(second, second));
  }
  const sum = f64x2.add(low, high);
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/**
 * m = β1 m + (1 − β1) g,  v = β2 v + (1 − β2) g²,  p = keep · p − rate · m / (√v · rootCorrection + ε),
 * with g the clipped gradient.
 * @param parameter,gradient,firstMoment,secondMoment [count]
 * @param clip multiplies the gradient
 * @param rate learning rate / (1 − β1^t)
 * @param rootCorrection 1 / √(1 − β2^t)
 * @param keep 1 − learning rate · weight decay
 */
export function adamw(
  parameter: usize,
  gradient: usize,
  firstMoment: usize,
  secondMoment: usize,
  count: i32,
  clip: f32,
  beta1: f32,
  beta2: f32,
  rate: f32,
  rootCorrection: f32,
  keep: f32,
  epsilon: f32,
): void {
  for (let left = count, i: usize = 0; left > 0; left -= 4, i += 16) {
    const g = f32x4.mul(loadLanes(gradient + i, left), f32x4.splat(clip));
    const oldFirst = f32x4.mul(loadLanes(firstMoment + i, left), f32x4.splat(beta1));
    const oldSecond = f32x4.mul(loadLanes(secondMoment + i, left), f32x4.splat(beta2));
    const first = f32x4.add(oldFirst, f32x4.mul(g, f32x4.splat(1 - beta1)));
    const second = f32x4.add(oldSecond, f32x4.mul(f32x4.mul(g, g), f32x4.splat(1 - beta2)));
    storeLanes(firstMoment + i, first, left);
    storeLanes(secondMoment + i, second, left);
    const root = f32x4.add(f32x4.mul(f32x4.sqrt(second), f32x4.splat(rootCorrection)), f32x4.splat(epsilon));
    const step = f32x4.div(f32x4.mul(first, f32x4.splat(rate)), root);
    const kept = f32x4.mul(loadLanes(parameter + i, left), f32x4.splat(keep));
    storeLanes(parameter + i, f32x4.sub(kept, step), left);
  }
}
