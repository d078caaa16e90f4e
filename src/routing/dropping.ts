/** Dropping: who finds room where an expert, or a device, has a capacity, and who goes on along the residual path. */
import type { Floats } from "../core/floats.ts";
import type { Random } from "../core/random.ts";
import { type Assignment, type Choice, NO_EXPERT, type TokenRange } from "./assignment.ts";
import { type CapacitySettings, servesTokens } from "./capacity.ts";

/** Who shares a capacity, and what it is. */
export interface Bins {
  /** [N] the bin of each expert: itself, or its device */
  readonly binOf: ArrayLike<number>;
  readonly bins: number;
  /** Assignments of one bin. */
  readonly capacity: number;
}

/** What `dropOverflow` goes by. */
export interface DropInput extends TokenRange {
  readonly settings: Pick<CapacitySettings, "order" | "priority">;
  /** [T, N] */
  readonly scores: Floats;
  readonly random?: Random | undefined;
}

/**
 * The place of each assignment of a range in the queue of its bin, in the order in which they are served.
 * @param bins given a capacity, places tell no more than who finds room
 * @returns [tokens of the range, slots]; −1 in empty slots
 */
export function queuePlaces(
  assignment: Assignment,
  bins: Pick<Bins, "binOf" | "bins"> & Partial<Bins>,
  input: DropInput,
): Int32Array {
  const { experts, slots } = assignment;
  const from = input.first * slots;
  const places = new Int32Array((input.last - input.first) * slots).fill(-1);
  const queued = new Int32Array(bins.bins);
  const served = servesTokens(input.settings.order) ? byToken(assignment, input) : byValue(assignment, bins, input);
  for (let i = 0; i < served.length; i++) {
    const slot = served[i]!;
    const expert = experts[slot]!;
    if (expert !== NO_EXPERT) places[slot - from] = queued[bins.binOf[expert]!]!++;
  }
  return places;
}

/**
 * Empties the slots of those assignments of a range that find their bin full.
 * @param assignment with the weights of all that were chosen; weights of dropped slots become 0
 */
export function dropOverflow(assignment: Assignment, bins: Bins, input: DropInput): void {
  const { experts, weights, slots } = assignment;
  queuePlaces(assignment, bins, input).forEach((place, i) => {
    if (place < bins.capacity) return;
    experts[input.first * slots + i] = NO_EXPERT;
    weights[input.first * slots + i] = 0;
  });
}

/**
 * Places in [T, slots], bin after bin, in each the largest value first, equal ones by place. Given a capacity, those that
 * find room stand before those that do not, each by place, for sorting is what dropping costs.
 */
function byValue(
  { slots, experts, weights, tokens }: Assignment,
  { binOf, bins, capacity }: Pick<Bins, "binOf" | "bins"> & Partial<Bins>,
  { settings, scores, random, first, last }: DropInput,
): Int32Array {
  const width = scores.length / tokens;
  const value = new Float64Array((last - first) * slots);
  const ends = new Int32Array(bins + 1); // of each bin and, before the first, of nothing
  for (let i = 0; i < value.length; i++) {
    const slot = first * slots + i;
    const expert = experts[slot]!;
    if (expert === NO_EXPERT) continue;
    ends[binOf[expert]! + 1]!++;
    if (settings.order === "weight") value[i] = weights[slot]!;
    else if (settings.order === "score") value[i] = scores[Math.floor(slot / slots) * width + expert]!;
    else value[i] = random!.uniform();
  }
  for (let bin = 0; bin < bins; bin++) ends[bin + 1] = ends[bin + 1]! + ends[bin]!;
  const order = new Int32Array(ends[bins]!);
  const next = ends.slice();
  for (let i = 0; i < value.length; i++) {
    const expert = experts[first * slots + i]!;
    if (expert !== NO_EXPERT) order[next[binOf[expert]!]!++] = i;
  }
  for (let bin = 0; bin < bins; bin++) {
    const queue = order.subarray(ends[bin], ends[bin + 1]);
    if (capacity === undefined) queue.sort((a, b) => value[b]! - value[a]! || a - b);
    else if (capacity < queue.length) bringForward(queue, value, capacity);
  }
  return order.map((i) => first * slots + i);
}

/** Puts the places of the `count` largest values first, of equal ones the first places; otherwise all stay in order. */
function bringForward(queue: Int32Array, value: Float64Array, count: number): void {
  const values = new Float64Array(queue.length);
  for (let i = 0; i < queue.length; i++) values[i] = value[queue[i]!]!;
  const least = values.toSorted()[queue.length - count]!;
  let equal = count;
  for (let i = 0; i < values.length; i++) if (values[i]! > least) equal--;
  const behind: number[] = [];
  let front = 0;
  for (let i = 0; i < values.length; i++) {
    if (values[i]! > least || (values[i] === least && equal-- > 0)) queue[front++] = queue[i]!;
    else behind.push(queue[i]!);
  }
  queue.set(behind, front);
}

function byToken({ slots, tokens }: Choice, { settings, scores, first, last }: DropInput): Int32Array {
  const count = last - first;
  const width = scores.length / tokens;
  const largestScore = (_: unknown, i: number) => {
    let largest = Number.NEGATIVE_INFINITY;
    for (let at = (first + i) * width; at < (first + i + 1) * width; at++) largest = Math.max(largest, scores[at]!);
    return largest;
  };
  const tokenAt =
    settings.priority === "confidence"
      ? descending(Float64Array.from({ length: count }, largestScore))
      : Int32Array.from({ length: count }, (_, i) => i);
  const byChoice = settings.order === "choice";
  return Int32Array.from({ length: count * slots }, (_, i) => {
    const place = byChoice ? i % count : Math.floor(i / slots);
    const slot = byChoice ? Math.floor(i / count) : i % slots;
    return (first + tokenAt[place]!) * slots + slot;
  });
}

/** Indices of the values, largest first, equal ones by index. */
function descending(values: Float64Array): Int32Array {
  return Int32Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
}
