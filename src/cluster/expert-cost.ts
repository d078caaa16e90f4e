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

  /** Fills in the seconds of each device. */
  private kernels(
    picks: Float64Array,
    rowsOf: Float64Array,
    forwardOf: Float64Array,
    inputOf: Float64Array,
    weightOf: Float64Array,
  ): void {
    const { perDevice, sorted, tokens, shape } = this;
    const { h, f, perRow, vector, tileRows } = shape;
    for (let d = 0; d < rowsOf.length; d++) {
      let rows = 0;
      let tiles = 0;
      let filled = 0;
      for (let e = 0; e < perDevice; e++) {
        const load = Math.round(picks[d * perDevice + e]! * tokens);
        if (load === 0) continue;
        rows += load;
        tiles += Math.ceil(load / tileRows);
        // Insertion sort, deepest first: weight gradients are as deep as their expert has tokens.
        let at = filled++;
        for (; at > 0 && sorted[at - 1]! < load; at--) sorted[at] = sorted[at - 1]!;
        sorted[at] = load;
      }
      rowsOf[d] = rows;
      if (rows === 0) continue;
      // Rows are put in the order of the experts when they come in and back when they leave.
      const moving = 2 * vector + 4 * rows * h * perRow;
      // SwiGLU reads gate and up and writes their product; backward it also reads that gradient and writes two.
      const swiglu = vector + 3 * rows * f * perRow;
      const swigluBackward = vector + 5 * rows * f * perRow;
      forwardOf[d] =
        productSeconds(shape, rows, tiles, filled, 2 * f, h, shape.gateUpColumns) +
        productSeconds(shape, rows, tiles, filled, h, f, shape.hColumns) +
        swiglu +
        moving;
      inputOf[d] =
        productSeconds(shape, rows, tiles, filled, f, h, shape.fColumns) +
        productSeconds(shape, rows, tiles, filled, h, 2 * f, shape.hColumns) +
        swigluBackward +
        moving;
      weightOf[d] =
        gradientSeconds(shape, rows, sorted, filled, f, h, shape.downTiles) +
        gradientSeconds(shape, rows, sorted, filled, h, 2 * f, shape.gateUpTiles);
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
        : rows.map((each) => (each / layout.expertTensor) * vector);
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

/** What the kernels of a device's experts have in common. */
interface ExpertShape {
  readonly h: number;
  readonly f: number;
  readonly tileRows: number;
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
    cores: device.cores.value,
    hColumns: across(h),
    fColumns: across(f),
    gateUpColumns: across(2 * f),
    downTiles: Math.ceil(f / tile.rows.value) * across(h),
    gateUpTiles: Math.ceil(h / tile.rows.value) * across(2 * f),
    wave: waveSeconds(device, efficiency.groupedGemm.value),
    perRow: perByte * bytesPerValue,
    perByte,
    gradientBytes: bytesPerGradient,
    start: overheadSeconds.matrixKernel.value,
    vector: overheadSeconds.vectorKernel.value,
    p: device.blend.value,
  };
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
