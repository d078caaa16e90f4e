/**
 * The best expert of each group, as MoGE with K = M chooses: no list to keep, so no sorting either.
 *
 * Four tokens at a time. A group's vectors are folded to one, and its four lanes with those of the other tokens to one
 * vector, which has the group's best logit of each token. Then the logits that equal it are found by
 * compares, two groups of eight to a mask of 16 bits, and the lowest bit is the expert. Nothing branches on data.
 */
import { Job, ROWS } from "./routing-job";

/** Whether groups of this many experts are handled here: vectors of 16 logits must not straddle groups but in twos. */
export function isTop1(job: Job): bool {
  const size = job.width / job.groups;
  return job.topK == job.groups && (size == 8 ? job.groups % 2 == 0 : size % 16 == 0);
}

/**
 * Writes experts and logits of the live ones of four tokens; the others' are the last live one's again.
 * @returns the largest logit of each token
 */
export function top1OfGroups(job: Job, first: i32, live: i32, scratch: usize): v128 {
  const groups = job.groups;
  const size = job.width / groups;
  const width = (<usize>job.width) << 2;
  const a = job.logits + <usize>first * width;
  const b = live > 1 ? a + width : a;
  const c = live > 2 ? b + width : b;
  const d = live > 3 ? c + width : c;
  const best = scratch + ROWS;
  let largest = f32x4.splat(-Infinity);
  for (let g: usize = 0; g < <usize>groups; g++) {
    const bytes = (<usize>size) << 2;
    const at = g * bytes;
    const ab = foldTwo(foldGroup(a + at, bytes), foldGroup(b + at, bytes));
    const cd = foldTwo(foldGroup(c + at, bytes), foldGroup(d + at, bytes));
    const most = f32x4.pmax(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3));
    largest = f32x4.pmax(largest, most);
    v128.store(best + (g << 4), most);
  }
  for (let r: i32 = 0; r < live; r++) {
    const slots = (<usize>((first + r) * groups)) << 2;
    const row = job.logits + <usize>(first + r) * width;
    const own = best + ((<usize>r) << 2);
    if (size == 8) findInEights(row, own, groups, job.experts + slots, job.weights + slots);
    else findInSixteens(row, own, groups, size, job.experts + slots, job.weights + slots);
  }
  return largest;
}

/** Lanes of two vectors in turns, each folded to two. */
function foldTwo(a: v128, b: v128): v128 {
  return f32x4.pmax(v128.shuffle<i32>(a, b, 0, 4, 1, 5), v128.shuffle<i32>(a, b, 2, 6, 3, 7));
}

function foldGroup(row: usize, bytes: usize): v128 {
  let most = f32x4.pmax(v128.load(row), v128.load(row, 16));
  for (let at: usize = 32; at < bytes; at += 16) most = f32x4.pmax(most, v128.load(row + at));
  return most;
}

/** Groups of 8: two at a time. */
function findInEights(row: usize, best: usize, groups: i32, experts: usize, logits: usize): void {
  for (let g: i32 = 0; g < groups; g += 2, row += 64, best += 32, experts += 8, logits += 8) {
    const first = v128.load32_splat(best);
    const second = v128.load32_splat(best, 16);
    const low = i16x8.narrow_i32x4_s(f32x4.eq(v128.load(row, 0), first), f32x4.eq(v128.load(row, 16), first));
    const high = i16x8.narrow_i32x4_s(f32x4.eq(v128.load(row, 32), second), f32x4.eq(v128.load(row, 48), second));
    const equal = i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
    store<i32>(experts, (g << 3) + ctz(equal));
    store<i32>(experts, (g << 3) + ctz(equal & 0xff00), 4);
    v128.store_lane<f32>(logits, first, 0);
    v128.store_lane<f32>(logits, second, 0, 4);
  }
}

/** Groups of 16 and multiples. */
function findInSixteens(row: usize, best: usize, groups: i32, size: i32, experts: usize, logits: usize): void {
  let id = 0;
  for (let g: i32 = 0; g < groups; g++, best += 16, experts += 4, logits += 4) {
    const wanted = v128.load32_splat(best);
    let found = -1;
    for (let i = 0; i < size; i += 16, row += 64, id += 16) {
      if (found >= 0) continue;
      const low = i16x8.narrow_i32x4_s(f32x4.eq(v128.load(row, 0), wanted), f32x4.eq(v128.load(row, 16), wanted));
      const high = i16x8.narrow_i32x4_s(f32x4.eq(v128.load(row, 32), wanted), f32x4.eq(v128.load(row, 48), wanted));
      const equal = i8x16.bitmask(i8x16.narrow_i16x8_s(low, high));
      if (equal != 0) found = id + ctz(equal);
    }
    store<i32>(experts, found);
    v128.store_lane<f32>(logits, wanted, 0);
  }
}
