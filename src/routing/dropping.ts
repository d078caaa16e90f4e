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
 * @returns [tokens of the range, slots]; −1 in empty slots
 */
export function queuePlaces(assignment: Assignment, bins: Pick<Bins, "binOf" | "bins">, input: DropInput): Int32Array {
  const { experts, slots } = assignment;
  const from = input.first * slots;
  const places = new Int32Array((input.last - input.first) * slots).fill(-1);
  const queued = new Int32Array(bins.bins);
  const served = servesTokens(input.settings.order)
    ? byToken(assignment, input)
    : descending(valuesOf(assignment, input)).map((i) => from + i);
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
  if (servesTokens(input.settings.order)) dropLate(assignment, bins, input);
  else dropLeast(assignment, bins, input);
}

function dropLate(assignment: Assignment, bins: Bins, input: DropInput): void {
  queuePlaces(assignment, bins, input).forEach((place, i) => {
    if (place >= bins.capacity) empty(assignment, input.first * assignment.slots + i);
  });
}

function empty({ experts, weights }: Assignment, slot: number): void {
  experts[slot] = NO_EXPERT;
  weights[slot] = 0;
}

/** What queues by value come to, without making them: sorting is what dropping costs. */
function dropLeast(assignment: Assignment, { binOf, bins, capacity }: Bins, input: DropInput): void {
  const { experts, slots } = assignment;
  const from = input.first * slots;
  const values = valuesOf(assignment, input);
  const ends = new Int32Array(bins + 1); // of each bin and, before the first, of nothing
  for (let i = 0; i < values.length; i++) {
    const expert = experts[from + i]!;
    if (expert !== NO_EXPERT) ends[binOf[expert]! + 1]!++;
  }
  for (let bin = 0; bin < bins; bin++) ends[bin + 1] = ends[bin + 1]! + ends[bin]!;
  const binned = new Float64Array(ends[bins]!);
  const next = ends.slice();
  for (let i = 0; i < values.length; i++) {
    const expert = experts[from + i]!;
    if (expert !== NO_EXPERT) binned[next[binOf[expert]!]!++] = values[i]!;
  }
  // In a full bin the least value that finds room, and how many of those that are equal to it do.
  const least = new Float64Array(bins).fill(Number.NEGATIVE_INFINITY);
  const room = new Int32Array(bins).fill(values.length);
  for (let bin = 0; bin < bins; bin++) {
    const own = binned.subarray(ends[bin], ends[bin + 1]);
    if (own.length <= capacity) continue;
    own.sort();
    least[bin] = own[own.length - capacity] ?? Number.POSITIVE_INFINITY;
    room[bin] = capacity;
    for (let i = own.length - 1; i >= 0 && own[i]! > least[bin]!; i--) room[bin]!--;
  }
  for (let i = 0; i < values.length; i++) {
    const expert = experts[from + i]!;
    if (expert === NO_EXPERT) continue;
    const bin = binOf[expert]!;
    const isLate = values[i] === least[bin] && room[bin]!-- <= 0;
    if (isLate || values[i]! < least[bin]!) empty(assignment, from + i);
  }
}

/** [tokens of the range, slots] what assignments are served by; empty slots have anything. */
function valuesOf(
  { slots, experts, weights, tokens }: Assignment,
  { settings, scores, random, first, last }: DropInput,
): Float64Array {
  const values = Float64Array.from(weights.subarray(first * slots, last * slots));
  if (settings.order === "weight") return values;
  const width = scores.length / tokens;
  for (let i = 0; i < values.length; i++) {
    const slot = first * slots + i;
    const expert = experts[slot]!;
    if (expert === NO_EXPERT) continue;
    values[i] = settings.order === "score" ? scores[Math.floor(slot / slots) * width + expert]! : random!.uniform();
  }
  return values;
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
