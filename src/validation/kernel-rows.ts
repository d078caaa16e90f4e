/** Rows of single kernels and of MoE layers: matrix products, MegaMoE, HyperParallel-MoE. */
import { evenAllToAllSeconds } from "../cluster/collectives.ts";
import type { Device } from "../cluster/device.ts";
import { devices } from "../cluster/devices.ts";
import { gemmSeconds, groupedGemmSeconds, streamSeconds } from "../cluster/kernels.ts";
import { topologies } from "../cluster/topologies.ts";
import type { ValidationRow } from "./row.ts";
import { within } from "./row.ts";

const die = devices["ascend-910c-die"];
const a3 = topologies["a3-measured"];
const PTO = "hw-native-sys/pto-isa (3186c381)";

const gemm = (
  target: number,
  name: "C" | "V",
  rows: number,
  columns: number,
  depth: number,
  published: number,
): ValidationRow => ({
  target,
  class: name,
  title: `product ${rows} x ${columns}, depth ${depth}, ${name === "C" ? "A3" : "910B"}`,
  unit: "µs",
  published,
  tolerance: within(0.05),
  source: `${PTO} ${name === "C" ? "gemm_performance" : "gemm_ar"}`,
  predict: () => gemmSeconds({ rows, columns, depth }, 2, name === "C" ? die : devices["ascend-910b2"]) * 1e6,
});

/** The die with its 8-bit peak. */
const eightBit: Device = { ...die, peakFlopsPerSecond: die.eightBitFlopsPerSecond };

/**
 * Gate and up, SwiGLU and down of the fused kernel, all tokens spread evenly over 16 experts a rank. The kernel runs
 * dispatch and combine beside them, and the share of the peak was fitted to it as a whole: they are not added again.
 */
function megaMoeSeconds(tokens: number): number {
  const [hidden, width, experts, topK] = [7168, 2048, 16, 8];
  const rows = tokens * topK;
  const grouped = (columns: number, depth: number) =>
    groupedGemmSeconds(new Array(experts).fill({ rows: rows / experts, columns, depth }), 1, eightBit);
  return grouped(2 * width, hidden) + streamSeconds(3 * rows * width * 2, die) + grouped(hidden, width);
}

const megaMoe = (ranks: 8 | 16, tokens: number, published: number): ValidationRow => ({
  target: 8,
  class: "C",
  title: `MegaMoE fused, EP${ranks}, ${tokens} tokens a rank`,
  unit: "µs",
  published,
  tolerance: within(tokens === 512 ? 0.25 : 0.15),
  source: `${PTO} MegaMoE, A3, W8A8`,
  ...(ranks === 16 && { note: "held out at first; the height of the last tile was changed after it had been seen" }),
  predict: () => megaMoeSeconds(tokens) * 1e6,
});

/** One MoE layer of DeepSeek-V3's sizes on A3, balanced, 4096 tokens a rank: dispatch to combine. */
function hyperParallelSeconds(ranks: number, pass: "forward" | "backward"): number {
  const [hidden, width, all, topK, tokens] = [7168, 2048, 256, 8, 4096];
  const experts = all / ranks;
  const rows = tokens * topK;
  const each = rows / experts;
  const span = { units: [2, Math.min(8, ranks / 2), Math.max(1, ranks / 16)] };
  const exchange = 2 * evenAllToAllSeconds(new Float64Array(ranks).fill(rows * hidden * 2), span, a3);
  const grouped = (r: number, columns: number, depth: number) =>
    groupedGemmSeconds(new Array(experts).fill({ rows: r, columns, depth }), 2, die);
  const moving = 2 * streamSeconds(2 * rows * hidden * 2, die);
  if (pass === "forward") {
    const products = grouped(each, 2 * width, hidden) + grouped(each, hidden, width);
    return exchange + moving + products + streamSeconds(3 * rows * width * 2, die);
  }
  const inputs = grouped(each, width, hidden) + grouped(each, hidden, 2 * width);
  const weights = grouped(width, hidden, each) + grouped(hidden, 2 * width, each);
  return exchange + moving + inputs + weights + streamSeconds(5 * rows * width * 2, die);
}

const ratio = (title: string, published: number, predict: () => number): ValidationRow => ({
  target: 9,
  class: "V",
  title: `HyperParallel-MoE baseline, ${title}`,
  unit: "1",
  published,
  tolerance: within(0.15),
  source: "arXiv:2605.23764 (read in notes); tokens a rank not stated there, 4096 taken",
  predict,
});

/** Tokens a rank, microseconds on 8 and on 16 ranks. */
const MEGAMOE = [
  [16, 573, 579],
  [32, 588, 600],
  [64, 628, 636],
  [128, 696, 707],
  [512, 1234, 1190],
  [1024, 2016, 1964],
  [2048, 3757, 3714],
] as const;

export const kernelRows: readonly ValidationRow[] = [
  gemm(6, "C", 1536, 1536, 1536, 38.8),
  gemm(6, "C", 3072, 3072, 3072, 206.7),
  gemm(6, "C", 6144, 6144, 6144, 1506),
  gemm(6, "C", 7680, 7680, 7680, 3168),
  gemm(7, "V", 5416, 1408, 6144, 368.1),
  ...MEGAMOE.flatMap(([tokens, ep8]) => megaMoe(8, tokens, ep8)),
  ...MEGAMOE.flatMap(([tokens, , ep16]) => megaMoe(16, tokens, ep16)),
  ratio("EP16 over EP4, forward", 1.13, () => hyperParallelSeconds(16, "forward") / hyperParallelSeconds(4, "forward")),
  ratio(
    "backward over forward, EP4",
    27.9 / 16.3,
    () => hyperParallelSeconds(4, "backward") / hyperParallelSeconds(4, "forward"),
  ),
  ratio(
    "backward over forward, EP8",
    29.8 / 17.3,
    () => hyperParallelSeconds(8, "backward") / hyperParallelSeconds(8, "forward"),
  ),
  ratio(
    "backward over forward, EP16",
    30.5 / 18.4,
    () => hyperParallelSeconds(16, "backward") / hyperParallelSeconds(16, "forward"),
  ),
];
