/**
 * Routing of large batches: softmax, the choice of experts, weights and loads in one pass over the logits, which are
 * read from memory once. Built as a wasm module of its own, plain arithmetic alone: the same bits everywhere. The
 * rules are those of src/routing/, which is the slow twin: the same experts in the same slots, weights within 1e-6.
 *
 * Four tokens go together from their logits to their weights, so that a row is in the first cache when its
 * exponentials are taken; what lies between is in a scratch of 100 kB, of which a few are touched.
 */

import { BEST_GROUPS_FIRST, COUNTS, Job, SCRATCH_BYTES, TOTALS } from "./routing-job";
import { bestGroupsFirst } from "./routing-limited";
import { collect, fold, foldVectors, listOf, sortCandidates, startFold, threshold, writeBest } from "./routing-select";
import { isTop1, top1OfGroups } from "./routing-top1";
import { count, settle, weigh } from "./routing-weights";

/** Bytes of scratch that a thread needs. */
export function scratchBytes(): usize {
  return SCRATCH_BYTES;
}

/** Before the first `route` of a pass on a thread. */
export function clearTotals(scratch: usize): void {
  memory.fill(scratch + COUNTS, 0, SCRATCH_BYTES - COUNTS);
}

/** Where `route` adds up the loads of experts: [N] i32 */
export function totals(scratch: usize): usize {
  return scratch + TOTALS;
}

/** Routes the tokens [first, last), the first of which begins a unit; the last unit may be shorter than the others. */
export function route(address: usize, first: i32, last: i32, unit: i32, scratch: usize): void {
  const job = changetype<Job>(address);
  const top1 = isTop1(job);
  for (; first < last; unit++) {
    const end = min(first + job.unit, last);
    for (; first < end; first += 4) {
      const live = min(4, end - first);
      let largest: v128;
      if (job.rule == BEST_GROUPS_FIRST) largest = bestGroupsFirst(job, first, live, scratch);
      else if (top1) largest = top1OfGroups(job, first, live, scratch);
      else largest = bestOfGroups(job, first, live, scratch);
      weigh(job, first, live, largest, scratch);
      count(scratch, job.experts + ((<usize>(first * job.topK)) << 2), live * job.topK);
    }
    first = end;
    settle(job, scratch, unit);
  }
}

/** The best K/M experts of each of M groups, of which there may be one. @returns the largest logit of each token */
function bestOfGroups(job: Job, first: i32, live: i32, scratch: usize): v128 {
  const width = (<usize>job.width) << 2;
  const size = job.width / job.groups;
  const each = job.topK / job.groups;
  const vectors = foldVectors(each);
  const base = job.logits + <usize>first * width;
  let largest = f32x4.splat(-Infinity);
  for (let g: i32 = 0; g < job.groups; g++) {
    const at = (<usize>(g * size)) << 2;
    startFold(scratch, vectors);
    for (let r: i32 = 0; r < 4; r++) fold(scratch, r, vectors, base + <usize>min(r, live - 1) * width + at, size);
    const least = threshold(scratch, vectors, each);
    for (let pair: i32 = 0; pair < live; pair += 2) {
      const one = candidates(base + <usize>pair * width + at, size, g * size, least, pair, scratch);
      const other = base + <usize>min(pair + 1, live - 1) * width + at;
      const two = candidates(other, size, g * size, least, pair + 1, scratch);
      sortCandidates(listOf(scratch, pair), one, two, each);
    }
    for (let r: i32 = 0; r < live; r++) {
      const slots = (<usize>((first + r) * job.topK + g * each)) << 2;
      writeBest(listOf(scratch, r & ~1), r & 1, each, job.experts + slots, job.weights + slots);
    }
    largest = f32x4.pmax(largest, v128.load(least - ((<usize>(each - 1)) << 4)));
  }
  return largest;
}

/** @returns how many candidates the lane has */
function candidates(row: usize, size: i32, id: i32, least: usize, lane: i32, scratch: usize): usize {
  const start = listOf(scratch, lane);
  return (collect(row, size, <i64>id, v128.load32_splat(least + ((<usize>lane) << 2)), start) - start) >> 4;
}
