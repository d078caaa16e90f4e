/**
 * Seconds of single kernels on one device: matrix products, and kernels that only stream memory.
 *
 * SIMULATED figures: a roofline with tile and wave quantisation, not a timing. Operands are read once and results
 * written once, so re-reads that the cache cannot hold are left out, and so are launch costs hidden by a queue.
 * The compute side is bf16 whatever `bytesPerValue` says; that only sets the traffic.
 */
import { exp, log } from "../core/elementary.ts";
import type { Device } from "./device.ts";

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
export function gemmSeconds({ rows, columns, depth }: Gemm, bytesPerValue: number, device: Device): number {
  if (rows * columns * depth === 0) return 0;
  const { tile, cores } = device;
  const tiles = Math.ceil(rows / tile.rows.value) * Math.ceil(columns / tile.columns.value);
  const waves = Math.ceil(tiles / cores.value);
  const values = rows * depth + depth * columns + rows * columns;
  const compute = waves * depth * waveSeconds(device, device.efficiency.gemm.value);
  return device.overheadSeconds.matrixKernel.value + Math.max(compute, memorySeconds(values * bytesPerValue, device));
}

/**
 * Seconds of one kernel that computes many products, one an expert: the tiles of all are pooled before they are cut
 * into waves, and an expert without tokens costs nothing, not even the reading of its weights. The last tile of an
 * expert is only as high as its tokens need, in steps of the matrix unit (`tile.rowStep`).
 * overhead + (compute^p + memory^p)^(1/p), p the device's blend: the knee between reading weights and computing is
 * soft, and a few tokens an expert leave the kernel bound by the weights it reads.
 *
 * On the efficiency. `groupedGemm` was fitted to raw FLOP: the extra seconds of MegaMoE for each extra token. Applying
 * it to tiles could count the padding twice. It does not: the padding of an expert's last tile is half a tile on
 * average however many tokens there are, so it drops out of a *marginal* cost, and at the sizes of the fit (512 to
 * 1024 tokens an expert, a thousand tiles) the unfilled last wave is 1 %. What the figure does contain, and a reader
 * should know, is whatever dispatch, combine and activation the fused kernel could not hide, while here those are
 * priced apart: compute is on the slow side, by a tenth if the only utilisation published for grouped products alone
 * (0.67) holds. The plain `gemm` efficiency on tiles would be the other extreme; nobody has published it for experts.
 */
export function groupedGemmSeconds(gemms: readonly Gemm[], bytesPerValue: number, device: Device): number {
  let values = 0;
  for (const { rows, columns, depth } of gemms) {
    if (rows * columns * depth > 0) values += rows * depth + depth * columns + rows * columns;
  }
  if (values === 0) return 0;
  const filled = gemms.filter(({ rows, columns, depth }) => rows * columns * depth > 0);
  const compute = depthOfWaves(filled, device) * waveSeconds(device, device.efficiency.groupedGemm.value);
  const memory = memorySeconds(values * bytesPerValue, device);
  return device.overheadSeconds.matrixKernel.value + blended(compute, memory, device.blend.value);
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

export function memorySeconds(bytes: number, { memoryBytesPerSecond, efficiency }: Device): number {
  return bytes / (efficiency.memory.value * memoryBytesPerSecond.value);
}

/** Seconds for each unit of depth of one wave: a tile on every core. */
export function waveSeconds({ tile, cores, peakFlopsPerSecond }: Device, efficiency: number): number {
  return (cores.value * 2 * tile.rows.value * tile.columns.value) / (efficiency * peakFlopsPerSecond.value);
}

/** Rows up to the next whole step. */
const stepped = (rows: number, step: number): number => Math.ceil(rows / step) * step;

/**
 * Depths of the deepest tile of each wave, added up, the deepest tiles going first. Products of equal depth give
 * waves · depth. Weight gradients are as deep as their expert has tokens; sorting makes their sum rise with every
 * token, and exceed perfect packing by less than the deepest tile.
 */
function depthOfWaves(gemms: readonly Gemm[], { tile, cores }: Device): number {
  let tiles = 0;
  let depths = 0;
  for (const { rows, columns, depth } of gemms.toSorted((a, b) => b.depth - a.depth)) {
    const startedBefore = Math.ceil(tiles / cores.value);
    tiles += (stepped(rows, tile.rowStep.value) / tile.rows.value) * Math.ceil(columns / tile.columns.value);
    depths += (Math.ceil(tiles / cores.value) - startedBefore) * depth;
  }
  return depths;
}
