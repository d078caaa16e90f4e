/**
 * e^x in doubles for x ≤ 0, the same bits as `exp` of src/core/elementary.ts, operation for operation, and the softmax
 * that routers are compared by.
 */
import { largestOf, loadLanes } from "./lanes";

// Numbers lie in memory: V8 takes three instructions to make a vector of a constant where it is used, one to load it.
const LN2_HIGH = memory.data<f64>([0.6931471803691238]);
const LN2_LOW = memory.data<f64>([1.9082149292705877e-10]);
const LOG2_E = memory.data<f64>([1.4426950408889634]);
const HALF = memory.data<f64>([0.5]);
/** e^x is 0 from here on, with a little to spare. */
const SMALLEST = memory.data<f64>([-746]);
/** The exponent of the smallest normal number. */
const SMALLEST_NORMAL = memory.data<f64>([-1022]);
const FACTORIAL_13 = memory.data<f64>([6227020800]);
/** Of r^12 down to r^0. */
const TERMS = memory.data<f64>([
  1.0 / 479001600,
  1.0 / 39916800,
  1.0 / 3628800,
  1.0 / 362880,
  1.0 / 40320,
  1.0 / 5040,
  1.0 / 720,
  1.0 / 120,
  1.0 / 24,
  1.0 / 6,
  1.0 / 2,
  1,
  1,
]);

function spread(number: usize): v128 {
  return v128.load64_splat(number);
}

function term(index: usize): v128 {
  return v128.load64_splat(TERMS + (index << 3));
}

export function double(base: usize, i: i32): f64 {
  return load<f64>(base + ((<usize>i) << 3));
}

export function setDouble(base: usize, i: i32, value: f64): void {
  store<f64>(base + ((<usize>i) << 3), value);
}

/** How far a logit is below the largest. Logits that are all −∞ are equal, where a difference would be no number. */
export function below(logit: f64, largest: f64): f64 {
  return logit == largest ? 0 : logit - largest;
}

/** As `below`, of a pair. */
export function below2(logits: v128, largest: v128): v128 {
  return v128.andnot(f64x2.sub(logits, largest), f64x2.eq(logits, largest));
}

/** In place: e^x, element by element. @param x [count] f64 ≤ 0 or NaN; what is behind it is spoiled up to the next multiple of 8 */
export function exponentials(x: usize, count: i32): void {
  for (; count > 0; count -= 8, x += 64) eightExponentials(x);
}

/**
 * e^(x − largest), which are in proportion to the softmax.
 * @param logits [count] f32
 * @param terms [count] f64 written, as `exponentials` does
 * @returns their sum, first to last
 */
export function softmaxTerms(logits: usize, count: i32, terms: usize): f64 {
  const largest = f64x2.splat(largestOf(logits, count));
  for (let i: i32 = 0; i < count; i += 2) {
    const x = f64x2.promote_low_f32x4(loadLanes(logits + ((<usize>i) << 2), min(count - i, 2)));
    v128.store(terms + ((<usize>i) << 3), below2(x, largest));
  }
  exponentials(terms, count);
  let sum: f64 = 0;
  for (const end = terms + ((<usize>count) << 3); terms < end; terms += 8) sum += load<f64>(terms);
  return sum;
}

/** Four vectors at a time, because one alone is a chain of operations of which each waits for the last. */
function eightExponentials(x: usize): void {
  const x0 = clamped(v128.load(x));
  const x1 = clamped(v128.load(x, 16));
  const x2 = clamped(v128.load(x, 32));
  const x3 = clamped(v128.load(x, 48));
  const k0 = exponent(x0);
  const k1 = exponent(x1);
  const k2 = exponent(x2);
  const k3 = exponent(x3);
  const r0 = rest(x0, k0);
  const r1 = rest(x1, k1);
  const r2 = rest(x2, k2);
  const r3 = rest(x3, k3);
  const e0 = series(r0);
  const e1 = series(r1);
  const e2 = series(r2);
  const e3 = series(r3);
  v128.store(x, scaled(e0, k0));
  v128.store(x, scaled(e1, k1), 16);
  v128.store(x, scaled(e2, k2), 32);
  v128.store(x, scaled(e3, k3), 48);
}

/** NaN stays NaN. */
function clamped(x: v128): v128 {
  return f64x2.pmax(x, spread(SMALLEST));
}

function exponent(x: v128): v128 {
  return f64x2.floor(f64x2.add(f64x2.mul(x, spread(LOG2_E)), spread(HALF)));
}

function rest(x: v128, k: v128): v128 {
  return f64x2.sub(f64x2.sub(x, f64x2.mul(k, spread(LN2_HIGH))), f64x2.mul(k, spread(LN2_LOW)));
}

/** e^r */
function series(r: v128): v128 {
  let sum = f64x2.add(f64x2.div(r, spread(FACTORIAL_13)), term(0));
  sum = horner(sum, r, 1);
  sum = horner(sum, r, 2);
  sum = horner(sum, r, 3);
  sum = horner(sum, r, 4);
  sum = horner(sum, r, 5);
  sum = horner(sum, r, 6);
  sum = horner(sum, r, 7);
  sum = horner(sum, r, 8);
  sum = horner(sum, r, 9);
  sum = horner(sum, r, 10);
  sum = horner(sum, r, 11);
  return horner(sum, r, 12);
}

/** sum · 2^k, in two steps of which only the last may round: where 2^k is no normal number, the product may be none. */
function scaled(sum: v128, k: v128): v128 {
  const normal = f64x2.pmax(k, spread(SMALLEST_NORMAL));
  return f64x2.mul(f64x2.mul(sum, powerOfTwo(f64x2.sub(k, normal))), powerOfTwo(normal));
}

/** 2^k by its exponent field. @param k -1022 … 0 */
function powerOfTwo(k: v128): v128 {
  const exponents = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(k));
  return i64x2.shl(i64x2.add(exponents, i64x2.splat(1023)), 52);
}

function horner(sum: v128, r: v128, index: usize): v128 {
  return f64x2.add(f64x2.mul(sum, r), term(index));
}
