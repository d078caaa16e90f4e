/**
 * The table of devices: what one accelerator computes and moves in a second. A new one is one entry here.
 *
 * The peak is that of the matrix units alone in bf16: cores · clock · 16·16·16·2. Vendors' headline figures add the
 * vector units, which no matrix product reaches; they are kept as a label and nothing is computed from them.
 */
import { assumed, derived, type Sourced, vendor } from "./sourced.ts";

export interface Device {
  readonly title: string;
  /** Label only. */
  readonly headlineFlopsPerSecond: Sourced<number>;
  /** bf16 or fp16, dense, matrix units only. */
  readonly peakFlopsPerSecond: Sourced<number>;
  readonly cores: Sourced<number>;
  readonly clockHertz: Sourced<number>;
  readonly memoryBytes: Sourced<number>;
  readonly memoryBytesPerSecond: Sourced<number>;
  /** Output tile that one core computes at a time. */
  readonly tile: { readonly rows: Sourced<number>; readonly columns: Sourced<number> };
  /** Achieved share: of the peak on whole tiles (gemm, groupedGemm; see kernels.ts), of the memory bandwidth. */
  readonly efficiency: {
    readonly gemm: Sourced<number>;
    readonly groupedGemm: Sourced<number>;
    readonly memory: Sourced<number>;
  };
  /** Seconds that every kernel costs before and after its work. */
  readonly overheadSeconds: { readonly matrixKernel: Sourced<number>; readonly vectorKernel: Sourced<number> };
}

const MODEL = "Ascend/msmodeling tensor_cast/device.py at 84fec853, Huawei's own performance model";
const CHIP = "CANN platform_config/Ascend910*.ini, quoted in issues of cann/ops-*";
const MEMORY = `${MODEL}; in units of 1e9 bytes`;
const BANDWIDTH = "1.6 TB/s: CloudMatrix384 paper, arXiv:2506.12708 (msmodeling's code reads 1.6·1024^4, 10 % more)";
const HEADLINE = `${MODEL}: matrix and vector units together`;
const TILES = "tiles with which hw-native-sys/pto-isa gemm_performance (3186c381) is explained to 5 %";
const GEMM_FIT = "fitted to four cubes of hw-native-sys/pto-isa gemm_performance (3186c381), Ascend A3, 24 cores, fp16";
const GROUPED_FIT =
  "marginal seconds a token of hw-native-sys/pto-isa MegaMoE (3186c381), A3, W8A8, EP8: 429 of 707.8 TOPS; " +
  "0.67 MAC utilisation in HyperParallel-MoE, arXiv:2605.23764";
const MEMORY_FIT =
  "at least: weights of hw-native-sys/pto-isa MegaMoE (3186c381) read in its shortest run, A3: 1.23 of 1.6 TB/s; " +
  "msmodeling's default is 0.6";
const VECTOR = "msmodeling (84fec853): static cost of a vector operation";

const tile = { rows: derived(128, TILES), columns: derived(256, TILES) };

/** Nothing was timed on these themselves: the constants of the 910C die are copied. */
const copiedFromTheDie = (reason: string) => ({
  tile: { rows: assumed(128, `${TILES}; ${reason}`), columns: assumed(256, `${TILES}; ${reason}`) },
  efficiency: {
    gemm: assumed(0.85, `${GEMM_FIT}; ${reason}`),
    groupedGemm: assumed(0.61, `${GROUPED_FIT}; ${reason}`),
    memory: assumed(0.77, `${MEMORY_FIT}; ${reason}`),
  },
  overheadSeconds: { matrixKernel: assumed(15e-6, `${GEMM_FIT}; ${reason}`), vectorKernel: vendor(2e-6, VECTOR) },
});

const SAME_CORE = "the 910B2 has the same cores and clock";
const NOT_TIMED = "copied, never timed on this device";
const DEFINITION = "a definition: no overhead, no quantisation, memory that never limits";

export const devices = {
  "ascend-910b2": {
    title: "Ascend 910B2",
    headlineFlopsPerSecond: vendor(376e12, HEADLINE),
    peakFlopsPerSecond: vendor(353.9e12, MODEL),
    cores: vendor(24, CHIP),
    clockHertz: vendor(1.8e9, CHIP),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, BANDWIDTH),
    tile,
    efficiency: {
      gemm: derived(0.85, `${GEMM_FIT}; ${SAME_CORE}, and one 910B GEMM not fitted comes out within 2 %`),
      groupedGemm: assumed(0.61, `${GROUPED_FIT}; ${SAME_CORE}, but bf16 was not timed`),
      memory: assumed(0.77, `${MEMORY_FIT}; copied`),
    },
    overheadSeconds: {
      matrixKernel: derived(15e-6, `${GEMM_FIT}; ${SAME_CORE}`),
      vectorKernel: vendor(2e-6, VECTOR),
    },
  },
  "ascend-910b3": {
    title: "Ascend 910B3",
    headlineFlopsPerSecond: vendor(313e12, HEADLINE),
    peakFlopsPerSecond: vendor(294.9e12, MODEL),
    cores: vendor(20, CHIP),
    clockHertz: vendor(1.8e9, CHIP),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, BANDWIDTH),
    ...copiedFromTheDie(NOT_TIMED),
  },
  "ascend-910b4": {
    title: "Ascend 910B4",
    headlineFlopsPerSecond: vendor(280e12, `${MODEL}; more than matrix and vector units add up to, unexplained`),
    peakFlopsPerSecond: vendor(245.8e12, MODEL),
    cores: vendor(20, MODEL),
    clockHertz: vendor(1.5e9, MODEL),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, BANDWIDTH),
    ...copiedFromTheDie(NOT_TIMED),
  },
  "ascend-910c-die": {
    title: "Ascend 910C, one of its two dies",
    headlineFlopsPerSecond: vendor(376e12, HEADLINE),
    peakFlopsPerSecond: vendor(353.9e12, MODEL),
    cores: vendor(24, MODEL),
    clockHertz: vendor(1.8e9, MODEL),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, `half of a chip's 3.2 TB/s; ${BANDWIDTH}`),
    tile,
    efficiency: {
      gemm: derived(0.85, GEMM_FIT),
      groupedGemm: derived(0.61, GROUPED_FIT),
      memory: derived(0.77, MEMORY_FIT),
    },
    overheadSeconds: { matrixKernel: derived(15e-6, GEMM_FIT), vectorKernel: vendor(2e-6, VECTOR) },
  },
  ideal: {
    title: "an ideal device: 1e14 FLOP/s on any shape",
    headlineFlopsPerSecond: assumed(1e14, DEFINITION),
    peakFlopsPerSecond: assumed(1e14, DEFINITION),
    cores: assumed(1, DEFINITION),
    clockHertz: assumed(1e14 / 8192, `${DEFINITION}; the clock at which one core of 8192 FLOP a cycle has this peak`),
    memoryBytes: assumed(Number.MAX_VALUE, DEFINITION),
    memoryBytesPerSecond: assumed(Number.MAX_VALUE, DEFINITION),
    tile: { rows: assumed(1, DEFINITION), columns: assumed(1, DEFINITION) },
    efficiency: {
      gemm: assumed(1, DEFINITION),
      groupedGemm: assumed(1, DEFINITION),
      memory: assumed(1, DEFINITION),
    },
    overheadSeconds: { matrixKernel: assumed(0, DEFINITION), vectorKernel: assumed(0, DEFINITION) },
  },
} satisfies Record<string, Device>;

export type DeviceName = keyof typeof devices;
