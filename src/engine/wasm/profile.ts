/**
 * Where the time of a step goes, by layer and part, as thread 0 sees it. The program says when it begins a layer and
 * ends a part; what it waited for other threads is kept apart. Without a profile the same calls do nothing.
 */
import type { TimedPart } from "../engine.ts";

export type Direction = "forward" | "backward";

export interface Laps {
  /** What follows belongs to a layer, or, without one, to what is outside of all. */
  enter(direction: Direction, layer?: number): void;
  /** A part is over: it took the time since the one before. */
  lap(part: string): void;
}

export const noLaps: Laps = { enter: () => {}, lap: () => {} };

export class Profile implements Laps {
  private readonly clock: () => number;
  private readonly milliseconds = new Map<string, TimedPart>();
  private direction: Direction = "forward";
  private layer: number | undefined;
  private since: number;
  private waited = 0;
  private running = false;

  /** @param clock milliseconds from any beginning */
  constructor(clock: () => number) {
    this.clock = clock;
    this.since = clock();
  }

  /** A training step begins. What is done outside of one, such as an evaluation, belongs to no part. */
  start(): void {
    this.running = true;
    this.since = this.clock();
    this.waited = 0;
  }

  stop(): void {
    this.running = false;
  }

  enter(direction: Direction, layer?: number): void {
    this.direction = direction;
    this.layer = layer;
  }

  lap(part: string): void {
    if (!this.running) return;
    const now = this.clock();
    this.add(part, this.layer, this.direction, now - this.since - this.waited);
    this.add("waiting for other threads", undefined, this.direction, this.waited);
    this.since = now;
    this.waited = 0;
  }

  /** Runs what waits for the other threads. */
  wait(meeting: () => void): void {
    const start = this.clock();
    meeting();
    this.waited += this.clock() - start;
  }

  /** In the order in which they came up. */
  parts(): TimedPart[] {
    return [...this.milliseconds.values()];
  }

  private add(part: string, layer: number | undefined, direction: Direction, time: number): void {
    if (time === 0) return;
    const key = `${layer} ${part}`;
    const sum = this.milliseconds.get(key) ?? { part, layer, forward: 0, backward: 0 };
    this.milliseconds.set(key, { ...sum, [direction]: sum[direction] + time });
  }
}
