/**
 * What the cost model knows of one accelerator, every number with its source.
 *
 * The peak is that of the matrix units alone in bf16: cores · clock · 16·16·16·2 on Ascend. Vendors' headline figures
 * add the vector units, which no matrix product reaches; they are kept as a label and nothing is computed from them.
 */
import { assumed, type Sourced } from "./sourced.ts";

export interface EightBit {
  /** Only fp8 trains. */
  readonly format: Sourced<"fp8" | "int8">;
  readonly flopsPerSecond: Sourced<number>;
  /** Achieved share of it in products on whole tiles; with fp8 alone. Grouped products take that of bf16. */
  readonly gemm?: Sourced<number>;
}

/** 8-bit integers, from the source of their speed. */
export const int8 = (flopsPerSecond: Sourced<number>): EightBit => ({
  format: { ...flopsPerSecond, value: "int8" },
  flopsPerSecond,
});

/** 8-bit floats. @param gemm achieved share in products on whole tiles */
export const fp8 = (flopsPerSecond: Sourced<number>, gemm: Sourced<number>): EightBit => ({
  format: { ...flopsPerSecond, value: "fp8" },
  flopsPerSecond,
  gemm,
});

export interface Device {
  readonly title: string;
  /** Label only. */
  readonly headlineFlopsPerSecond: Sourced<number>;
  /** bf16 or fp16, dense, matrix units only. */
  readonly peakFlopsPerSecond: Sourced<number>;
  /** Products of 8-bit operands, dense; absent where nothing is published. */
  readonly eightBit?: EightBit;
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
  /** Of fp8. */
  readonly eightBitFlopsPerSecond?: number | undefined;
  readonly eightBitGemmEfficiency?: number | undefined;
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
    ...eightBitOf(base, changes),
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

/** 8-bit products of a device of the user's own: who gives a speed for them means fp8. */
function eightBitOf({ eightBit, efficiency }: Device, changes: DeviceChanges): Pick<Device, "eightBit"> {
  const { eightBitFlopsPerSecond: speed, eightBitGemmEfficiency: share } = changes;
  const given = <T>(value: T) => assumed(value, `given in the config: ${changes.source}`);
  const flopsPerSecond = speed === undefined ? eightBit?.flopsPerSecond : given(speed);
  if (flopsPerSecond === undefined) return {};
  const format = speed === undefined ? eightBit!.format : given("fp8" as const);
  const gemm = share === undefined ? (eightBit?.gemm ?? efficiency.gemm) : given(share);
  return { eightBit: { format, flopsPerSecond, ...(format.value === "fp8" && { gemm }) } };
}
