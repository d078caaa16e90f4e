/**
 * What the cost model knows of the links between devices, from the innermost level outwards.
 *
 * Devices are numbered so that neighbours share the inner levels: with levels of 8 and 128, devices 0 … 7 are the
 * first server.
 */
import { integerPower } from "../core/elementary.ts";
import type { Sourced } from "./sourced.ts";

export interface Level {
  readonly title: string;
  /** Units of the level below that this one joins; devices at the innermost. */
  readonly size: Sourced<number>;
  /**
   * mesh: every two units have a link of their own, and the bandwidth is the sum of a device's links;
   * switch: a device may spend all its bandwidth on any peer.
   */
  readonly wiring: Sourced<"mesh" | "switch">;
  /** Levels with the same port share its lanes and wait for one another; different ports run at the same time. */
  readonly port: string;
  /** Line rate out of one device, in one direction. */
  readonly bytesPerSecond: Sourced<number>;
  /** Achieved share of the line rate. */
  readonly efficiency: Sourced<number>;
  readonly latencySeconds: Sourced<number>;
}

export interface Topology {
  readonly title: string;
  readonly levels: readonly Level[];
  /** What every collective costs before the first byte moves. */
  readonly collectiveSeconds: Sourced<number>;
  /** Size-dependent ramp: a collective of at least this many bytes a device takes the bulk protocol, and its start. */
  readonly bulk: { readonly fromBytes: Sourced<number>; readonly startSeconds: Sourced<number> };
  /**
   * Achieved share of the links' bandwidth in an all-to-all, by group size: one number for each of 8, 16, 32 and more
   * devices; smaller groups take the first. Linear in between.
   */
  readonly allToAllShare: Sourced<readonly number[]>;
  /** The same for all-gather and reduce-scatter, whatever the size. */
  readonly gatherShare: Sourced<number>;
}

/** How many devices a topology joins. */
export function topologyDevices({ levels }: Pick<Topology, "levels">): number {
  return levels.reduce((devices, { size }) => devices * size.value, 1);
}

/**
 * Line rate of a device among `group` units of a level. In a mesh only the links to members of the group serve it:
 * (group − 1)/(size − 1) of the whole (Ascend/msmodeling, 84fec853). A group of two is one link.
 */
export function groupBytesPerSecond(level: Level, group: number): number {
  if (level.wiring.value === "switch") return level.bytesPerSecond.value;
  return (level.bytesPerSecond.value * (group - 1)) / (level.size.value - 1);
}

/** Share of the bandwidth that an all-to-all of `group` devices achieves. */
export function allToAllShareOf({ allToAllShare }: Topology, group: number): number {
  const shares = allToAllShare.value;
  let at = 0;
  for (let size = 8; size * 2 <= group; size *= 2) at++;
  const first = shares[Math.min(at, shares.length - 1)]!;
  const next = shares[Math.min(at + 1, shares.length - 1)]!;
  const lower = 8 * integerPower(2, at);
  return group <= lower ? first : first + (next - first) * (group / lower - 1); // linear between powers of two
}
