/** The cluster that a config names, and the names it can choose from. */
import { type DeviceName, devices } from "./devices.ts";
import type { Cluster } from "./moe-layer.ts";
import { type TopologyName, topologies } from "./topologies.ts";

export const deviceNames = Object.keys(devices) as DeviceName[];
export const topologyNames = Object.keys(topologies) as TopologyName[];

export function clusterOf({ device, topology }: { device: DeviceName; topology: TopologyName }): Cluster {
  return { device: devices[device], topology: topologies[topology] };
}
