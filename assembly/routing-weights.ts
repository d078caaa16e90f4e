/**
 * Weights and loads of tokens whose experts are chosen.
 *
 * The softmax over all experts costs an exponential of every logit, most of a routing pass. Its sum needs less than
 * `exp4` gives: 2^y is split at the nearest whole number, the fraction goes through a polynomial of degree 5 (relative
 * error 7.5e-8, half the spacing of floats), and the whole number is added to the exponent. The logits are taken relative to the
 * largest first, so that the error of y, at most |y| · 2^-24, is small wherever the exponential is not. Sums are
 * made of blocks of 64, so that their error does not grow with the number of experts.
 */
import { exp4 } from "./elementary";
import { storeLanes, sumLanes } from "./lanes";
import { COUNTS, Job, TOTALS } from "./routing-job";
import { loadRow } from "./routing-select";

const LOG2_E: f32 = 1.44269504088896341;
/** Added and taken away again, it leaves the nearest whole number, which then stands in its low bits too. */
const ROUNDER: f32 = 12582912; // 1.5 · 2^23

/** e^x for x ≤ 0; what is below 2^-126 becomes 2^-126. */
function quickExp4(x: v128): v128 {
  const y = f32x4.pmax(f32x4.splat(-126), f32x4.mul(x, f32x4.splat(LOG2_E)));
  const rounded = f32x4.add(y, f32x4.splat(ROUNDER));
  const f = f32x4.sub(y, f32x4.sub(rounded, f32x4.splat(ROUNDER)));
  let sum = f32x4.add(f32x4.mul(f32x4.splat(0.001327647), f), f32x4.splat(0.009675541));
  sum = f32x4.add(f32x4.mul(sum, f), f32x4.splat(0.05550713));
  sum = f32x4.add(f32x4.mul(sum, f), f32x4.splat(0.2402212));
  sum = f32x4.add(f32x4.mul(sum, f), f32x4.splat(0.69314694));
  sum = f32x4.add(f32x4.mul(sum, f), f32x4.splat(1.0000001));
  return i32x4.add(sum, i32x4.shl(rounded, 23));
}

/** Σ e^(x − largest) over a row. */
function sumOfExponentials(row: usize, count: i32, largest: v128): f32 {
  let total: f32 = 0;
  let left = count;
  for (; left >= 64; left -= 64) {
    let even = f32x4.splat(0);
    let odd = f32x4.splat(0);
    for (const end = row + 256; row < end; row += 32) {
      even = f32x4.add(even, quickExp4(f32x4.sub(v128.load(row, 0), largest)));
      odd = f32x4.add(odd, quickExp4(f32x4.sub(v128.load(row, 16), largest)));
    }
    total += sumLanes(f32x4.add(even, odd));
  }
  let rest = f32x4.splat(0);
  for (; left > 0; left -= 4, row += 16) {
    rest = f32x4.add(rest, quickExp4(f32x4.sub(loadRow(row, left), largest)));
  }
  return total + sumLanes(rest);
}

/** e^(x − largest), 0 where that would not be a normal number. */
function exponential(x: v128, largest: v128): v128 {
  const below = f32x4.sub(x, largest);
  return v128.and(exp4(below), f32x4.ge(below, f32x4.splat(-87)));
}

/**
 * Turns the logits of a token's chosen experts, which lie where its weights belong, into the weights.
 * @param row its logits @param values [K] in place
 */
export function weigh(job: Job, row: usize, values: usize, largestLogit: f32): void {
  const topK = job.topK;
  const largest = f32x4.splat(largestLogit);
  let sum: f32 = 0;
  let place = values;
  for (let left = topK; left > 0; left -= 4, place += 16) {
    const terms = exponential(loadRow(place, left), largest);
    if (job.normalised) sum += sumLanes(terms);
    storeLanes(place, terms, left);
  }
  if (!job.normalised) sum = sumOfExponentials(row, job.width, largest);
  const factor = f32x4.splat(job.scale / sum);
  place = values;
  for (let left = topK; left > 0; left -= 4, place += 16) {
    storeLanes(place, f32x4.mul(loadRow(place, left), factor), left);
  }
  if (job.scores) writeScores(job, row, largest);
}

/** Probabilities of all experts. */
function writeScores(job: Job, row: usize, largest: v128): void {
  const whole = f32x4.splat(<f32>1 / sumOfExponentials(row, job.width, largest));
  let place = job.scores + (row - job.logits);
  for (let left = job.width; left > 0; left -= 4, row += 16, place += 16) {
    storeLanes(place, f32x4.mul(exponential(loadRow(row, left), largest), whole), left);
  }
}

/** Counts the experts of a token. */
export function count(scratch: usize, experts: usize, topK: i32): void {
  const counts = scratch + COUNTS;
  for (const end = experts + (<usize>topK << 2); experts < end; experts += 4) {
    const own = counts + (load<u32>(experts) << 2);
    store<i32>(own, load<i32>(own) + 1);
  }
}

/** At the end of a unit of tokens: its experts' loads go to their devices, and to the totals. */
export function settle(job: Job, scratch: usize, unit: i32): void {
  const load_ = job.deviceLoad + <usize>(unit * job.devices) * 4;
  memory.fill(load_, 0, <usize>job.devices * 4);
  for (let expert: usize = 0; expert < <usize>job.width * 4; expert += 4) {
    const own = load<i32>(scratch + COUNTS + expert);
    if (own == 0) continue;
    const device = load_ + (load<u32>(job.deviceOf + expert) << 2);
    store<i32>(device, load<i32>(device) + own);
    const total = scratch + TOTALS + expert;
    store<i32>(total, load<i32>(total) + own);
    store<i32>(scratch + COUNTS + expert, 0);
  }
}
