/**
 * e^x for four floats at once, from `+ - *` alone, so that it gives the same bits everywhere.
 *
 * x = n ln 2 + r with |r| ≤ ln 2 / 2; e^r by the minimax polynomial of the Cephes library (Moshier, expf.c), within
 * two units in the last place; 2^n by writing the exponent field. Arguments are clamped to where the result is a
 * normal number. NaN stays NaN: every clamp keeps its first operand when the comparison is false.
 */
import { loadLanes, multiplyAdd, storeLanes } from "./lanes";

// Numbers lie in memory: V8 takes three instructions to make a vector of a constant where it is used, one to load it.
const LARGEST = memory.data<f32>([88.0]);
export const SMALLEST = memory.data<f32>([-87.0]);
export const LOG2_E = memory.data<f32>([1.44269504088896341]);
// ln 2 in two parts: the first has few enough bits that its products with n are exact.
const LN2_HIGH = memory.data<f32>([0.693359375]);
const LN2_LOW = memory.data<f32>([-2.1219444e-4]);
/** 1.5 · 2^23: adding it leaves a float rounded to a whole number, and that number in the low bits. */
export const WHOLE = memory.data<f32>([12582912.0]);
/** Its bits are the exponent field of 1. */
const ONE = memory.data<f32>([1.0]);
/** Of r^7 down to r^2. */
const TERMS = memory.data<f32>([
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
]);

export function spread(number: usize): v128 {
  return v128.load32_splat(number);
}

function horner(sum: v128, r: v128, term: i32): v128 {
  return multiplyAdd(sum, r, spread(TERMS + ((<usize>term) << 2)));
}

function clamped(x: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, spread(LARGEST)), spread(SMALLEST));
}

/** n + WHOLE */
export function whole(x: v128): v128 {
  return f32x4.add(f32x4.mul(x, spread(LOG2_E)), spread(WHOLE));
}

/** r */
export function rest(x: v128, whole: v128): v128 {
  const n = f32x4.sub(whole, spread(WHOLE));
  const high = f32x4.sub(x, f32x4.mul(n, spread(LN2_HIGH)));
  return f32x4.sub(high, f32x4.mul(n, spread(LN2_LOW)));
}

/** e^r */
export function series(r: v128): v128 {
  let sum = horner(spread(TERMS), r, 1);
  sum = horner(sum, r, 2);
  sum = horner(sum, r, 3);
  sum = horner(sum, r, 4);
  sum = horner(sum, r, 5);
  return f32x4.add(f32x4.add(f32x4.mul(sum, f32x4.mul(r, r)), r), spread(ONE));
}

/** sum · 2^n */
function scaled(sum: v128, whole: v128): v128 {
  return f32x4.mul(sum, i32x4.add(i32x4.shl(whole, 23), spread(ONE)));
}

/** e^x */
export function exp4(x: v128): v128 {
  const limited = clamped(x);
  const n = whole(limited);
  return scaled(series(rest(limited, n)), n);
}

/**
 * y = e^-x, element by element; y may be x. Four vectors at a time, because one alone is a chain of thirty operations
 * of which each waits for the last.
 * @param x,y [count]
 */
export function inverseExponentials(x: usize, y: usize, count: i32): void {
  for (; count >= 16; count -= 16, x += 64, y += 64) {
    const x0 = clamped(f32x4.neg(v128.load(x)));
    const x1 = clamped(f32x4.neg(v128.load(x, 16)));
    const x2 = clamped(f32x4.neg(v128.load(x, 32)));
    const x3 = clamped(f32x4.neg(v128.load(x, 48)));
    const n0 = whole(x0);
    const n1 = whole(x1);
    const n2 = whole(x2);
    const n3 = whole(x3);
    const r0 = rest(x0, n0);
    const r1 = rest(x1, n1);
    const r2 = rest(x2, n2);
    const r3 = rest(x3, n3);
    const e0 = series(r0);
    const e1 = series(r1);
    const e2 = series(r2);
    const e3 = series(r3);
    v128.store(y, scaled(e0, n0));
    v128.store(y, scaled(e1, n1), 16);
    v128.store(y, scaled(e2, n2), 32);
    v128.store(y, scaled(e3, n3), 48);
  }
  for (; count > 0; count -= 4, x += 16, y += 16) storeLanes(y, exp4(f32x4.neg(loadLanes(x, count))), count);
}

/** 1 / (1 + e^-x) @param inverse e^-x */
export function sigmoidOf(inverse: v128): v128 {
  const one = spread(ONE);
  return f32x4.div(one, f32x4.add(one, inverse));
}
