/**
 * What the cost model knows of one accelerator, every number with its source.
 *
 * The peak is that of the matrix units alone in bf16: cores · clock · 16·16·16·2 on Ascend. Vendors' headline figures
 * add the vector units, which no matrix product reaches; they are kept as a label and nothing is computed from them.
 */
import { assumed, type Sourced } from "./sourced.ts";

export interface Device {
  readonly title: string;
  /** Label only. */
  readonly headlineFlopsPerSecond: Sourced<number>;
  /** bf16 or fp16, dense, matrix units only. */
  readonly peakFlopsPerSecond: Sourced<number>;
  /** int8 or fp8, dense; absent where neither is published. */
  readonly eightBitFlopsPerSecond?: Sourced<number>;
  readonly cores: Sourced<number>;
  /** Absent where the vendor does not publish it. */
  readonly clockHertz?: Sourced<number>;
  readonly memoryBytes: Sourced<number>;
  readonly memoryBytesPerSecond: Sourced<number>;
  /** Output tile that one core computes at a time. */
  readonly tile: {
    readonly rows: Sourced<number>;
    readonly columns: Sourced<number>;
    /** Grouped products shrink the last tile of an expert in steps of so many rows; plain ones pad it. */
    readonly rowStep: Sourced<number>;
  };
  /** Achieved share: of the peak on whole tiles (gemm, groupedGemm; see kernels.ts), of the memory bandwidth. */
  readonly efficiency: {
    readonly gemm: Sourced<number>;
    readonly groupedGemm: Sourced<number>;
    readonly memory: Sourced<number>;
  };
  /** Fused attention; see attention.ts. */
  readonly attention: {
    /** Achieved share of the peak on the blocks that are computed, forward. */
    readonly forward: Sourced<number>;
    /** The same, backward. */
    readonly backward: Sourced<number>;
    readonly startSeconds: Sourced<number>;
    /** Query rows that one core takes at a time. */
    readonly blockRows: Sourced<number>;
  };
  /** p of (memory^p + compute^p)^(1/p), how grouped products blend the two; a large p is their maximum. */
  readonly blend: Sourced<number>;
  /** Seconds that every kernel costs before and after its work. */
  readonly overheadSeconds: { readonly matrixKernel: Sourced<number>; readonly vectorKernel: Sourced<number> };
}

/** Numbers of a device that a user may give; the rest is the base's. */
export interface DeviceChanges {
  readonly title?: string | undefined;
  readonly peakFlopsPerSecond?: number | undefined;
  readonly cores?: number | undefined;
  readonly memoryBytes?: number | undefined;
  readonly memoryBytesPerSecond?: number | undefined;
  readonly gemmEfficiency?: number | undefined;
  readonly groupedGemmEfficiency?: number | undefined;
  readonly memoryEfficiency?: number | undefined;
  readonly attentionEfficiency?: number | undefined;
  readonly matrixKernelSeconds?: number | undefined;
  readonly vectorKernelSeconds?: number | undefined;
  /** Where the numbers come from. */
  readonly source: string;
}

/** A device of the user's own: a preset with some numbers replaced, each labelled with the user's source. */
export function customDevice(base: Device, changes: DeviceChanges): Device {
  const or = (kept: Sourced<number>, own: number | undefined): Sourced<number> =>
    own === undefined ? kept : assumed(own, `given in the config: ${changes.source}`);
  const ratio = base.attention.backward.value / base.attention.forward.value;
  const backward = changes.attentionEfficiency === undefined ? undefined : changes.attentionEfficiency * ratio;
  return {
    ...base,
    title: changes.title ?? `${base.title}, changed`,
    headlineFlopsPerSecond: or(base.headlineFlopsPerSecond, changes.peakFlopsPerSecond),
    peakFlopsPerSecond: or(base.peakFlopsPerSecond, changes.peakFlopsPerSecond),
    cores: or(base.cores, changes.cores),
    memoryBytes: or(base.memoryBytes, changes.memoryBytes),
    memoryBytesPerSecond: or(base.memoryBytesPerSecond, changes.memoryBytesPerSecond),
    efficiency: {
      gemm: or(base.efficiency.gemm, changes.gemmEfficiency),
      groupedGemm: or(base.efficiency.groupedGemm, changes.groupedGemmEfficiency),
      memory: or(base.efficiency.memory, changes.memoryEfficiency),
    },
    attention: {
      ...base.attention,
      forward: or(base.attention.forward, changes.attentionEfficiency),
      backward: or(base.attention.backward, backward),
    },
    overheadSeconds: {
      matrixKernel: or(base.overheadSeconds.matrixKernel, changes.matrixKernelSeconds),
      vectorKernel: or(base.overheadSeconds.vectorKernel, changes.vectorKernelSeconds),
    },
  };
}
