/** Slow twin of the kernels of experts: every product is written out, one an expert. */
import type { Device } from "../../src/cluster/device.ts";
import { blended, type Gemm, memorySeconds } from "../../src/cluster/kernels.ts";

/**
 * Seconds of one kernel that computes many products, one an expert: start + (compute^p + memory^p)^(1/p).
 * @param resultBytes moved for each value of a result
 */
export function groupedTwin(gemms: readonly Gemm[], operandBytes: number, resultBytes: number, device: Device): number {
  const filled = gemms.filter(({ rows, columns, depth }) => rows * columns * depth > 0);
  if (filled.length === 0) return 0;
  const bytes = filled.reduce(
    (sum, { rows, columns, depth }) =>
      sum + (rows * depth + depth * columns) * operandBytes + rows * columns * resultBytes,
    0,
  );
  const { cores, tile, efficiency, peakFlopsPerSecond, overheadSeconds, blend } = device;
  const wave = cores.value * 2 * tile.rows.value * tile.columns.value;
  const compute = (depthsOfWaves(filled, device) * wave) / (efficiency.groupedGemm.value * peakFlopsPerSecond.value);
  return overheadSeconds.matrixKernel.value + blended(compute, memorySeconds(bytes, device), blend.value);
}

/** Deals out every strip of a tile, those of the deepest products first, to all cores at a time. */
function depthsOfWaves(gemms: readonly Gemm[], { tile, cores }: Device): number {
  const stripsOfWave = cores.value * (tile.rows.value / tile.rowStep.value);
  const strips: number[] = [];
  for (const { rows, columns, depth } of gemms) {
    for (let row = 0; row < rows; row += tile.rowStep.value) {
      for (let column = 0; column < columns; column += tile.columns.value) strips.push(depth);
    }
  }
  strips.sort((a, b) => b - a);
  let depths = 0;
  for (let strip = 0; strip < strips.length; strip += stripsOfWave) depths += strips[strip]!;
  return depths;
}
