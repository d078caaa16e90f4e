/** What the ports of a device are busy with while a collective runs. */
import type { Topology } from "./topology.ts";

/** Adds up what goes through each port; ports run side by side, and the busiest decides. */
export class PortClock {
  private readonly topology: Topology;
  private readonly names: string[] = [];
  private readonly busy: number[] = [];

  constructor(topology: Topology) {
    this.topology = topology;
  }

  reset(): void {
    this.busy.fill(0);
  }

  add(port: string, seconds: number): void {
    const at = this.names.indexOf(port);
    if (at >= 0) this.busy[at] = this.busy[at]! + seconds;
    else {
      this.names.push(port);
      this.busy.push(seconds);
    }
  }

  busiestSeconds(): number {
    let most = 0;
    for (const seconds of this.busy) most = Math.max(most, seconds);
    return most;
  }

  /** @param pairBytes largest message between two devices */
  startSeconds(pairBytes: number): number {
    const { collectiveSeconds, bulk } = this.topology;
    return collectiveSeconds.value + (pairBytes >= bulk.fromBytes.value ? bulk.startSeconds.value : 0);
  }

  seconds(pairBytes: number): number {
    return this.names.length === 0 ? 0 : this.startSeconds(pairBytes) + this.busiestSeconds();
  }
}

/** Steps of a collective of so many units: its latencies. */
export function ceilingOfLog2(count: number): number {
  let steps = 0;
  for (let reached = 1; reached < count; reached *= 2) steps++;
  return steps;
}
