/** NVIDIA accelerators, for comparison; and an ideal device, for tests. */
import { type Device, fp8, int8 } from "./device.ts";
import { assumed, derived, measured, vendor } from "./sourced.ts";

const SHEET = "NVIDIA data sheet, dense";
const RECALLED = "NVIDIA data sheet from memory, not checked again";
const MAMF = "stas00/ml-engineering (744d01e1), MAMF: best shape of a square search";
const MAMF_FP8 = "stas00/ml-engineering (744d01e1), MAMF of H100 in fp8: 1402.6 of 1979 TFLOPS, best shape";
const GUESS = "a guess; no measurement stands behind it";
const MEMORY = "a guess near what stream benchmarks reach";
const H800_ATTENTION =
  "deepseek-ai/profile-data (449602428), H800: causal MLA of 128 heads, 4096 tokens, 687 GFLOP in 1.25 ms forward " +
  "and 3.86 backward, read as one sequence";
const DEFINITION = "a definition: no overhead, no quantisation, memory that never limits";

const common = {
  tile: {
    rows: assumed(128, "the usual CUTLASS tile"),
    columns: assumed(256, "the usual CUTLASS tile"),
    rowStep: assumed(64, "rows of one Hopper matrix instruction"),
  },
  blend: assumed(2, "copied from the Ascend 910C"),
  overheadSeconds: { matrixKernel: assumed(10e-6, GUESS), vectorKernel: assumed(2e-6, GUESS) },
};

const achieved = (gemm: ReturnType<typeof measured<number>>) => ({
  gemm,
  groupedGemm: assumed(0.65, GUESS),
  memory: assumed(0.85, MEMORY),
});

const hopperAttention = (label: typeof derived<number>, reason: string) => ({
  forward: label(0.556, `${H800_ATTENTION}${reason}`),
  backward: label(0.45, `${H800_ATTENTION}${reason}`),
  startSeconds: assumed(5e-6, GUESS),
  blockRows: assumed(128, "the usual block of flash attention"),
});

export const nvidiaDevices = {
  "a100-80g": {
    title: "NVIDIA A100 80 GB SXM",
    headlineFlopsPerSecond: vendor(312e12, SHEET),
    peakFlopsPerSecond: vendor(312e12, SHEET),
    eightBit: int8(vendor(624e12, SHEET)),
    cores: vendor(108, RECALLED),
    memoryBytes: vendor(80e9, SHEET),
    memoryBytesPerSecond: vendor(2.04e12, SHEET),
    ...common,
    efficiency: achieved(measured(0.87, MAMF)),
    attention: {
      forward: assumed(0.6, "between the 0.5 and 0.73 that the FlashAttention-2 paper, arXiv:2307.08691, names"),
      backward: assumed(0.5, "below forward, as in the FlashAttention-2 paper, arXiv:2307.08691"),
      startSeconds: assumed(5e-6, GUESS),
      blockRows: assumed(128, "the usual block of flash attention"),
    },
  },
  h100: {
    title: "NVIDIA H100 SXM",
    headlineFlopsPerSecond: vendor(989e12, SHEET),
    peakFlopsPerSecond: vendor(989e12, SHEET),
    eightBit: fp8(vendor(1979e12, SHEET), measured(0.709, MAMF_FP8)),
    cores: vendor(132, RECALLED),
    memoryBytes: vendor(80e9, SHEET),
    memoryBytesPerSecond: vendor(3.35e12, SHEET),
    ...common,
    efficiency: achieved(measured(0.8, MAMF)),
    attention: hopperAttention(assumed<number>, "; copied from the H800"),
  },
  h800: {
    title: "NVIDIA H800 SXM",
    headlineFlopsPerSecond: vendor(989e12, SHEET),
    peakFlopsPerSecond: vendor(989e12, SHEET),
    eightBit: fp8(vendor(1979e12, SHEET), assumed(0.709, `${MAMF_FP8}; copied from the H100`)),
    cores: vendor(132, RECALLED),
    memoryBytes: vendor(80e9, SHEET),
    memoryBytesPerSecond: vendor(3.35e12, SHEET),
    ...common,
    efficiency: achieved(assumed(0.8, `${MAMF}; copied from the H100`)),
    attention: hopperAttention(derived<number>, ""),
  },
  h20: {
    title: "NVIDIA H20",
    headlineFlopsPerSecond: vendor(148e12, RECALLED),
    peakFlopsPerSecond: vendor(148e12, RECALLED),
    eightBit: fp8(vendor(296e12, RECALLED), assumed(0.709, `${MAMF_FP8}; copied from the H100`)),
    cores: vendor(78, RECALLED),
    memoryBytes: vendor(96e9, RECALLED),
    memoryBytesPerSecond: vendor(4e12, RECALLED),
    ...common,
    efficiency: achieved(assumed(0.8, `${MAMF}; copied from the H100`)),
    attention: hopperAttention(assumed<number>, "; copied from the H800"),
  },
  ideal: {
    title: "an ideal device: 1e14 FLOP/s on any shape",
    headlineFlopsPerSecond: assumed(1e14, DEFINITION),
    peakFlopsPerSecond: assumed(1e14, DEFINITION),
    cores: assumed(1, DEFINITION),
    clockHertz: assumed(1e14 / 8192, `${DEFINITION}; the clock at which one core of 8192 FLOP a cycle has this peak`),
    memoryBytes: assumed(Number.MAX_VALUE, DEFINITION),
    memoryBytesPerSecond: assumed(Number.MAX_VALUE, DEFINITION),
    tile: { rows: assumed(1, DEFINITION), columns: assumed(1, DEFINITION), rowStep: assumed(1, DEFINITION) },
    efficiency: {
      gemm: assumed(1, DEFINITION),
      groupedGemm: assumed(1, DEFINITION),
      memory: assumed(1, DEFINITION),
    },
    attention: {
      forward: assumed(1, DEFINITION),
      backward: assumed(1, DEFINITION),
      startSeconds: assumed(0, DEFINITION),
      blockRows: assumed(1, DEFINITION),
    },
    blend: assumed(2, "without memory traffic any p gives the same"),
    overheadSeconds: { matrixKernel: assumed(0, DEFINITION), vectorKernel: assumed(0, DEFINITION) },
  },
} satisfies Record<string, Device>;
