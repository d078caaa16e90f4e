/** e^x in doubles for x ≤ 0, the same bits as `exp` of src/core/elementary.ts, operation for operation. */

const LN2_HIGH: f64 = 0.6931471803691238;
const LN2_LOW: f64 = 1.9082149292705877e-10;
const LOG2_E: f64 = 1.4426950408889634;
/** Below it e^x is 0. */
const SMALLEST: f64 = -745.1332191019412;
/** The exponent of the smallest normal number. */
const SMALLEST_NORMAL: f64 = -1022;

/** @param x ≤ 0 or NaN */
export function exponential(x: f64): f64 {
  if (x < SMALLEST) return 0;
  const k = Math.floor(x * LOG2_E + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum: f64 = (r / 6227020800 + 1.0 / 479001600) * r + 1.0 / 39916800;
  sum = ((sum * r + 1.0 / 3628800) * r + 1.0 / 362880) * r + 1.0 / 40320;
  sum = ((sum * r + 1.0 / 5040) * r + 1.0 / 720) * r + 1.0 / 120;
  sum = ((sum * r + 1.0 / 24) * r + 1.0 / 6) * r + 1.0 / 2;
  sum = (sum * r + 1) * r + 1;
  if (k < -1074) return (sum / 2) * powerOfTwo(-1074);
  return sum * powerOfTwo(<i64>k);
}

/** @param exponent -1074 … 0 */
function powerOfTwo(exponent: i64): f64 {
  if (exponent >= -1022) return reinterpret<f64>((exponent + 1023) << 52);
  return reinterpret<f64>((<i64>1) << (exponent + 1074));
}

// Numbers lie in memory: V8 takes three instructions to make a vector of a constant where it is used, one to load it.
const HIGH = memory.data<f64>([LN2_HIGH]);
const LOW = memory.data<f64>([LN2_LOW]);
const LOG2 = memory.data<f64>([LOG2_E]);
const HALF = memory.data<f64>([0.5]);
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

/** In place: e^x, element by element. @param x [count] f64 ≤ 0 or NaN; what is behind it is spoiled up to the next multiple of 8 */
export function exponentials(x: usize, count: i32): void {
  for (; count > 0; count -= 8, x += 64) eightExponentials(x);
}

/** Four vectors at a time, because one alone is a chain of operations of which each waits for the last. */
function eightExponentials(x: usize): void {
  const x0 = v128.load(x);
  const x1 = v128.load(x, 16);
  const x2 = v128.load(x, 32);
  const x3 = v128.load(x, 48);
  const k0 = exponent(x0);
  const k1 = exponent(x1);
  const k2 = exponent(x2);
  const k3 = exponent(x3);
  const least = f64x2.pmin(f64x2.pmin(k0, k1), f64x2.pmin(k2, k3));
  if (v128.any_true(f64x2.lt(least, f64x2.splat(SMALLEST_NORMAL)))) {
    for (let i: usize = 0; i < 64; i += 8) store<f64>(x + i, exponential(load<f64>(x + i)));
    return;
  }
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

function exponent(x: v128): v128 {
  return f64x2.floor(f64x2.add(f64x2.mul(x, spread(LOG2)), spread(HALF)));
}

function rest(x: v128, k: v128): v128 {
  return f64x2.sub(f64x2.sub(x, f64x2.mul(k, spread(HIGH))), f64x2.mul(k, spread(LOW)));
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

/** sum · 2^k, which is written as its exponent field. */
function scaled(sum: v128, k: v128): v128 {
  const exponents = i64x2.extend_low_i32x4_s(i32x4.trunc_sat_f64x2_s_zero(k));
  return f64x2.mul(sum, i64x2.shl(i64x2.add(exponents, i64x2.splat(1023)), 52));
}

function horner(sum: v128, r: v128, index: usize): v128 {
  return f64x2.add(f64x2.mul(sum, r), term(index));
}
