/** The cluster that a config names. */
import { type DeviceName, devices } from "./devices.ts";
import type { Cluster } from "./moe-layer.ts";
import { type TopologyName, topologies } from "./topologies.ts";

export function clusterOf({ device, topology }: { device: DeviceName; topology: TopologyName }): Cluster {
  return { device: devices[device], topology: topologies[topology] };
}
