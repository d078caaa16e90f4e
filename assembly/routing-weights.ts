/**
 * Weights and loads of tokens whose experts are chosen, four tokens to a call.
 *
 * The softmax over all experts costs an exponential of every logit, most of a routing pass. Its sum needs less than
 * the weights themselves: 2^y is split at the nearest whole number, the fraction goes through a polynomial of degree 5
 * (relative error 1.5e-7, a little more than the spacing of floats), and the whole number is added to the exponent. The
 * logits are taken relative to the largest first, so that the error of y, at most |y| · 2^-24, is small wherever the
 * exponential is not. Sums are made of blocks of 64, so that their error does not grow with the number of experts.
 *
 * Every loop over exponentials has four chains that meet in one place: V8 interleaves what meets.
 */
import { LOG2_E, rest, SMALLEST, series, spread, WHOLE, whole } from "./elementary";
import { loadLanes, storeLanes, sumLanes } from "./lanes";
import { COUNTS, Job, LARGEST, SUMS, TOTALS } from "./routing-job";
import { loadRow } from "./routing-select";

/** Least exponent of a normal number. */
const LEAST = memory.data<f32>([-126.0]);
/** 2^f for |f| ≤ 1/2: of f^5 down to f^0. */
const POWER = memory.data<f32>([0.001327647, 0.009675541, 0.05550713, 0.2402212, 0.69314694, 1.0000001]);

/**
 * Turns the logits of the chosen experts, which lie where the weights belong, into the weights.
 * @param first,live the tokens @param largest of the logits of each, a lane a token
 */
export function weigh(job: Job, first: i32, live: i32, largest: v128, scratch: usize): void {
  const row = job.logits + ((<usize>(first * job.width)) << 2);
  const values = job.weights + ((<usize>(first * job.topK)) << 2);
  const most = scratch + LARGEST; // [4] the largest logits
  const sums = scratch + SUMS; // [2, 4] over all experts or the chosen; what `divideRows` makes of them
  v128.store(most, largest);
  if (!job.normalised || job.scores) sumRows(row, job.width, live, most, sums);
  if (job.scores) {
    const scores = job.scores + (row - job.logits);
    exponentials(row, scores, job.width, live, most);
    divideRows(scores, job.width, live, sums, 1);
  }
  exponentials(values, values, job.topK, live, most);
  if (job.normalised) addRows(values, job.topK, live, sums);
  divideRows(values, job.topK, live, sums, job.scale);
}

/**
 * y = e^(x − most) of each row; 0 below `SMALLEST`, where it is no normal number.
 * @param x,y [live, width], y may be x @param most [live]
 */
function exponentials(x: usize, y: usize, width: i32, live: i32, most: usize): void {
  let place = y;
  for (let r: usize = 0; r < <usize>live; r++) {
    const own = v128.load32_splat(most + (r << 2));
    let left = width;
    for (; left > 0; left -= 4, x += 16, place += 16) storeLanes(place, f32x4.sub(v128.load(x), own), left);
    x += <usize>(left << 2); // back to the end of a row that is no multiple of 4 long
    place += <usize>(left << 2);
  }
  let left = width * live;
  for (; left >= 16; left -= 16, y += 64) {
    const e0 = exponential(v128.load(y, 0));
    const e1 = exponential(v128.load(y, 16));
    const e2 = exponential(v128.load(y, 32));
    const e3 = exponential(v128.load(y, 48));
    v128.store(y, e0, 0);
    v128.store(y, e1, 16);
    v128.store(y, e2, 32);
    v128.store(y, e3, 48);
  }
  for (; left > 0; left -= 4, y += 16) storeLanes(y, exponential(v128.load(y)), left);
}

/** e^x for x ≤ 0 */
function exponential(x: v128): v128 {
  const n = whole(x);
  const value = i32x4.add(series(rest(x, n)), i32x4.shl(n, 23));
  return v128.and(value, f32x4.ge(x, spread(SMALLEST)));
}

/** @param row [live, width] @param sums [live] */
function addRows(row: usize, width: i32, live: i32, sums: usize): void {
  for (let r: usize = 0; r < <usize>live; r++) {
    let sum = f32x4.splat(0);
    let left = width;
    for (; left > 0; left -= 4, row += 16) sum = f32x4.add(sum, loadLanes(row, left));
    row += <usize>(left << 2);
    store<f32>(sums + (r << 2), sumLanes(sum));
  }
}

/** row · scale / sum @param row [live, width] @param sums [2, 4], the second row for its own use */
function divideRows(row: usize, width: i32, live: i32, sums: usize, scale: f32): void {
  v128.store(sums, f32x4.div(f32x4.splat(scale), v128.load(sums)), 16);
  for (let r: usize = 0; r < <usize>live; r++) {
    const factor = v128.load32_splat(sums + (r << 2), 16);
    let left = width;
    for (; left > 0; left -= 4, row += 16) storeLanes(row, f32x4.mul(v128.load(row), factor), left);
    row += <usize>(left << 2);
  }
}

/** Σ e^(x − most) of each of the live rows. @param row [live, width] @param most,sums [live] */
function sumRows(row: usize, width: i32, live: i32, most: usize, sums: usize): void {
  for (let r: usize = 0; r < <usize>live; r++) {
    const largest = v128.load32_splat(most + (r << 2));
    let total = f32x4.splat(0);
    let left = width;
    for (; left >= 64; left -= 64) {
      let sum = f32x4.splat(0);
      for (const end = row + 256; row < end; row += 64) {
        sum = f32x4.add(sum, quickExp4(f32x4.sub(v128.load(row, 0), largest)));
        sum = f32x4.add(sum, quickExp4(f32x4.sub(v128.load(row, 16), largest)));
        sum = f32x4.add(sum, quickExp4(f32x4.sub(v128.load(row, 32), largest)));
        sum = f32x4.add(sum, quickExp4(f32x4.sub(v128.load(row, 48), largest)));
      }
      total = f32x4.add(total, sum);
    }
    for (; left > 0; left -= 4, row += 16) {
      total = f32x4.add(total, quickExp4(f32x4.sub(loadRow(row, left), largest)));
    }
    row += <usize>(left << 2); // back to the end of a row that is no multiple of 4 long
    store<f32>(sums + (r << 2), sumLanes(total));
  }
}

/** e^x for x ≤ 0, for sums; what is below 2^-126 becomes 2^-126. */
function quickExp4(x: v128): v128 {
  const y = f32x4.pmax(spread(LEAST), f32x4.mul(x, spread(LOG2_E)));
  const n = f32x4.add(y, spread(WHOLE));
  const f = f32x4.sub(y, f32x4.sub(n, spread(WHOLE)));
  let power = f32x4.add(f32x4.mul(spread(POWER), f), spread(POWER + 4));
  power = f32x4.add(f32x4.mul(power, f), spread(POWER + 8));
  power = f32x4.add(f32x4.mul(power, f), spread(POWER + 12));
  power = f32x4.add(f32x4.mul(power, f), spread(POWER + 16));
  power = f32x4.add(f32x4.mul(power, f), spread(POWER + 20));
  return i32x4.add(power, i32x4.shl(n, 23));
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
