/** The table of devices: what one accelerator computes and moves in a second. */
import { ascendDevices } from "./ascend-devices.ts";
import type { Device } from "./device.ts";
import { nvidiaDevices } from "./nvidia-devices.ts";

export const devices = { ...ascendDevices, ...nvidiaDevices } satisfies Record<string, Device>;

export type DeviceName = keyof typeof devices;
