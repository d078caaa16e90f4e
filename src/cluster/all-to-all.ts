/**
 * Seconds of all-to-alls between the devices of a topology.
 *
 * SIMULATED figures: latency and bandwidth (α-β) with whoever has most to do deciding, a static cost for every
 * collective, and a dearer start for messages large enough to take the bulk protocol. Congestion between groups that
 * share links is not modelled: links beyond a server are taken to be non-blocking.
 */
import type { GroupSpan } from "./group-span.ts";
import { ceilingOfLog2, PortClock } from "./ports.ts";
import { allToAllShareOf, groupBytesPerSecond, type Topology } from "./topology.ts";

/**
 * Seconds of an all-to-all in which every pair has its own number of bytes. What stays on its device is free, and
 * without traffic there is no collective.
 *
 * Each level carries the pairs whose innermost common level it is. Behind a switch the largest sender or receiver
 * decides; in a full mesh the busiest link does, which comes to the same when a sender treats its peers alike.
 * Latency is taken ⌈log2 n⌉ times for n units (Ascend/msmodeling, 84fec853).
 * @param bytes [D, D], row sends to column
 * @throws RangeError if the matrix is not square or has more devices than the topology
 */
export function allToAllSeconds(bytes: Float64Array, topology: Topology): number {
  const devices = squareSide(bytes);
  const ports = new PortClock(topology);
  const share = allToAllShareOf(topology, devices);
  let inner = 1;
  let busiestPair = 0;
  for (const level of topology.levels) {
    const outer = inner * level.size.value;
    const mesh = level.wiring.value === "mesh";
    const { link, endpoint } = busiestBytes(bytes, devices, inner, outer);
    busiestPair = Math.max(busiestPair, link);
    if (endpoint > 0) {
      const steps = ceilingOfLog2(Math.min(level.size.value, Math.ceil(devices / inner)));
      const rate = groupBytesPerSecond(level, 2) * level.efficiency.value * share;
      ports.add(level.port, steps * level.latencySeconds.value + (mesh ? link : endpoint) / rate);
    }
    inner = outer;
  }
  if (devices > inner) {
    throw new RangeError(`all-to-all: ${devices} devices, but "${topology.title}" has ${inner}; use a larger topology`);
  }
  return ports.seconds(busiestPair);
}

/**
 * The same for sources that all send alike, as ranks of one expert-parallel group do: every source sends a D-th of
 * what a destination receives. Needs no matrix: O(D) for each level, with all that does not depend on bytes worked out
 * once.
 */
export class EvenAllToAll {
  private readonly devices: number;
  private readonly ports: PortClock;
  private readonly levels: readonly EvenLevel[];

  constructor(span: GroupSpan, topology: Topology) {
    this.devices = span.units.reduce((product, units) => product * units, 1);
    this.ports = new PortClock(topology);
    const share = allToAllShareOf(topology, this.devices);
    const levels: EvenLevel[] = [];
    let inner = 1;
    for (const [l, units] of span.units.entries()) {
      if (units === 1) continue;
      const level = topology.levels[l]!;
      const mesh = level.wiring.value === "mesh";
      levels.push({
        port: level.port,
        latency: ceilingOfLog2(units) * level.latencySeconds.value,
        rate: (mesh ? groupBytesPerSecond(level, 2) : level.bytesPerSecond.value) * (level.efficiency.value * share),
        mesh,
        inner,
        outer: inner * units,
      });
      inner *= units;
    }
    this.levels = levels;
  }

  /**
   * @param received [D] what each rank of the group receives, its own share included
   * @param bytesEach of one unit of it
   */
  seconds(received: Float64Array, bytesEach: number): number {
    const { devices, ports } = this;
    let largest = 0;
    for (let rank = 0; rank < received.length; rank++) if (received[rank]! > largest) largest = received[rank]!;
    const most = largest * bytesEach;
    if (devices === 1 || most === 0) return 0;
    ports.reset();
    for (const { port, latency, rate, mesh, inner, outer } of this.levels) {
      if (mesh) {
        // The busiest link leads to the rank that receives most; units hold `inner` ranks of which each has its links.
        ports.add(port, latency + most / devices / rate);
      } else {
        const receives = (most / devices) * (outer - inner);
        const sends = mostSentWithin(received, bytesEach, inner, outer) / devices;
        ports.add(port, latency + Math.max(receives, sends) / rate);
      }
    }
    return ports.seconds(most / devices);
  }
}

interface EvenLevel {
  readonly port: string;
  readonly latency: number;
  /** Bytes a second of a link in a mesh, of a device behind a switch. */
  readonly rate: number;
  readonly mesh: boolean;
  /** Ranks of a unit of the level below, and of one of this level. */
  readonly inner: number;
  readonly outer: number;
}

/** @param received [D] bytes that each rank of the group receives, its own share included */
export const evenAllToAllSeconds = (received: Float64Array, span: GroupSpan, topology: Topology): number =>
  new EvenAllToAll(span, topology).seconds(received, 1);

/** What the subunit that keeps least of its unit's bytes sends to the others of the unit. */
function mostSentWithin(received: Float64Array, bytesEach: number, inner: number, outer: number): number {
  let most = 0;
  for (let unit = 0; unit < received.length; unit += outer) {
    let total = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let subunit = unit; subunit < unit + outer; subunit += inner) {
      let own = 0;
      for (let rank = subunit; rank < subunit + inner; rank++) own += received[rank]! * bytesEach;
      total += own;
      least = Math.min(least, own);
    }
    most = Math.max(most, total - least);
  }
  return most;
}

/**
 * An all-to-all in two stages: every token crosses once to each node that needs it, to the rank of its own place
 * there, which then fans it out inside.
 * @param received [D] bytes that each rank needs
 * @param receivedByNode [nodes] bytes of distinct tokens that each node needs; the nodes in the order of the ranks
 */
export function hierarchicalAllToAllSeconds(
  received: Float64Array,
  receivedByNode: Float64Array,
  span: GroupSpan,
  topology: Topology,
  stages: "one after the other" | "side by side" = "one after the other",
): number {
  const nodes = receivedByNode.length;
  const perNode = received.length / nodes;
  if (nodes === 1 || perNode === 1) return evenAllToAllSeconds(nodes === 1 ? received : receivedByNode, span, topology);
  const innermost = innerUnits(span, perNode);
  const across = { units: span.units.map((units, l) => units / innermost[l]!) };
  // A rank of a node forwards its part of what the node receives.
  const between = evenAllToAllSeconds(
    receivedByNode.map((bytes) => bytes / perNode),
    across,
    topology,
  );
  let within = 0;
  for (let node = 0; node < nodes; node++) {
    const own = received.subarray(node * perNode, (node + 1) * perNode);
    within = Math.max(within, evenAllToAllSeconds(own, { units: innermost }, topology));
  }
  return stages === "side by side" ? Math.max(between, within) : between + within;
}

/** How the ranks of one node lie on the levels: the innermost levels up to `perNode` ranks. */
function innerUnits({ units }: GroupSpan, perNode: number): number[] {
  let left = perNode;
  return units.map((each) => {
    const taken = Math.min(each, left);
    left = Math.max(1, left / taken);
    return taken;
  });
}

/** D of a matrix [D, D]. @throws RangeError if it is not square */
export function squareSide(matrix: Float64Array): number {
  const side = Math.round(Math.sqrt(matrix.length));
  if (side * side !== matrix.length) {
    throw new RangeError(`traffic: ${matrix.length} numbers are not a square matrix of devices`);
  }
  return side;
}

/** Most bytes on one link, and out of or into one device, of pairs in one unit of `outer` but not of `inner`. */
function busiestBytes(
  bytes: Float64Array,
  devices: number,
  inner: number,
  outer: number,
): { readonly link: number; readonly endpoint: number } {
  const sent = new Float64Array(devices);
  const received = new Float64Array(devices);
  let link = 0;
  for (let s = 0; s < devices; s++) {
    const first = Math.floor(s / outer) * outer;
    for (let d = first; d < Math.min(first + outer, devices); d++) {
      if (Math.floor(s / inner) === Math.floor(d / inner)) continue;
      const amount = bytes[s * devices + d]!;
      link = Math.max(link, amount);
      sent[s] = sent[s]! + amount;
      received[d] = received[d]! + amount;
    }
  }
  return { link, endpoint: Math.max(0, ...sent, ...received) };
}
