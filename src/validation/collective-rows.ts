/** Rows of collectives: HCCL on A3 and A2, DeepEP on Ascend and on H800, CANN EP. */
import { evenAllToAllSeconds, hierarchicalAllToAllSeconds } from "../cluster/all-to-all.ts";
import { allReduceSeconds, gatherSeconds } from "../cluster/gather.ts";
import { topologies } from "../cluster/topologies.ts";
import type { Topology } from "../cluster/topology.ts";
import { integerPower } from "../core/elementary.ts";
import { byAmount, type Tolerance, type ValidationRow, within } from "./row.ts";

const a3 = topologies["a3-measured"];
const h800 = topologies["dgx-h800"];
const HCCL = "Horacehxw/msModeling comm_alignment_report_20260312, CANN 8.5, A3";
const DEEPEP = "deepseek-ai/DeepEP README, February 2025";

/** How dies next to one another lie on an A3. */
const dies = (ranks: number) => ({ units: [2, Math.min(8, ranks / 2), Math.max(1, ranks / 16)] });

/** An all-gather or reduce-scatter of `bytes` a rank. */
const gather = (
  target: number,
  name: "C" | "V",
  op: string,
  ranks: number,
  bytes: number,
  published: number,
  tolerance: Tolerance,
): ValidationRow => ({
  target,
  class: name,
  title: `${op}, ${ranks} dies, ${bytes < 1e6 ? `${bytes / 1e3} KB` : `${bytes / 1e6} MB`} each`,
  unit: "µs",
  published,
  tolerance,
  source: HCCL,
  predict: () => gatherSeconds(bytes * ranks, dies(ranks), a3) * 1e6,
});

const AG = [
  [1.3e6, 176.7],
  [3.8e6, 366.6],
  [5e6, 435.1],
  [8.8e6, 679],
  [21.4e6, 1628],
  [40 * 1024 * 1024, 3080],
] as const;
const RS = [
  [1.3e6, 216.3],
  [3.8e6, 440.7],
  [8.8e6, 808.5],
  [21.4e6, 2044],
  [40 * 1024 * 1024, 3664.6],
] as const;

/** 128 tokens a rank, top-8, 7168 values: what low-latency kernels move. */
const lowLatency = (topology: Topology, units: readonly number[], ranks: number, bytesPerToken: number): number =>
  evenAllToAllSeconds(new Float64Array(ranks).fill(128 * 8 * bytesPerToken), { units }, topology) * 1e6;

/** 7168 values in 8 bits with their scales; and in bf16. */
const DISPATCHED = 7168 + 512;
const COMBINED = 7168 * 2;

const ascend = (
  target: number,
  what: "dispatch" | "combine",
  ranks: number,
  published: number,
  source: string,
): ValidationRow => ({
  target,
  class: "V",
  title: `low-latency ${what}, EP${ranks}, A3`,
  unit: "µs",
  published,
  tolerance: within(0.25),
  source,
  note: "low-latency kernels have neither the 85 µs start that HCCL's AllGather takes from 512 KiB on, which the model gives them, nor can it fall below their floor of about 120 µs, which it does not know",
  predict: () => lowLatency(a3, dies(ranks).units, ranks, what === "dispatch" ? DISPATCHED : COMBINED),
});

/** In the kernels of February 2025 everything went over the network cards, within a server too. */
const overNetwork: Topology = { ...h800, levels: [h800.levels[1]!] };

const h800Row = (what: "dispatch" | "combine", ranks: number, published: number): ValidationRow => ({
  target: 17,
  class: "V",
  title: `DeepEP low-latency ${what}, EP${ranks}, H800`,
  unit: "µs",
  published,
  tolerance: within(0.3),
  source: DEEPEP,
  predict: () => lowLatency(overNetwork, [ranks], ranks, what === "dispatch" ? DISPATCHED : COMBINED),
});

/**
 * Node-limited routing of DeepSeek-V3: top-8 on at most 4 nodes, uniform.
 * @returns bytes that each rank and each node receives of the tokens of all ranks
 */
function nodeLimited(ranks: number, tokens: number, bytesPerToken: number) {
  const nodes = ranks / 8;
  const used = Math.min(4, nodes);
  const picksInNode = 8 / used;
  const toNode = (used / nodes) * tokens * ranks * bytesPerToken;
  const toRank = toNode * (1 - integerPower(7 / 8, picksInNode));
  return { received: new Float64Array(ranks).fill(toRank), byNode: new Float64Array(nodes).fill(toNode) };
}

const exchangeSeconds = (ranks: number, bytesPerToken: number): number => {
  const { received, byNode } = nodeLimited(ranks, 4096, bytesPerToken);
  return hierarchicalAllToAllSeconds(received, byNode, { units: [8, ranks / 8] }, h800, "side by side");
};

const STREAMED =
  "held out at first; that its two stages run side by side (arXiv:2412.19437, section 3.2.2) was put in after it had been seen";

const normalMode = (ranks: number, published: number): ValidationRow => ({
  target: 17,
  class: ranks === 8 ? "V" : "C",
  title: `DeepEP normal dispatch, EP${ranks}, H800, bottleneck`,
  unit: "GB/s",
  published,
  tolerance: within(0.3),
  source: DEEPEP,
  ...(ranks > 8 && { note: STREAMED }),
  predict() {
    const { received, byNode } = nodeLimited(ranks, 4096, DISPATCHED);
    // What a rank takes in through NVLink within one server, through its network card beyond.
    const bytes = ranks === 8 ? received[0]! : byNode[0]! / 8;
    return bytes / exchangeSeconds(ranks, DISPATCHED) / 1e9;
  },
});

const trace = (what: "dispatch" | "combine", bytesPerToken: number, published: number): ValidationRow => ({
  target: 19,
  class: "C",
  title: `DeepSeek-V3 trace, ${what} beside compute, EP64`,
  unit: "ms",
  published,
  tolerance: within(0.3),
  source: "deepseek-ai/profile-data (449602428); 4096 tokens a rank, 1.30 slower beside compute as published",
  note: STREAMED,
  predict: () => 1.3 * exchangeSeconds(64, bytesPerToken) * 1e3,
});

const SGL = "sgl-project/sgl-kernel-npu DeepEP-Ascend (f425bdf1)";
const CANN = "CloudMatrix384 paper, arXiv:2506.12708 (two sets of notes)";

export const collectiveRows: readonly ValidationRow[] = [
  ...AG.map(([bytes, us]) => gather(10, "C", "AllGather", 16, bytes, us, within(0.1))),
  ...RS.map(([bytes, us]) => gather(10, "V", "ReduceScatter", 16, bytes, us, within(0.25))),
  gather(11, "V", "AllGather", 8, 3.5e6, 166.9, within(0.25)),
  gather(11, "V", "ReduceScatter", 8, 3.5e6, 202.1, within(0.25)),
  gather(12, "V", "AllGather", 8, 1e3, 5.4, byAmount(5)),
  gather(12, "V", "AllGather", 8, 7e3, 5.5, byAmount(5)),
  gather(12, "V", "AllGather", 8, 14e3, 5.6, byAmount(5)),
  gather(12, "V", "ReduceScatter", 8, 14e3, 6.1, byAmount(5)),
  {
    target: 13,
    class: "V",
    title: "AllReduce, 8 cards of an A2 server, 16 MB",
    unit: "µs",
    published: 437,
    tolerance: within(0.5),
    source: "hw-native-sys/pto-isa gemm_ar (3186c381), its own kernel and not HCCL",
    predict: () => allReduceSeconds(5504 * 1536 * 2, { units: [8, 1] }, topologies["a2-8xhccs-roce"]) * 1e6,
  },
  ...(
    [
      [8, 132, 126],
      [16, 139, 135],
      [32, 153, 151],
    ] as const
  ).flatMap(([ranks, out, back]) => [ascend(15, "dispatch", ranks, out, SGL), ascend(15, "combine", ranks, back, SGL)]),
  ascend(16, "dispatch", 8, 116, CANN),
  ascend(16, "combine", 8, 118, CANN),
  ...(
    [
      [8, 163, 318],
      [16, 173, 329],
      [32, 182, 350],
      [64, 186, 353],
      [128, 192, 369],
      [256, 194, 360],
    ] as const
  ).flatMap(([ranks, out, back]) => [h800Row("dispatch", ranks, out), h800Row("combine", ranks, back)]),
  normalMode(8, 153),
  normalMode(16, 43),
  normalMode(32, 58),
  normalMode(64, 51),
  trace("dispatch", DISPATCHED, 4.44),
  trace("combine", COMBINED, 6.07),
];
