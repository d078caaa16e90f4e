/**
 * Seconds of the routed experts of one layer on the devices that share them, from how often each expert is chosen.
 *
 * SIMULATED figures, and the hot path of the cost model: everything that does not depend on the loads is worked out
 * once, and a layer of 256 experts on 64 devices then takes a few microseconds. The formulas are those of
 * `groupedGemmSeconds`; a test holds the two to one another.
 */
import { evenAllToAllSeconds, gatherSeconds, hierarchicalAllToAllSeconds } from "./collectives.ts";
import type { Job } from "./job.ts";
import { blended, memorySeconds, waveSeconds } from "./kernels.ts";
import { routedTokensOf } from "./layer-cost.ts";
import type { LayoutSpans } from "./layout.ts";
import type { RoutingProfile } from "./routing-profile.ts";

/** Seconds of the expert kernels of every device, forward, and backward for inputs and for weights. */
export interface ExpertSeconds {
  /** [D] assignments received */
  readonly rows: Float64Array;
  /** [D] */
  readonly forward: Float64Array;
  readonly inputGradient: Float64Array;
  readonly weightGradient: Float64Array;
  /** One way of the tokens, and the way back of their results. */
  readonly dispatch: number;
  readonly combine: number;
}

/** The same for the slowest device alone. */
export interface SlowestSeconds {
  forward: number;
  inputGradient: number;
  weightGradient: number;
  dispatch: number;
  combine: number;
  /** Assignments on the device that has most. */
  hottestRows: number;
}

export class ExpertCost {
  private readonly job: Job;
  private readonly spans: LayoutSpans;
  /** D of the group; each of its members stands for `expertTensor` devices that share its experts' matrices. */
  readonly devices: number;
  /** Tokens that the group routes. */
  readonly tokens: number;
  private readonly perDevice: number;
  private readonly unitOf: Int32Array;
  private readonly nodeOf: Int32Array;
  private readonly nodes: number;
  /** Loads of one device's experts, largest first. */
  private readonly sorted: Float64Array;
  private readonly shape: ExpertShape;
  /** Scratch of `slowest`, [D]. */
  private readonly totals: Record<"rows" | "tiles" | "filled" | "deepest", Float64Array>;

  constructor(job: Job, spans: LayoutSpans) {
    const { model, layout } = job;
    this.job = job;
    this.spans = spans;
    this.devices = layout.expert;
    this.tokens = routedTokensOf(job) * layout.expert * layout.expertTensor;
    this.perDevice = model.experts / layout.expert;
    this.unitOf = Int32Array.from({ length: model.experts }, (_, e) => Math.floor(e / this.perDevice));
    const inNode = spans.expert.units[0]! * (job.topology.levels.length > 2 ? spans.expert.units[1]! : 1);
    this.nodes = layout.expert / inNode;
    this.nodeOf = this.unitOf.map((unit) => Math.floor(unit / inNode));
    this.sorted = new Float64Array(this.perDevice);
    this.shape = expertShape(job);
    const scratch = () => new Float64Array(layout.expert);
    this.totals = { rows: scratch(), tiles: scratch(), filled: scratch(), deepest: scratch() };
  }

  evaluate(profile: RoutingProfile): ExpertSeconds {
    const { devices } = this;
    const rows = new Float64Array(devices);
    const forward = new Float64Array(devices);
    const inputGradient = new Float64Array(devices);
    const weightGradient = new Float64Array(devices);
    this.kernels(profile.picks, rows, forward, inputGradient, weightGradient);
    const [dispatch, combine] = this.transfers(profile, rows);
    return { rows, forward, inputGradient, weightGradient, dispatch, combine };
  }

  /**
   * What the slowest device takes, without the others: the same figures as the largest of `evaluate`, found by working
   * out only those devices that could be slowest.
   */
  slowest(profile: RoutingProfile): SlowestSeconds {
    const { picks } = profile;
    const { perDevice, sorted, tokens, shape, devices, totals } = this;
    const { rowStep, tileRows } = shape;
    const { rows, tiles, filled, deepest } = totals;
    const steps = 1 / rowStep;
    let hottest = 0;
    for (let d = 0; d < devices; d++) {
      let r = 0;
      let t = 0;
      let n = 0;
      let most = 0;
      for (let e = d * perDevice; e < (d + 1) * perDevice; e++) {
        const load = Math.floor(picks[e]! * tokens + 0.5);
        if (load === 0) continue;
        r += load;
        t += Math.ceil(load * steps);
        n++;
        if (load > most) most = load;
      }
      rows[d] = r;
      tiles[d] = (t * rowStep) / tileRows;
      filled[d] = n;
      deepest[d] = most;
      if (r > rows[hottest]!) hottest = d;
    }
    const found: SlowestSeconds = {
      forward: 0,
      inputGradient: 0,
      weightGradient: 0,
      dispatch: 0,
      combine: 0,
      hottestRows: rows[hottest]!,
    };
    // Depth of the weight gradients' waves: at least the first, at most the second, for the larger of the two matrices.
    const spare = shape.cores / Math.min(shape.downTiles, shape.gateUpTiles);
    for (let i = 0; i < devices; i++) {
      const d = i === 0 ? hottest : i <= hottest ? i - 1 : i;
      if (rows[d] === 0) continue;
      const isMost = d === hottest;
      if (isMost || tiles[d]! > tiles[hottest]! || filled[d]! > filled[hottest]!) {
        found.forward = Math.max(found.forward, forwardSeconds(shape, rows[d]!, tiles[d]!, filled[d]!));
        found.inputGradient = Math.max(found.inputGradient, inputSeconds(shape, rows[d]!, tiles[d]!, filled[d]!));
      }
      if (isMost || rows[d]! + spare * deepest[d]! > rows[hottest]! || filled[d]! > filled[hottest]!) {
        const count = sortLoads(picks, d * perDevice, perDevice, tokens, sorted);
        found.weightGradient = Math.max(found.weightGradient, weightSeconds(shape, rows[d]!, sorted, count));
      }
    }
    [found.dispatch, found.combine] = this.transfers(profile, rows);
    return found;
  }

  /** Fills in the seconds of each device. */
  private kernels(
    picks: Float64Array,
    rowsOf: Float64Array,
    forwardOf: Float64Array,
    inputOf: Float64Array,
    weightOf: Float64Array,
  ): void {
    const { perDevice, sorted, tokens, shape } = this;
    const { rowStep, tileRows } = shape;
    for (let d = 0; d < rowsOf.length; d++) {
      const filled = sortLoads(picks, d * perDevice, perDevice, tokens, sorted);
      let rows = 0;
      let tiles = 0;
      for (let i = 0; i < filled; i++) {
        rows += sorted[i]!;
        tiles += Math.ceil(sorted[i]! / rowStep);
      }
      rowsOf[d] = rows;
      if (rows === 0) continue;
      tiles *= rowStep / tileRows;
      forwardOf[d] = forwardSeconds(shape, rows, tiles, filled);
      inputOf[d] = inputSeconds(shape, rows, tiles, filled);
      weightOf[d] = weightSeconds(shape, rows, sorted, filled);
    }
  }

  /** Seconds of dispatch and combine. */
  private transfers(profile: RoutingProfile, rows: Float64Array): [number, number] {
    const { layout, topology, model, bytesPerValue, dispatch, deduplicate } = this.job;
    const { spans, tokens } = this;
    const vector = model.hiddenSize * bytesPerValue;
    if (dispatch === "all-gather") {
      const seconds = gatherSeconds(tokens * vector, spans.expert, topology);
      return [seconds, seconds];
    }
    const perRank = tokens / layout.expertTensor;
    const toDevices =
      deduplicate || dispatch === "hierarchical"
        ? profile.hits(this.unitOf, this.devices).map((hit) => hit * perRank * vector)
        : scaled(rows, vector / layout.expertTensor);
    const gathered =
      layout.expertTensor === 1 ? 0 : gatherSeconds(Math.max(...rows) * vector, spans.expertTensor, topology);
    if (dispatch === "hierarchical") {
      const toNodes = profile.hits(this.nodeOf, this.nodes).map((hit) => hit * perRank * vector);
      const seconds = hierarchicalAllToAllSeconds(toDevices, toNodes, spans.expert, topology);
      return [seconds + gathered, seconds + gathered];
    }
    const seconds = evenAllToAllSeconds(toDevices, spans.expert, topology);
    return [seconds + gathered, seconds + gathered];
  }
}

function scaled(values: Float64Array, factor: number): Float64Array {
  const result = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) result[i] = values[i]! * factor;
  return result;
}

/** What the kernels of a device's experts have in common. */
interface ExpertShape {
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
  readonly start: number;
  readonly vector: number;
  readonly p: number;
}

function expertShape({ device, model, layout, bytesPerValue, bytesPerGradient }: Job): ExpertShape {
  const h = model.hiddenSize;
  const f = model.expertHiddenSize / layout.expertTensor;
  const { tile, efficiency, overheadSeconds } = device;
  const across = (columns: number) => Math.ceil(columns / tile.columns.value);
  const perByte = memorySeconds(1, device);
  return {
    h,
    f,
    tileRows: tile.rows.value,
    rowStep: tile.rowStep.value,
    cores: device.cores.value,
    hColumns: across(h),
    fColumns: across(f),
    gateUpColumns: across(2 * f),
    downTiles: Math.ceil(f / tile.rowStep.value) * (tile.rowStep.value / tile.rows.value) * across(h),
    gateUpTiles: Math.ceil(h / tile.rowStep.value) * (tile.rowStep.value / tile.rows.value) * across(2 * f),
    wave: waveSeconds(device, efficiency.groupedGemm.value),
    perRow: perByte * bytesPerValue,
    perByte,
    gradientBytes: bytesPerGradient,
    start: overheadSeconds.matrixKernel.value,
    vector: overheadSeconds.vectorKernel.value,
    p: device.blend.value,
  };
}

/**
 * Loads of one device's experts, largest first: weight gradients are as deep as their expert has tokens.
 * @returns how many have any
 */
function sortLoads(picks: Float64Array, from: number, count: number, tokens: number, sorted: Float64Array): number {
  let filled = 0;
  for (let e = from; e < from + count; e++) {
    const load = Math.floor(picks[e]! * tokens + 0.5);
    if (load === 0) continue;
    let at = filled++;
    for (; at > 0 && sorted[at - 1]! < load; at--) sorted[at] = sorted[at - 1]!;
    sorted[at] = load;
  }
  return filled;
}

/** Rows are put in the order of the experts when they come in and back when they leave. */
const movingSeconds = ({ h, vector, perRow }: ExpertShape, rows: number) => 2 * vector + 4 * rows * h * perRow;

/** Gate and up, SwiGLU (reads two, writes one), down. */
function forwardSeconds(shape: ExpertShape, rows: number, tiles: number, filled: number): number {
  const { h, f, vector, perRow } = shape;
  return (
    productSeconds(shape, rows, tiles, filled, 2 * f, h, shape.gateUpColumns) +
    productSeconds(shape, rows, tiles, filled, h, f, shape.hColumns) +
    (vector + 3 * rows * f * perRow) +
    movingSeconds(shape, rows)
  );
}

/** Gradients of inputs; SwiGLU backward also reads its gradient and writes two. */
function inputSeconds(shape: ExpertShape, rows: number, tiles: number, filled: number): number {
  const { h, f, vector, perRow } = shape;
  return (
    productSeconds(shape, rows, tiles, filled, f, h, shape.fColumns) +
    productSeconds(shape, rows, tiles, filled, h, 2 * f, shape.hColumns) +
    (vector + 5 * rows * f * perRow) +
    movingSeconds(shape, rows)
  );
}

function weightSeconds(shape: ExpertShape, rows: number, sorted: Float64Array, filled: number): number {
  const { h, f } = shape;
  return (
    gradientSeconds(shape, rows, sorted, filled, f, h, shape.downTiles) +
    gradientSeconds(shape, rows, sorted, filled, h, 2 * f, shape.gateUpTiles)
  );
}

/** `rows` tokens in `tiles` tiles of rows, of `filled` experts, through weights [depth, columns]. */
function productSeconds(
  { wave, perRow, cores, start, p }: ExpertShape,
  rows: number,
  tiles: number,
  filled: number,
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
  rows: number,
  sorted: Float64Array,
  filled: number,
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
