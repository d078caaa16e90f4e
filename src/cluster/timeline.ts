/** A pipeline as discrete events: when each device works on what, given the seconds of every chunk and message. */
import type { PipelineShape, Schedule, Slot, Work } from "./schedules.ts";

/** Seconds of the chunk at one position. */
export interface PositionSeconds {
  readonly forward: number;
  readonly inputGradient: number;
  readonly weightGradient: number;
}

export interface PipelineSeconds {
  /** Of one work by itself. */
  readonly work: (work: Work) => number;
  /** Of a message between neighbouring positions. */
  readonly send: (from: number, to: number) => number;
  /** Seconds of a forward and a backward that run side by side. */
  readonly together: (forward: Work, backward: Work) => number;
}

export interface TimedSlot {
  readonly slot: Slot;
  readonly start: number;
  readonly end: number;
}

export interface Timeline {
  /** [devices] slots in order */
  readonly devices: readonly (readonly TimedSlot[])[];
  readonly seconds: number;
}

/**
 * Plays a schedule. A device starts its next slot as soon as it is free and all that the slot needs has arrived.
 * @throws Error if the schedule waits for itself
 */
export function playPipeline(schedule: Schedule, shape: PipelineShape, seconds: PipelineSeconds): Timeline {
  const { pipeline } = shape;
  const orders = Array.from({ length: pipeline }, (_, device) => schedule.order(device, shape));
  const arrivals = new Arrivals(schedule, shape, seconds);
  const timed: TimedSlot[][] = orders.map(() => []);
  const free = new Float64Array(pipeline);
  // Devices that may be able to go on: all of them at first, then those that were handed something.
  let awake = orders.map((_, device) => device);
  while (awake.length > 0) {
    const next = new Set<number>();
    for (const device of awake) {
      const order = orders[device]!;
      const done = timed[device]!;
      while (done.length < order.length) {
        const slot = order[done.length]!;
        const ready = arrivals.of(slot);
        if (ready === undefined) break;
        const start = Math.max(free[device]!, ready);
        const end = start + slotSeconds(slot, seconds);
        free[device] = end;
        done.push({ slot, start, end });
        for (const work of slot) for (const woken of arrivals.note(work, end)) next.add(woken);
      }
    }
    awake = [...next];
  }
  const stuck = timed.findIndex((slots, device) => slots.length < orders[device]!.length);
  if (stuck >= 0) throw new Error(`schedule ${schedule.title}: device ${stuck} waits for ever`);
  return { devices: timed, seconds: Math.max(...free) };
}

/** Seconds of a slot, all its work. */
export function slotSeconds([first, second]: Slot, { work, together }: PipelineSeconds): number {
  return second === undefined ? work(first) : together(first, second);
}

/** Seconds of one work by itself. @param position those of its chunk */
export function workSeconds({ kind }: Work, { forward, inputGradient, weightGradient }: PositionSeconds): number {
  switch (kind) {
    case "forward":
      return forward;
    case "backward":
      return inputGradient + weightGradient;
    case "input-gradient":
      return inputGradient;
    case "weight-gradient":
      return weightGradient;
  }
}

/** When the outputs of forward and backward work reach the device that needs them. */
class Arrivals {
  private readonly positions: number;
  private readonly microBatches: number;
  /** [pass, position, microBatch], NaN until it has happened */
  private readonly forward: Float64Array;
  private readonly backward: Float64Array;
  private readonly schedule: Schedule;
  private readonly shape: PipelineShape;
  private readonly seconds: PipelineSeconds;

  constructor(schedule: Schedule, shape: PipelineShape, seconds: PipelineSeconds) {
    this.positions = schedule.positions(shape);
    this.microBatches = shape.microBatches;
    this.forward = new Float64Array(2 * this.positions * this.microBatches).fill(Number.NaN);
    this.backward = this.forward.slice();
    this.schedule = schedule;
    this.shape = shape;
    this.seconds = seconds;
  }

  /** When all that a slot needs has arrived; undefined while something is missing. */
  of(slot: Slot): number | undefined {
    let ready = 0;
    for (const work of slot) ready = Math.max(ready, this.needs(work)); // NaN stays NaN
    return Number.isNaN(ready) ? undefined : ready;
  }

  private needs({ kind, pass, position, microBatch }: Work): number {
    if (kind === "weight-gradient") return 0; // its input gradient was on the same device, before
    const at = this.index(pass, position, microBatch);
    if (kind === "forward") return position === 0 ? 0 : this.forward[at - this.microBatches]!;
    return position === this.positions - 1 ? 0 : this.backward[at + this.microBatches]!;
  }

  /** Notes that a work is done. @returns devices that may have been waiting for it */
  note({ kind, pass, position, microBatch }: Work, end: number): number[] {
    if (kind === "weight-gradient") return [];
    const isForward = kind === "forward";
    const to = position + (isForward ? 1 : -1);
    if (to < 0 || to >= this.positions) return [];
    const from = this.schedule.deviceOf(pass, position, this.shape);
    const device = this.schedule.deviceOf(pass, to, this.shape);
    const arrival = end + (from === device ? 0 : this.seconds.send(from, device));
    (isForward ? this.forward : this.backward)[this.index(pass, position, microBatch)] = arrival;
    return [device];
  }

  private index(pass: number, position: number, microBatch: number): number {
    return (pass * this.positions + position) * this.microBatches + microBatch;
  }
}
