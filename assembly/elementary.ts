/**
 * e^x for four floats at once, from `+ - *` alone, so that it gives the same bits everywhere.
 *
 * x = n ln 2 + r with |r| ≤ ln 2 / 2; e^r by the minimax polynomial of the Cephes library (Moshier, expf.c), within
 * two units in the last place; 2^n by writing the exponent field. Arguments are clamped to where the result is a
 * normal number. NaN stays NaN: every clamp keeps its first operand when the comparison is false.
 */
import { loadLanes, storeLanes } from "./lanes";

const LARGEST: f32 = 88.0;
const SMALLEST: f32 = -87.0;
const LOG2_E: f32 = 1.44269504088896341;
// ln 2 in two parts: the first has few enough bits that its products with n are exact.
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.1219444e-4;

function horner(sum: v128, r: v128, coefficient: f32): v128 {
  return f32x4.add(f32x4.mul(sum, r), f32x4.splat(coefficient));
}

export function exp4(argument: v128): v128 {
  const x = f32x4.pmax(f32x4.pmin(argument, f32x4.splat(LARGEST)), f32x4.splat(SMALLEST));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(LOG2_E)));
  const high = f32x4.sub(x, f32x4.mul(n, f32x4.splat(LN2_HIGH)));
  const r = f32x4.sub(high, f32x4.mul(n, f32x4.splat(LN2_LOW)));
  let sum = horner(f32x4.splat(1.98756915e-4), r, 1.3981999507e-3);
  sum = horner(sum, r, 8.3334519073e-3);
  sum = horner(sum, r, 4.1665795894e-2);
  sum = horner(sum, r, 1.6666665459e-1);
  sum = horner(sum, r, 5.0000001201e-1);
  sum = f32x4.add(f32x4.add(f32x4.mul(sum, f32x4.mul(r, r)), r), f32x4.splat(1));
  const exponent = i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127));
  return f32x4.mul(sum, i32x4.shl(exponent, 23));
}

/** 1 / (1 + e^-x) */
export function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** y = e^x, element by element; the tests' way to `exp4`. @param x,y [count] */
export function exponentials(x: usize, y: usize, count: i32): void {
  for (let left = count; left > 0; left -= 4, x += 16, y += 16) storeLanes(y, exp4(loadLanes(x, left)), left);
}
