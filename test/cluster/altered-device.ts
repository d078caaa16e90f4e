/** A device with other constants. */
import type { Device } from "../../src/cluster/device.ts";

export function altered(device: Device, change: { memory?: number; peak?: number; cores?: number }): Device {
  const scaled = (sourced: Device["cores"], factor = 1) => ({ ...sourced, value: sourced.value * factor });
  return {
    ...device,
    memoryBytesPerSecond: scaled(device.memoryBytesPerSecond, change.memory),
    peakFlopsPerSecond: scaled(device.peakFlopsPerSecond, change.peak),
    cores: { ...device.cores, value: change.cores ?? device.cores.value },
  };
}
