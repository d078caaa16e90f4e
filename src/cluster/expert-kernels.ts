/**
 * Seconds of the kernels of one device's experts, from their loads. SIMULATED figures.
 *
 * A grouped product is one kernel that computes many products, one an expert: the tiles of all are pooled before they
 * are cut into waves, and an expert without tokens costs nothing, not even the reading of its weights. The last tile of
 * an expert is only as high as its tokens need, in steps of the matrix unit (`tile.rowStep`).
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
import type { Device } from "./device.ts";
import { achievedBandwidth, blended, type Format, operandBytes, waveSeconds } from "./kernels.ts";
import { quantisedBytes } from "./quantisation.ts";

/** The sizes and numbers of a device's experts. */
export interface ExpertSizes {
  readonly device: Device;
  /** H */
  readonly hiddenSize: number;
  /** F, of what lies on the device. */
  readonly expertHiddenSize: number;
  /** A gate beside the projection up, as in SwiGLU. */
  readonly gated: boolean;
  readonly format: Format;
  /** Of weights and activations outside 8-bit products. */
  readonly bytesPerValue: number;
  /** Moved for each value of a weight gradient: once where it is written, twice in its size where it is accumulated. */
  readonly gradientTraffic: number;
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

export class ExpertKernels {
  /** Share of a device's rows by which the last wave of its weight gradients may be deeper than perfect packing. */
  readonly spareWave: number;
  readonly rowStep: number;
  private readonly h: number;
  private readonly f: number;
  /** Width of what goes up: with a gate twice F. */
  private readonly up: number;
  private readonly tileRows: number;
  private readonly cores: number;
  /** Tiles across each width. */
  private readonly hColumns: number;
  private readonly fColumns: number;
  private readonly upColumns: number;
  /** Tiles of one expert's weight gradients. */
  private readonly downTiles: number;
  private readonly upTiles: number;
  /** Seconds of a wave for each unit of depth. */
  private readonly wave: number;
  /** Bytes a second. */
  private readonly bandwidth: number;
  private readonly bytesPerValue: number;
  private readonly bytesPerOperand: number;
  private readonly gradientTraffic: number;
  private readonly isQuantised: boolean;
  private readonly start: number;
  private readonly vector: number;
  private readonly p: number;

  constructor({ device, hiddenSize, expertHiddenSize, gated, format, bytesPerValue, gradientTraffic }: ExpertSizes) {
    const { tile, efficiency, overheadSeconds, cores, blend } = device;
    const across = (columns: number) => Math.ceil(columns / tile.columns.value);
    const heights = (rows: number) => Math.ceil(rows / tile.rowStep.value) * (tile.rowStep.value / tile.rows.value);
    this.h = hiddenSize;
    this.f = expertHiddenSize;
    this.up = (gated ? 2 : 1) * expertHiddenSize;
    this.tileRows = tile.rows.value;
    this.rowStep = tile.rowStep.value;
    this.cores = cores.value;
    this.hColumns = across(this.h);
    this.fColumns = across(this.f);
    this.upColumns = across(this.up);
    this.downTiles = heights(this.f) * this.hColumns;
    this.upTiles = heights(this.h) * this.upColumns;
    this.wave = waveSeconds(device, efficiency.groupedGemm.value, format);
    this.bandwidth = achievedBandwidth(device);
    this.bytesPerValue = bytesPerValue;
    this.bytesPerOperand = operandBytes(bytesPerValue, format);
    this.gradientTraffic = gradientTraffic;
    this.isQuantised = format === "fp8";
    this.spareWave = this.cores / Math.min(this.downTiles, this.upTiles);
    this.start = overheadSeconds.matrixKernel.value;
    this.vector = overheadSeconds.vectorKernel.value;
    this.p = blend.value;
  }

  /**
   * Loads of one device's experts, largest first: weight gradients are as deep as their expert has tokens.
   * @param assignments of all experts, of which the device holds those from `from` on
   * @param sorted [experts of the device] filled in
   */
  sort(assignments: ArrayLike<number>, from: number, sorted: Float64Array): Loads {
    let filled = 0;
    let rows = 0;
    let steps = 0;
    for (let e = from; e < from + sorted.length; e++) {
      const load = assignments[e]!;
      if (load === 0) continue;
      rows += load;
      steps += Math.ceil(load / this.rowStep);
      let at = filled++;
      for (; at > 0 && sorted[at - 1]! < load; at--) sorted[at] = sorted[at - 1]!;
      sorted[at] = load;
    }
    return { rows, tiles: steps * (this.rowStep / this.tileRows), filled };
  }

  /** From tokens in the order of the batch to their results in it, forward. */
  forward(loads: Loads): number {
    const products = this.intoExperts(loads) + this.outOfExperts(loads);
    const elementwise = this.activationAndMoving(loads, this.up + this.f);
    return products + elementwise + this.casting(loads, this.h + this.f, quantisedBytes.input);
  }

  /** The same backward, for the inputs. */
  inputGradient(loads: Loads): number {
    const products = this.outOfExpertsBackward(loads) + this.intoExpertsBackward(loads);
    const elementwise = this.activationAndMoving(loads, 2 * this.up + this.f);
    return products + elementwise + this.casting(loads, this.h + this.up, quantisedBytes.gradient);
  }

  /** @param sorted as `sort` left it */
  weightGradient(loads: Loads, sorted: Float64Array): number {
    const products = this.outOfExpertsWeights(loads, sorted) + this.intoExpertsWeights(loads, sorted);
    return products + this.casting(loads, this.h + this.f, quantisedBytes.kept);
  }

  /** Gate and up projection. */
  intoExperts(loads: Loads): number {
    return this.product(loads, this.up, this.h, this.upColumns);
  }

  /** Down projection. */
  outOfExperts(loads: Loads): number {
    return this.product(loads, this.h, this.f, this.hColumns);
  }

  intoExpertsBackward(loads: Loads): number {
    return this.product(loads, this.h, this.up, this.hColumns);
  }

  outOfExpertsBackward(loads: Loads): number {
    return this.product(loads, this.f, this.h, this.fColumns);
  }

  intoExpertsWeights(loads: Loads, sorted: Float64Array): number {
    return this.gradient(loads, sorted, this.h, this.up, this.upTiles);
  }

  outOfExpertsWeights(loads: Loads, sorted: Float64Array): number {
    return this.gradient(loads, sorted, this.f, this.h, this.downTiles);
  }

  /** Reads what came up and writes what goes down. */
  activation({ rows }: Loads): number {
    return this.stream(rows * (this.up + this.f) * this.bytesPerValue);
  }

  /** Reads the gradient, too, and writes one for each value that came up. */
  activationBackward({ rows }: Loads): number {
    return this.stream(rows * (2 * this.up + this.f) * this.bytesPerValue);
  }

  /**
   * The activation function, and two kernels that put rows in the order of the experts when they come in and back when
   * they leave. @param width that the activation function reads and writes
   */
  private activationAndMoving({ rows }: Loads, width: number): number {
    if (rows === 0) return 0;
    return 3 * this.vector + (rows * (width + 4 * this.h) * this.bytesPerValue) / this.bandwidth;
  }

  private stream(bytes: number): number {
    return bytes === 0 ? 0 : this.vector + bytes / this.bandwidth;
  }

  /** To 8 bits: two kernels, of what goes into either product. @param width of both together */
  private casting({ rows }: Loads, width: number, bytesEach: number): number {
    return this.isQuantised && rows > 0 ? 2 * this.vector + (rows * width * bytesEach) / this.bandwidth : 0;
  }

  /** All rows through the weights [depth, columns] of their experts. */
  private product({ rows, tiles, filled }: Loads, columns: number, depth: number, columnTiles: number): number {
    if (rows === 0) return 0;
    const compute = Math.ceil((tiles * columnTiles) / this.cores) * depth * this.wave;
    const operands = (rows * depth + filled * depth * columns) * this.bytesPerOperand;
    const memory = (operands + rows * columns * this.bytesPerValue) / this.bandwidth;
    return this.start + blended(compute, memory, this.p);
  }

  /**
   * Weight gradients [height, width] of experts with so many tokens. Depths of the deepest tile of each wave are added
   * up, the deepest tiles going first: so their sum rises with every token, and exceeds perfect packing by less than
   * the deepest tile.
   */
  private gradient(
    { rows, filled }: Loads,
    sorted: Float64Array,
    height: number,
    width: number,
    tilesEach: number,
  ): number {
    if (rows === 0) return 0;
    let waves = 0;
    let depths = 0;
    for (let i = 0; i < filled; i++) {
      const reached = Math.ceil(((i + 1) * tilesEach) / this.cores);
      depths += (reached - waves) * sorted[i]!;
      waves = reached;
    }
    const traffic = rows * (height + width) * this.bytesPerOperand + filled * height * width * this.gradientTraffic;
    return this.start + blended(depths * this.wave, traffic / this.bandwidth, this.p);
  }
}
