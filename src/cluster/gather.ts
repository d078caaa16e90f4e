/**
 * Seconds and bytes of all-gathers, reduce-scatters and messages between the devices of a topology. SIMULATED figures:
 * latency and bandwidth, a static cost for every collective, and a dearer start for large messages.
 */
import type { GroupSpan } from "./group-span.ts";
import { ceilingOfLog2, PortClock } from "./ports.ts";
import { groupBytesPerSecond, type Topology } from "./topology.ts";

/**
 * Seconds of an all-gather, or of the reduce-scatter that undoes it: the cheaper of two ways.
 * Direct: everyone sends its part to each peer, ports in parallel. By levels: the parts are first gathered between
 * the outer units and then inside, so that (g − 1)/g · bytes / (devices of the inner levels) cross a level of g units.
 * @param bytes of the whole, gathered; each of the n devices holds an n-th
 */
export const gatherSeconds = (bytes: number, span: GroupSpan, topology: Topology): number =>
  gather(bytes, span, topology).seconds;

/** Bytes that one device sends over each level in it. @returns [levels] */
export const gatherBytes = (bytes: number, span: GroupSpan, topology: Topology): readonly number[] =>
  gather(bytes, span, topology).sent;

/**
 * Bytes of it from one rank of the group to another. Direct, everyone sends its part to everyone; by levels, what has
 * been gathered so far goes to those that have the same place in the other units of a level.
 * @returns of two ranks, numbered from the innermost units outwards
 */
export function gatherPairBytes(
  bytes: number,
  span: GroupSpan,
  topology: Topology,
): (from: number, to: number) => number {
  const { isDirect } = gather(bytes, span, topology);
  const devices = span.units.reduce((product, units) => product * units, 1);
  if (isDirect) return (from, to) => (from === to ? 0 : bytes / devices);
  return (from, to) => {
    let inner = 1;
    for (const units of span.units) {
      const width = inner * units;
      if (Math.floor(from / width) === Math.floor(to / width)) {
        return from !== to && from % inner === to % inner ? bytes / width : 0;
      }
      inner = width;
    }
    return 0;
  };
}

interface Gather {
  readonly seconds: number;
  readonly sent: readonly number[];
  readonly isDirect: boolean;
}

function gather(bytes: number, span: GroupSpan, topology: Topology): Gather {
  const devices = span.units.reduce((product, units) => product * units, 1);
  const sentDirectly = new Array<number>(span.units.length).fill(0);
  if (devices === 1 || bytes === 0) return { seconds: 0, sent: sentDirectly, isDirect: true };
  const sentByLevels = sentDirectly.slice();
  const direct = new PortClock(topology);
  let byLevels = 0;
  let inner = 1;
  for (let l = 0; l < span.units.length; l++) {
    const units = span.units[l]!;
    if (units === 1) continue;
    const level = topology.levels[l]!;
    const rate = groupBytesPerSecond(level, units) * level.efficiency.value * topology.gatherShare.value;
    const latency = ceilingOfLog2(units) * level.latencySeconds.value;
    sentByLevels[l] = (((units - 1) / units) * bytes) / inner;
    sentDirectly[l] = (units - 1) * inner * (bytes / devices);
    byLevels += latency + sentByLevels[l]! / rate;
    direct.add(level.port, latency + sentDirectly[l]! / rate);
    inner *= units;
  }
  const starts = direct.startSeconds(bytes / devices);
  const directly = direct.busiestSeconds();
  const isDirect = directly <= byLevels;
  return isDirect
    ? { seconds: starts + directly, sent: sentDirectly, isDirect }
    : { seconds: starts + byLevels, sent: sentByLevels, isDirect };
}

/** A reduce-scatter and the all-gather after it. */
export const allReduceSeconds = (bytes: number, span: GroupSpan, topology: Topology): number =>
  2 * gatherSeconds(bytes, span, topology);

/** Seconds of a message to a device that shares level `level` and none further in. */
export function sendSeconds(bytes: number, level: number, { levels }: Topology): number {
  const { bytesPerSecond, efficiency, latencySeconds } = levels[level]!;
  const rate = groupBytesPerSecond(levels[level]!, 2) * efficiency.value;
  return bytes === 0 || bytesPerSecond.value === 0 ? 0 : latencySeconds.value + bytes / rate;
}
