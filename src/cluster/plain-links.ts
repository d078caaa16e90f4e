/** Links of which no more is known than bandwidth and latency. */
import { assumed, type Sourced } from "./sourced.ts";
import type { Topology } from "./topology.ts";

export const UNKNOWN_SHARE = "no size sweep known; the links' own share stands";

export const MIB = 1024 * 1024;
/** No ramp: the links' latency and the static cost of a collective are all. */
export const noRamp = (source: string): Topology["bulk"] => ({
  fromBytes: assumed(0.5 * MIB, source),
  startSeconds: assumed(0, source),
});
export const flatShare: Sourced<readonly number[]> = assumed([1], UNKNOWN_SHARE);
export const wholeShare = assumed(1, UNKNOWN_SHARE);
