/**
 * Group-limited routing: the best `limit` of the groups by the sum of their one or two best softmax scores, then the
 * best K experts of those groups (DeepSeek-V2 and V3).
 *
 * The two best logits of every group come from one pass, four tokens side by side; their exponentials, two a group
 * instead of one a logit, order the groups. Single precision may not order two close sums as the doubles of the slow
 * twin do. So a token whose groups stand closer than the arithmetic can tell is routed by routing-exact.ts, in doubles
 * (about one in a million), and so is one with chosen logits so small, or so far below the largest, that their
 * scores could be equal in doubles. All others are certain.
 */
import { exp4 } from "./elementary";
import { routeExactly } from "./routing-exact";
import { GROUPS, Job, LARGEST, ROWS } from "./routing-job";
import {
  collect,
  fold,
  foldVectors,
  keptGroups,
  listOf,
  loadRow,
  sortCandidates,
  startFold,
  threshold,
  transpose,
  writeBest,
} from "./routing-select";
import { sortRows } from "./routing-sort";

/** Sums of two exponentials are good to 1e-6 of themselves. */
const MARGIN: f32 = 4e-6;
/** Larger logits that differ do so by more than 1e-12, and so do the logarithms of their scores. */
const TINY: f32 = 2e-5;
/** Scores further below the largest come near the smallest doubles. */
const FAR_BELOW: f32 = -690;

/** Writes experts and logits of the live ones of four tokens. @returns the largest logit of each token */
export function bestGroupsFirst(job: Job, first: i32, live: i32, scratch: usize): v128 {
  const width = (<usize>job.width) << 2;
  const base = job.logits + <usize>first * width;
  const largest = compareGroups(job, base, width, live, scratch);
  const unsure = keepGroups(job, scratch, largest);
  const size = job.width / job.groups;
  const vectors = foldVectors(job.topK);
  startFold(scratch, vectors);
  for (let r: i32 = 0; r < 4; r++) {
    const row = base + <usize>min(r, live - 1) * width;
    const kept = keptGroups(scratch, r);
    for (let i: usize = 0; i < <usize>job.limit; i++) {
      fold(scratch, r, vectors, row + ((<usize>(load<i32>(kept + (i << 2)) * size)) << 2), size);
    }
  }
  const least = threshold(scratch, vectors, job.topK);
  for (let r: i32 = 0; r < live; r += 2) {
    const one = collectKept(job, base, width, r, min(r, live - 1), scratch, least);
    const two = collectKept(job, base, width, r + 1, min(r + 1, live - 1), scratch, least);
    sortCandidates(listOf(scratch, r), one, two, job.topK);
  }
  for (let r: i32 = 0; r < live; r++) {
    const row = base + <usize>r * width;
    const slots = (<usize>((first + r) * job.topK)) << 2;
    const values = job.weights + slots;
    writeBest(listOf(scratch, r & ~1), r & 1, job.topK, job.experts + slots, values);
    const own = load<f32>(scratch + LARGEST + ((<usize>r) << 2));
    if ((unsure >> r) & 1 || hasDoubt(values, job.topK, own))
      routeExactly(job, row, job.experts + slots, values, scratch);
  }
  return largest;
}

/** The best and the second logit of each group, a row a group and a lane a token. @returns the largest of each token */
function compareGroups(job: Job, base: usize, width: usize, live: i32, scratch: usize): v128 {
  const size = job.width / job.groups;
  const best = scratch + ROWS; // of four tokens, transposed
  const second = scratch + ROWS + 64;
  const own = scratch; // the two vectors of each token
  let largest = f32x4.splat(-Infinity);
  for (let g: usize = 0; g < <usize>job.groups; g++) {
    const at = g * ((<usize>size) << 2);
    for (let r: i32 = 0; r < 4; r++)
      twoBest(base + <usize>min(r, live - 1) * width + at, size, own + ((<usize>r) << 5));
    transpose(v128.load(own, 0), v128.load(own, 32), v128.load(own, 64), v128.load(own, 96), best);
    transpose(v128.load(own, 16), v128.load(own, 48), v128.load(own, 80), v128.load(own, 112), second);
    let a = v128.load(best);
    let b = v128.load(second);
    for (let i: usize = 16; i < 64; i += 16) {
      const other = v128.load(best + i);
      b = f32x4.pmax(f32x4.pmin(a, other), f32x4.pmax(b, v128.load(second + i)));
      a = f32x4.pmax(a, other);
    }
    largest = f32x4.pmax(largest, a);
    v128.store(scratch + GROUPS + (g << 5), a);
    v128.store(scratch + GROUPS + (g << 5), b, 16);
  }
  return largest;
}

/** Lane by lane the two largest of a group's vectors. */
function twoBest(row: usize, size: i32, place: usize): void {
  let a = loadRow(row, size);
  let b = f32x4.splat(-Infinity);
  let left = size - 4;
  for (row += 16; left >= 4; left -= 4, row += 16) {
    const other = v128.load(row);
    b = f32x4.pmax(b, f32x4.pmin(a, other));
    a = f32x4.pmax(a, other);
  }
  if (left > 0) {
    const other = loadRow(row, left);
    b = f32x4.pmax(b, f32x4.pmin(a, other));
    a = f32x4.pmax(a, other);
  }
  v128.store(place, a, 0);
  v128.store(place, b, 16);
}

/** Lists the groups that each token keeps. @returns bit r: the groups of token r stand too close to tell */
function keepGroups(job: Job, scratch: usize, largest: v128): i32 {
  const groups = <usize>job.groups;
  const two = job.counted == 2;
  const sorted = scratch + ROWS;
  let rows: usize = 8;
  while (rows < groups) rows *= 2;
  for (let g: usize = 0; g < groups; g++) {
    const own = scratch + GROUPS + (g << 5);
    let score = exp4(f32x4.sub(v128.load(own), largest));
    if (two) score = f32x4.add(score, exp4(f32x4.sub(v128.load(own, 16), largest)));
    v128.store(own, score);
    v128.store(sorted + (g << 4), score);
  }
  for (let g = groups; g < rows; g++) v128.store(sorted + (g << 4), f32x4.splat(-1));
  sortRows<f32>(sorted, rows);
  const last = v128.load(sorted + ((<usize>(job.limit - 1)) << 4));
  const next = job.limit == job.groups ? f32x4.splat(-1) : v128.load(sorted + ((<usize>job.limit) << 4));
  const unsure = i32x4.bitmask(f32x4.le(f32x4.sub(last, next), f32x4.mul(last, f32x4.splat(MARGIN))));
  for (let r: i32 = 0; r < 4; r++) {
    const kept = keptGroups(scratch, r);
    const least = load<f32>(sorted + ((<usize>(job.limit - 1)) << 4) + ((<usize>r) << 2));
    let n: usize = 0;
    for (let g: usize = 0; g < groups; g++) {
      store<i32>(kept + (n << 2), <i32>g); // written over by the next unless it is kept
      n += <usize>(load<f32>(scratch + GROUPS + (g << 5) + ((<usize>r) << 2)) >= least && n < <usize>job.limit);
    }
  }
  v128.store(scratch + LARGEST, largest);
  return unsure;
}

/** @returns how many candidates the lane has */
function collectKept(job: Job, base: usize, width: usize, lane: i32, token: i32, scratch: usize, least: usize): usize {
  const size = job.width / job.groups;
  const row = base + <usize>token * width;
  const kept = keptGroups(scratch, lane);
  const reach = v128.load32_splat(least + ((<usize>lane) << 2));
  const start = listOf(scratch, lane);
  let place = start;
  for (let i: usize = 0; i < <usize>job.limit; i++) {
    const id = load<i32>(kept + (i << 2)) * size;
    place = collect(row + ((<usize>id) << 2), size, <i64>id, reach, place);
  }
  return (place - start) >> 4;
}

/** Whether two different logits could have the same score in doubles, where one of them is chosen. */
function hasDoubt(values: usize, topK: i32, largest: f32): bool {
  let doubt = f32x4.splat(0);
  for (let left = topK; left > 0; left -= 4, values += 16) {
    const chosen = v128.load(values);
    const tiny = f32x4.lt(f32x4.abs(chosen), f32x4.splat(TINY));
    const far = f32x4.lt(f32x4.sub(chosen, f32x4.splat(largest)), f32x4.splat(FAR_BELOW));
    doubt = v128.or(doubt, v128.and(v128.or(tiny, far), i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(left))));
  }
  return v128.any_true(doubt);
}
