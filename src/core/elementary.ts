/**
 * Elementary functions that give the same bits on every machine and in every browser.
 *
 * ECMAScript leaves the accuracy of `Math.exp`, `Math.log`, `Math.sin` and their like to the host, so two
 * engines may differ in the last bit and a trained model would drift apart. These use only `+ - * /`,
 * which IEEE 754 fixes. They are accurate to about one unit in the last place; `Math.sqrt` is exact by
 * the standard and needs no twin.
 */

// ln 2 split in two: the first part has trailing zero bits, so k * LN2_HIGH is exact for every exponent k.
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const LARGEST_EXP_ARGUMENT = 709.782712893384;
const SMALLEST_EXP_ARGUMENT = -745.1332191019412;
const SMALLEST_EXPONENT = -1074;

const powersOfTwo = new Float64Array(1023 - SMALLEST_EXPONENT + 1);
powersOfTwo[-SMALLEST_EXPONENT] = 1;
for (let k = 1; k <= 1023; k++) powersOfTwo[k - SMALLEST_EXPONENT] = powersOfTwo[k - 1 - SMALLEST_EXPONENT]! * 2;
for (let k = -1; k >= SMALLEST_EXPONENT; k--)
  powersOfTwo[k - SMALLEST_EXPONENT] = powersOfTwo[k + 1 - SMALLEST_EXPONENT]! / 2;

/** e^x. Infinity above 709.78, 0 below -745.13, NaN for NaN. */
export function exp(x: number): number {
  if (!(x <= LARGEST_EXP_ARGUMENT)) return x > 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  if (x < SMALLEST_EXP_ARGUMENT) return 0;
  const k = Math.floor(x * Math.LOG2E + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  // Taylor's series to r^13, by Horner's rule: on |r| ≤ ln2/2 the first term left out is below 1e-17.
  let sum = (r / 6227020800 + 1 / 479001600) * r + 1 / 39916800;
  sum = ((sum * r + 1 / 3628800) * r + 1 / 362880) * r + 1 / 40320;
  sum = ((sum * r + 1 / 5040) * r + 1 / 720) * r + 1 / 120;
  sum = ((sum * r + 1 / 24) * r + 1 / 6) * r + 1 / 2;
  sum = (sum * r + 1) * r + 1;
  if (k > 1023) return sum * 2 * powersOfTwo[1023 - SMALLEST_EXPONENT]!;
  if (k < SMALLEST_EXPONENT) return (sum / 2) * powersOfTwo[0]!;
  return sum * powersOfTwo[k - SMALLEST_EXPONENT]!;
}

const asFloat = new Float64Array(1);
const asWords = new Uint32Array(asFloat.buffer);
asFloat[0] = 1;
/** Index of the word that holds the sign and the exponent, by the byte order of the machine. */
const HIGH = asWords[1] !== 0 ? 1 : 0;

/** Natural logarithm. -Infinity at 0, NaN below. */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? Number.NEGATIVE_INFINITY : Number.NaN;
  if (x === Number.POSITIVE_INFINITY) return x;
  let exponent = 0;
  if (x < 2.2250738585072014e-308) {
    x *= 18014398509481984; // 2^54 lifts a subnormal into the normal range
    exponent = -54;
  }
  asFloat[0] = x;
  exponent += ((asWords[HIGH]! >>> 20) & 0x7ff) - 1022;
  asWords[HIGH] = (asWords[HIGH]! & 0x000fffff) | 0x3fe00000; // mantissa in [0.5, 1)
  let mantissa = asFloat[0];
  if (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent -= 1;
  }
  // log m = 2 artanh(s) with |s| ≤ 0.172: terms to s^21 leave an error below 1e-18.
  const s = (mantissa - 1) / (mantissa + 1);
  const square = s * s;
  let series = 0;
  for (let n = 21; n >= 3; n -= 2) series = (series + 1 / n) * square;
  return exponent * LN2_HIGH + (exponent * LN2_LOW + 2 * s * series + 2 * s);
}

/** log(1 + e^x), linear above 20 as in the published routers that use it. */
export function softplus(x: number): number {
  if (x > 20) return x;
  const e = exp(x);
  const sum = 1 + e;
  return log(sum) + (e - (sum - 1)) / sum; // gives back what rounding took from the sum; all of it when e is tiny
}

/** 1 / (1 + e^-x), without overflow on either side. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + exp(-x));
  const e = exp(x);
  return e / (1 + e);
}

/** cos(2π·turns): the angle is given in whole turns, so that reducing it is exact. */
export function cosineOfTurns(turns: number): number {
  const fraction = turns - Math.floor(turns); // [0, 1)
  const folded = fraction > 0.5 ? 1 - fraction : fraction; // cosine is even
  return folded <= 0.25 ? cosineSeries(folded) : -cosineSeries(0.5 - folded);
}

/** cos(2π·t) for 0 ≤ t ≤ 1/4 by its Taylor series; the first term left out is below 1e-18. */
function cosineSeries(t: number): number {
  const angle = 6.283185307179586 * t;
  const square = angle * angle;
  let sum = 1;
  for (let n = 24; n >= 2; n -= 2) sum = 1 - (sum * square) / (n * (n - 1));
  return sum;
}

/** base^exponent for a whole exponent ≥ 0, by repeated squaring. */
export function integerPower(base: number, exponent: number): number {
  let result = 1;
  for (let square = base, n = exponent; n > 0; n = Math.floor(n / 2), square *= square) {
    if (n % 2 === 1) result *= square;
  }
  return result;
}

/** φ(x) = e^{−x²/2} / √(2π). */
export function normalDensity(x: number): number {
  return exp((-x * x) / 2) / 2.5066282746310002;
}

/** Φ(x), by Φ = ½ + φ(x)·(x + x³/3 + x⁵/(3·5) + …) (Marsaglia 2004, Journal of Statistical Software 11). */
export function normalDistribution(x: number): number {
  if (!(Math.abs(x) < 9)) return Number.isNaN(x) ? x : x > 0 ? 1 : 0; // what is left of 0 is below 1e-18
  let term = x;
  let sum = x;
  for (let n = 3; Math.abs(term) > Math.abs(sum) * 1e-17; n += 2) {
    term *= (x * x) / n;
    sum += term;
  }
  return 0.5 + sum * normalDensity(x);
}
