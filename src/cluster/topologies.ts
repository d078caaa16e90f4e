/**
 * The table of topologies: the links between devices, from the innermost level outwards. A new one is one entry here.
 *
 * Devices are numbered so that neighbours share the inner levels: with levels of 8 and 128, devices 0 … 7 are the
 * first server.
 */
import { assumed, derived, measured, type Sourced, vendor } from "./sourced.ts";

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
}

/** How many devices a topology joins. */
export function topologyDevices({ levels }: Topology): number {
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

const MODEL = "Ascend/msmodeling communication model at 84fec853, Huawei's own";
const HCCS = `${MODEL}, and the HCCL contest text: 7 links of 56 GB/s both ways together a card`;
const FLAT = "flat share; no public all-to-all sweep of an A2 server exists, and an AllReduce of 16 MB reached 0.32";
const STRATA = "StrataCL, arXiv:2607.26444 (read in notes)";
const GRID = `${MODEL}: grid of 48 nodes, 8 chips, 2 dies`;
const CLOS =
  "CloudMatrix384 paper, arXiv:2506.12708: two levels of UB switches, both behind the same 7 lanes of 224 Gb/s a die";
const ACHIEVED = "the bandwidth is the achieved one";
const DEFINITION = "a definition: no latency, nothing lost";

export const topologies = {
  "a2-8xhccs-roce": {
    title: "Atlas 800T A2: servers of 8 cards in an HCCS full mesh, RoCE between servers",
    levels: [
      {
        title: "HCCS",
        size: vendor(8, HCCS),
        wiring: vendor("mesh", HCCS),
        port: "HCCS",
        bytesPerSecond: vendor(196e9, HCCS),
        efficiency: assumed(0.7, FLAT),
        latencySeconds: vendor(0.5e-6, `${MODEL}, marked there as to be confirmed`),
      },
      {
        title: "RoCE",
        size: assumed(128, "largest cluster priced, 1024 cards; not a property of the network"),
        wiring: vendor("switch", MODEL),
        port: "RoCE",
        bytesPerSecond: vendor(25e9, `${MODEL}: 200 Gb/s a card`),
        efficiency: assumed(0.7, FLAT),
        latencySeconds: vendor(1.5e-6, MODEL),
      },
    ],
    collectiveSeconds: vendor(10e-6, `${MODEL}: static cost of a communication operation`),
  },
  "a3-measured": {
    title: "Atlas A3 / CloudMatrix384 as measured: two dies a chip over SIO, 8 chips a node and 48 nodes over UB",
    levels: [
      {
        title: "SIO",
        size: vendor(2, GRID),
        wiring: vendor("switch", MODEL),
        port: "SIO",
        bytesPerSecond: measured(210e9, STRATA),
        efficiency: derived(1, ACHIEVED),
        latencySeconds: vendor(0.2e-6, MODEL),
      },
      {
        title: "UB inside a node",
        size: vendor(8, GRID),
        wiring: vendor("switch", CLOS),
        port: "UB",
        bytesPerSecond: measured(170e9, STRATA),
        efficiency: derived(1, ACHIEVED),
        latencySeconds: measured(0.7e-6, STRATA),
      },
      {
        title: "UB between nodes",
        size: vendor(48, GRID),
        wiring: vendor("switch", CLOS),
        port: "UB",
        bytesPerSecond: measured(150e9, STRATA),
        efficiency: derived(1, ACHIEVED),
        latencySeconds: measured(2.1e-6, STRATA),
      },
    ],
    collectiveSeconds: assumed(
      6e-6,
      "near the 6.4-8.1 µs of small collectives on 8 A3 ranks, Horacehxw/msModeling comm_alignment_report_20260312",
    ),
  },
  ideal: {
    title: "an ideal switch: 1e11 bytes/s between any two devices",
    levels: [
      {
        title: "ideal",
        size: assumed(4096, DEFINITION),
        wiring: assumed("switch", DEFINITION),
        port: "ideal",
        bytesPerSecond: assumed(1e11, DEFINITION),
        efficiency: assumed(1, DEFINITION),
        latencySeconds: assumed(0, DEFINITION),
      },
    ],
    collectiveSeconds: assumed(0, DEFINITION),
  },
} satisfies Record<string, Topology>;

export type TopologyName = keyof typeof topologies;
