/**
 * Seconds of collective operations between the devices of a topology.
 *
 * SIMULATED figures: latency and bandwidth (α-β) with whoever has most to do deciding. Messages go straight to their
 * destination; gathering them per server first (hierarchical all-to-all), size-dependent bandwidth and overlap with
 * compute are not modelled.
 */
import { groupBytesPerSecond, type Topology } from "./topologies.ts";

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
  const secondsOfPort = new Map<string, number>();
  let inner = 1;
  for (const level of topology.levels) {
    const outer = inner * level.size.value;
    const busiest = busiestBytes(bytes, devices, inner, outer, level.wiring.value === "mesh");
    if (busiest > 0) {
      const steps = ceilingOfLog2(Math.min(level.size.value, Math.ceil(devices / inner)));
      const rate = groupBytesPerSecond(level, 2) * level.efficiency.value;
      const seconds = steps * level.latencySeconds.value + busiest / rate;
      secondsOfPort.set(level.port, (secondsOfPort.get(level.port) ?? 0) + seconds);
    }
    inner = outer;
  }
  if (devices > inner) {
    throw new RangeError(`all-to-all: ${devices} devices, but "${topology.title}" has ${inner}; use a larger topology`);
  }
  return secondsOfPort.size === 0 ? 0 : topology.collectiveSeconds.value + Math.max(...secondsOfPort.values());
}

/** D of a matrix [D, D]. @throws RangeError if it is not square */
export function squareSide(matrix: Float64Array): number {
  const side = Math.round(Math.sqrt(matrix.length));
  if (side * side !== matrix.length) {
    throw new RangeError(`traffic: ${matrix.length} numbers are not a square matrix of devices`);
  }
  return side;
}

/** Most bytes on one link (mesh), or out of or into one device, of pairs in one unit of `outer` but not of `inner`. */
function busiestBytes(bytes: Float64Array, devices: number, inner: number, outer: number, mesh: boolean): number {
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
  return mesh ? link : Math.max(0, ...sent, ...received);
}

function ceilingOfLog2(count: number): number {
  let steps = 0;
  for (let reached = 1; reached < count; reached *= 2) steps++;
  return steps;
}
