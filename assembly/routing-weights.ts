/**
 * Weights and loads of tokens whose experts are chosen, four tokens to a call so that constants are loaded once.
 *
 * The softmax over all experts costs an exponential of every logit, most of a routing pass. Its sum needs less than
 * the weights themselves: 2^y is split at the nearest whole number, the fraction goes through a polynomial of degree 5
 * (relative error 7.5e-8, half the spacing of floats), and the whole number is added to the exponent. The logits are
 * taken relative to the largest first, so that the error of y, at most |y| · 2^-24, is small wherever the exponential is
 * not. Sums are made of blocks of 64, so that their error does not grow with the number of experts.
 */
import { storeLanes, sumLanes } from "./lanes";
import { COUNTS, Job, SUMS, TOTALS } from "./routing-job";
import { loadRow } from "./routing-select";

const LOG2_E: f32 = 1.44269504088896341;
/** Added and taken away again, it leaves the nearest whole number, which then stands in its low bits too. */
const ROUNDER: f32 = 12582912; // 1.5 · 2^23
// ln 2 in two parts: the first has few enough bits that its products with whole numbers are exact.
const LN2_HIGH: f32 = 0.693359375;
const LN2_LOW: f32 = -2.1219444e-4;
/** Exponentials of less are no normal numbers; they count as 0. */
const SMALLEST: f32 = -87;

/** e^x for x ≤ 0, for sums; what is below 2^-126 becomes 2^-126. */
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

/** e^x for x ≤ 0, for weights: as `exp4`, with the whole number taken off in two parts. 0 below `SMALLEST`. */
function exponential(x: v128): v128 {
  const rounded = f32x4.add(f32x4.mul(x, f32x4.splat(LOG2_E)), f32x4.splat(ROUNDER));
  const n = f32x4.sub(rounded, f32x4.splat(ROUNDER));
  const r = f32x4.sub(f32x4.sub(x, f32x4.mul(n, f32x4.splat(LN2_HIGH))), f32x4.mul(n, f32x4.splat(LN2_LOW)));
  let sum = f32x4.add(f32x4.mul(f32x4.splat(1.98756915e-4), r), f32x4.splat(1.3981999507e-3));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(8.3334519073e-3));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(4.1665795894e-2));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1.6666665459e-1));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(5.0000001201e-1));
  sum = f32x4.add(f32x4.add(f32x4.mul(sum, f32x4.mul(r, r)), r), f32x4.splat(1));
  return v128.and(i32x4.add(sum, i32x4.shl(rounded, 23)), f32x4.ge(x, f32x4.splat(SMALLEST)));
}

/**
 * Turns the logits of the chosen experts, which lie where the weights belong, into the weights.
 * @param first,live the tokens @param largest of the logits of each, a lane a token
 */
export function weigh(job: Job, first: i32, live: i32, largest: v128, scratch: usize): void {
  const width = (<usize>job.width) << 2;
  const slots = (<usize>job.topK) << 2;
  const row = job.logits + <usize>first * width;
  let values = job.weights + <usize>first * slots;
  const most = scratch; // [4] the largest logits
  const sums = scratch + SUMS; // [4] what a token's exponentials are divided by
  v128.store(most, largest);
  if (!job.normalised || job.scores) sumRows(row, job.width, live, most, sums);
  if (job.scores) {
    const scores = job.scores + (row - job.logits);
    for (let r: usize = 0; r < <usize>live; r++) {
      const own = v128.load32_splat(most + (r << 2));
      writeScores(row + r * width, scores + r * width, job.width, own, load<f32>(sums + (r << 2)));
    }
  }
  if (job.normalised) sumChosen(values, job.topK, live, most, sums);
  const factors = f32x4.div(f32x4.splat(job.scale), v128.load(sums));
  v128.store(sums, factors);
  for (let r: usize = 0; r < <usize>live; r++, values += slots) {
    const own = v128.load32_splat(most + (r << 2));
    const factor = v128.load32_splat(sums + (r << 2));
    const end = values + slots;
    let place = values;
    for (; place + 16 <= end; place += 16) {
      v128.store(place, f32x4.mul(exponential(f32x4.sub(v128.load(place), own)), factor));
    }
    const left = <i32>(end - place) >> 2;
    if (left > 0) storeLanes(place, f32x4.mul(exponential(f32x4.sub(loadRow(place, left), own)), factor), left);
  }
}

/** Σ e^(x − largest) over the chosen logits of each token. */
function sumChosen(values: usize, topK: i32, live: i32, most: usize, sums: usize): void {
  for (let r: usize = 0; r < <usize>live; r++) {
    const largest = v128.load32_splat(most + (r << 2));
    let sum = f32x4.splat(0);
    let left = topK;
    for (; left > 0; left -= 4, values += 16) {
      sum = f32x4.add(sum, exponential(f32x4.sub(loadRow(values, left), largest)));
    }
    values += <usize>(left << 2); // back to the end of slots that are no multiple of 4
    store<f32>(sums + (r << 2), sumLanes(sum));
  }
}

/** Σ e^(x − largest) over the row of each token. */
function sumRows(row: usize, width: i32, live: i32, most: usize, sums: usize): void {
  for (let r: usize = 0; r < <usize>live; r++) {
    const largest = v128.load32_splat(most + (r << 2));
    let total = f32x4.splat(0);
    let left = width;
    for (; left >= 64; left -= 64) {
      let even = f32x4.splat(0);
      let odd = f32x4.splat(0);
      for (const end = row + 256; row < end; row += 64) {
        even = f32x4.add(even, quickExp4(f32x4.sub(v128.load(row, 0), largest)));
        odd = f32x4.add(odd, quickExp4(f32x4.sub(v128.load(row, 16), largest)));
        even = f32x4.add(even, quickExp4(f32x4.sub(v128.load(row, 32), largest)));
        odd = f32x4.add(odd, quickExp4(f32x4.sub(v128.load(row, 48), largest)));
      }
      total = f32x4.add(total, f32x4.add(even, odd));
    }
    for (; left > 0; left -= 4, row += 16) {
      total = f32x4.add(total, quickExp4(f32x4.sub(loadRow(row, left), largest)));
    }
    row += <usize>(left << 2); // back to the end of a row that is no multiple of 4 long
    store<f32>(sums + (r << 2), sumLanes(total));
  }
}

/** Probabilities of all experts of a token. */
function writeScores(row: usize, scores: usize, width: i32, largest: v128, sum: f32): void {
  const whole = f32x4.splat(<f32>1 / sum);
  for (let left = width; left > 0; left -= 4, row += 16, scores += 16) {
    storeLanes(scores, f32x4.mul(exponential(f32x4.sub(loadRow(row, left), largest)), whole), left);
  }
}

/** Counts chosen experts. */
export function count(scratch: usize, experts: usize, chosen: i32): void {
  const counts = scratch + COUNTS;
  for (const end = experts + ((<usize>chosen) << 2); experts < end; experts += 4) {
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
