/**
 * Seconds of single kernels on one device: matrix products, and kernels that only stream memory.
 *
 * SIMULATED figures: a roofline with tile and wave quantisation, not a timing. Operands are read once and results
 * written once, so re-reads that the cache cannot hold are left out, and so are launch costs hidden by a queue.
 * How fast the matrix units compute follows from the number format of the operands, traffic from the bytes of a value.
 */
import { exp, log } from "../core/elementary.ts";
import type { Device } from "./device.ts";

export const formats = {
  bf16: "sixteen bits: bf16 or fp16",
  fp8: "operands of products with weights in 8 bits, with scales; results, and all other work, in 16, as DeepSeek-V3 does",
} as const;

export type Format = keyof typeof formats;

/** One product [rows, depth] · [depth, columns]. */
export interface Gemm {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/**
 * Seconds of one matrix product: overhead + max(compute, memory), where compute counts whole waves of whole tiles:
 * waves = ⌈⌈rows/tileRows⌉ · ⌈columns/tileColumns⌉ / cores⌉, each cores · 2 · tileRows · tileColumns · depth FLOP.
 */
export function gemmSeconds(
  { rows, columns, depth }: Gemm,
  bytesPerValue: number,
  device: Device,
  format: Format = "bf16",
): number {
  if (rows * columns * depth === 0) return 0;
  const { tile, cores } = device;
  const tiles = Math.ceil(rows / tile.rows.value) * Math.ceil(columns / tile.columns.value);
  const waves = Math.ceil(tiles / cores.value);
  const operands = (rows * depth + depth * columns) * operandBytes(bytesPerValue, format);
  const compute = waves * depth * waveSeconds(device, gemmShare(device, format), format);
  const memory = memorySeconds(operands + rows * columns * bytesPerValue, device);
  return device.overheadSeconds.matrixKernel.value + Math.max(compute, memory);
}

/** (a^p + b^p)^(1/p), computed from their ratio so that nothing overflows. @param p 1 is the sum; more is nearer the maximum */
export function blended(a: number, b: number, p: number): number {
  const most = Math.max(a, b);
  if (most === 0) return 0;
  const ratio = Math.min(a, b) / most;
  if (ratio < 1e-12 || p === Number.POSITIVE_INFINITY) return most;
  if (p === 2) return most * Math.sqrt(1 + ratio * ratio);
  return most * exp(log(1 + exp(p * log(ratio))) / p);
}

/** Seconds of an elementwise kernel that reads and writes `bytes` in all. No bytes, no kernel. */
export function streamSeconds(bytes: number, device: Device): number {
  return bytes === 0 ? 0 : device.overheadSeconds.vectorKernel.value + memorySeconds(bytes, device);
}

export const memorySeconds = (bytes: number, device: Device): number => bytes / achievedBandwidth(device);

/** Bytes a second. */
export const achievedBandwidth = ({ memoryBytesPerSecond, efficiency }: Device): number =>
  efficiency.memory.value * memoryBytesPerSecond.value;

/** Of an operand's value in memory. */
export const operandBytes = (bytesPerValue: number, format: Format): number => (format === "fp8" ? 1 : bytesPerValue);

/** Seconds for each unit of depth of one wave: a tile on every core. @param share achieved share of the peak */
export function waveSeconds(device: Device, share: number, format: Format): number {
  const { tile, cores } = device;
  return (cores.value * 2 * tile.rows.value * tile.columns.value) / (share * peakOf(device, format));
}

/** @throws RangeError if the device has no 8-bit floats */
function peakOf(device: Device, format: Format): number {
  return format === "bf16" ? device.peakFlopsPerSecond.value : fp8Of(device).flopsPerSecond.value;
}

function gemmShare(device: Device, format: Format): number {
  return format === "bf16" ? device.efficiency.gemm.value : fp8Of(device).gemm!.value;
}

function fp8Of({ eightBit, title }: Device): NonNullable<Device["eightBit"]> {
  if (eightBit?.format.value === "fp8") return eightBit;
  throw new RangeError(`${title} has no products in fp8`);
}
