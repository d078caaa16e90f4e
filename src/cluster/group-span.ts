/** How a group of devices lies on the levels of a topology. */
import { type Topology, topologyDevices } from "./topology.ts";

/** A group that occupies the same number of units of each level wherever it is present; most groups of a layout do. */
export interface GroupSpan {
  /** [levels] units of the level below that the group occupies in each of its units; the product is the group's size. */
  readonly units: readonly number[];
}

/**
 * @param group devices, ascending
 * @throws RangeError if a device lies beyond the topology, or the group does not occupy its units evenly
 */
export function spanOf(group: readonly number[], topology: Topology): GroupSpan {
  const last = group.at(-1) ?? 0;
  const joined = topologyDevices(topology);
  if (last >= joined) throw new RangeError(`device ${last} lies beyond the ${joined} that "${topology.title}" joins`);
  let width = 1;
  let occupied = group.length;
  const units: number[] = [];
  for (const { size } of topology.levels) {
    width *= size.value;
    let outer = 0;
    let unit = -1;
    for (const device of group) {
      if (Math.floor(device / width) === unit) continue;
      unit = Math.floor(device / width);
      outer++;
    }
    const inEach = occupied / outer;
    if (!Number.isInteger(inEach)) {
      throw new RangeError(
        `a group of ${group.length} devices from device ${group[0]} on does not fill the units of "${topology.title}" evenly; choose degrees that divide the ${size.value} of a level`,
      );
    }
    units.push(inEach);
    occupied = outer;
  }
  return { units };
}

/** The innermost level that two devices share. */
export function commonLevel(a: number, b: number, { levels }: Topology): number {
  let width = 1;
  return Math.max(
    0,
    levels.findIndex(({ size }) => {
      width *= size.value;
      return Math.floor(a / width) === Math.floor(b / width);
    }),
  );
}

/** Why spans cannot be worked out, if they cannot. */
export function spanProblems(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}
