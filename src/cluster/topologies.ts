/** The table of topologies. */
import { ascendTopologies } from "./ascend-topologies.ts";
import { nvidiaTopologies } from "./nvidia-topologies.ts";

export const topologies = { ...ascendTopologies, ...nvidiaTopologies };

export type TopologyName = keyof typeof topologies;
