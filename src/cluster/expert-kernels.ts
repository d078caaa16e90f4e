/**
 * Seconds of the kernels of one device's experts, from sums over their loads: the formulas of `groupedGemmSeconds` with
 * all that does not depend on loads worked out once. A test holds the two to one another. SIMULATED figures.
 */
import type { Job } from "./job.ts";
import { blended, memorySeconds, waveSeconds } from "./kernels.ts";

/** What the kernels of a device's experts have in common. */
export interface ExpertShape {
  readonly h: number;
  readonly f: number;
  readonly tileRows: number;
  readonly rowStep: number;
  readonly cores: number;
  /** Tiles across a width. */
  readonly hColumns: number;
  readonly fColumns: number;
  readonly gateUpColumns: number;
  /** Tiles of one expert's weight gradients. */
  readonly downTiles: number;
  readonly gateUpTiles: number;
  /** Seconds of a wave for each unit of depth. */
  readonly wave: number;
  /** Seconds of a value of activations, and of a byte. */
  readonly perRow: number;
  readonly perByte: number;
  readonly gradientBytes: number;
  /** Share of a device's rows by which the last wave of its weight gradients may be deeper than perfect packing. */
  readonly spareWave: number;
  readonly start: number;
  readonly vector: number;
  readonly p: number;
}

export function expertShape({ device, model, layout, bytesPerValue, bytesPerGradient }: Job): ExpertShape {
  const h = model.hiddenSize;
  const f = model.expertHiddenSize / layout.expertTensor;
  const { tile, efficiency, overheadSeconds } = device;
  const across = (columns: number) => Math.ceil(columns / tile.columns.value);
  const perByte = memorySeconds(1, device);
  const heights = (rows: number) => Math.ceil(rows / tile.rowStep.value) * (tile.rowStep.value / tile.rows.value);
  const downTiles = heights(f) * across(h);
  const gateUpTiles = heights(h) * across(2 * f);
  return {
    h,
    f,
    tileRows: tile.rows.value,
    rowStep: tile.rowStep.value,
    cores: device.cores.value,
    hColumns: across(h),
    fColumns: across(f),
    gateUpColumns: across(2 * f),
    downTiles,
    gateUpTiles,
    wave: waveSeconds(device, efficiency.groupedGemm.value),
    perRow: perByte * bytesPerValue,
    perByte,
    gradientBytes: bytesPerGradient,
    spareWave: device.cores.value / Math.min(downTiles, gateUpTiles),
    start: overheadSeconds.matrixKernel.value,
    vector: overheadSeconds.vectorKernel.value,
    p: device.blend.value,
  };
}

/** What a device's experts compute. */
export interface Loads {
  /** Assignments. */
  readonly rows: number;
  /** Tiles of rows, the last of each expert only as high as it needs to be. */
  readonly tiles: number;
  /** Experts that have any. */
  readonly filled: number;
}

/** Assignments of an expert that `tokens` tokens pick so often. */
export const assignmentsOf = (picks: number, tokens: number): number => Math.floor(picks * tokens + 0.5);

/**
 * Loads of one device's experts, largest first: weight gradients are as deep as their expert has tokens.
 * @param sorted [count] filled in
 */
export function sortLoads(
  { rowStep, tileRows }: ExpertShape,
  picks: Float64Array,
  from: number,
  tokens: number,
  sorted: Float64Array,
): Loads {
  let filled = 0;
  let rows = 0;
  let steps = 0;
  for (let e = from; e < from + sorted.length; e++) {
    const load = assignmentsOf(picks[e]!, tokens);
    if (load === 0) continue;
    rows += load;
    steps += Math.ceil(load / rowStep);
    let at = filled++;
    for (; at > 0 && sorted[at - 1]! < load; at--) sorted[at] = sorted[at - 1]!;
    sorted[at] = load;
  }
  return { rows, tiles: steps * (rowStep / tileRows), filled };
}

/** Rows are put in the order of the experts when they come in and back when they leave. */
const movingSeconds = ({ h, vector, perRow }: ExpertShape, rows: number) => 2 * vector + 4 * rows * h * perRow;

/** Gate and up, SwiGLU (reads two, writes one), down. */
export function forwardSeconds(shape: ExpertShape, loads: Loads): number {
  const { h, f, vector, perRow } = shape;
  return (
    productSeconds(shape, loads, 2 * f, h, shape.gateUpColumns) +
    productSeconds(shape, loads, h, f, shape.hColumns) +
    (vector + 3 * loads.rows * f * perRow) +
    movingSeconds(shape, loads.rows)
  );
}

/** Gradients of inputs; SwiGLU backward also reads its gradient and writes two. */
export function inputSeconds(shape: ExpertShape, loads: Loads): number {
  const { h, f, vector, perRow } = shape;
  return (
    productSeconds(shape, loads, f, h, shape.fColumns) +
    productSeconds(shape, loads, h, 2 * f, shape.hColumns) +
    (vector + 5 * loads.rows * f * perRow) +
    movingSeconds(shape, loads.rows)
  );
}

/** Weight gradients of gate, up and down. @param sorted as `sortLoads` left it */
export function weightSeconds(shape: ExpertShape, loads: Loads, sorted: Float64Array): number {
  const { h, f } = shape;
  return (
    gradientSeconds(shape, loads, sorted, f, h, shape.downTiles) +
    gradientSeconds(shape, loads, sorted, h, 2 * f, shape.gateUpTiles)
  );
}

/** All rows through the weights [depth, columns] of their experts. */
function productSeconds(
  { wave, perRow, cores, start, p }: ExpertShape,
  { rows, tiles, filled }: Loads,
  columns: number,
  depth: number,
  columnTiles: number,
): number {
  const compute = Math.ceil((tiles * columnTiles) / cores) * depth * wave;
  const memory = (rows * (depth + columns) + filled * depth * columns) * perRow;
  return start + blended(compute, memory, p);
}

/** Weight gradients [height, width] of experts with so many tokens, added to what is already there. */
function gradientSeconds(
  { wave, perRow, perByte, gradientBytes, cores, start, p }: ExpertShape,
  { rows, filled }: Loads,
  sorted: Float64Array,
  height: number,
  width: number,
  tilesEach: number,
): number {
  let waves = 0;
  let depths = 0;
  for (let i = 0; i < filled; i++) {
    const reached = Math.ceil(((i + 1) * tilesEach) / cores);
    depths += (reached - waves) * sorted[i]!;
    waves = reached;
  }
  const traffic = rows * (height + width) * perRow + 2 * filled * height * width * gradientBytes * perByte;
  return start + blended(depths * wave, traffic, p);
}
