/** Rows that follow from definitions: peaks, FLOP, parameters, bubbles, balance by construction, mesh bandwidth. */
import { countParameters, trainingFlopsPerToken } from "../cluster/architecture.ts";
import { type ArchitectureName, architectures } from "../cluster/architectures.ts";
import { type DeviceName, devices } from "../cluster/devices.ts";
import { profileOfLoads, skewedWeights } from "../cluster/routing-profile.ts";
import { type PipelineShape, type ScheduleName, schedules } from "../cluster/schedules.ts";
import { playPipeline, workSeconds } from "../cluster/timeline.ts";
import { topologies } from "../cluster/topologies.ts";
import { groupBytesPerSecond } from "../cluster/topology.ts";
import { randomStream } from "../core/random.ts";
import { type ValidationRow, within } from "./row.ts";

const EXACT = within(0);

const peak = (name: DeviceName, cores: number, gigahertz: number): ValidationRow => ({
  target: 1,
  class: "E",
  title: `peak of ${devices[name].title}`,
  unit: "TFLOP/s",
  published: (cores * gigahertz * 8192) / 1000,
  tolerance: within(0.002),
  source: "cores · clock · 16·16·16·2",
  predict: () => devices[name].peakFlopsPerSecond.value / 1e12,
});

const flops = (name: ArchitectureName, sequence: number, published: number): ValidationRow => ({
  target: 2,
  class: "E",
  title: `FLOP a token, ${architectures[name].title}, ${sequence / 1024}K`,
  unit: "GFLOP",
  published,
  tolerance: within(0.005),
  source: "NVIDIA/Megatron-LM training.py (d98e8a64), causal",
  predict: () => trainingFlopsPerToken(architectures[name], sequence) / 1e9,
});

const parameters = (
  name: ArchitectureName,
  kind: "total" | "active",
  published: number,
  source: string,
): ValidationRow => ({
  target: 2,
  class: "E",
  title: `parameters, ${architectures[name].title}, ${kind}`,
  unit: "1e9",
  published: published / 1e9,
  tolerance: EXACT,
  source,
  predict: () => countParameters(architectures[name])[kind] / 1e9,
});

const WEIGHTS = "numbers in the released weights";

const bubble = (name: ScheduleName, shape: PipelineShape, published: number): ValidationRow => ({
  target: 3,
  class: "E",
  title: `bubble, ${schedules[name].title}, ${shape.pipeline} stages`,
  unit: "s",
  published,
  tolerance: EXACT,
  source: schedules[name].source,
  predict() {
    // Whole numbers, so that sums are exact: F 3, B 6 of which W 2, F&B 8.
    const chunk = { forward: 3, inputGradient: 4, weightGradient: 2 };
    const { seconds, devices: slots } = playPipeline(schedules[name], shape, {
      work: (work) => workSeconds(work, chunk),
      send: () => 0,
      together: () => 8,
    });
    const busy = slots.map((own) => own.reduce((sum, { start, end }) => sum + end - start, 0));
    return seconds - Math.min(...busy);
  },
});

const balance = (): ValidationRow => ({
  target: 4,
  class: "E",
  title: "MoGE, 8 skewed groups on 8 devices, max/mean",
  unit: "1",
  published: 1,
  tolerance: within(1e-12),
  source: "Pangu Pro MoE, arXiv:2505.21411, section 2.2",
  predict() {
    const skew = { kind: "zipf", exponent: 1, sigma: 0, factor: 1, count: 1, every: 1 } as const;
    const { picks } = profileOfLoads("", skewedWeights(skew, randomStream(1, "validation"), 64, 8, 0), 8, 8);
    const loads = Array.from({ length: 8 }, (_, d) =>
      picks.subarray(8 * d, 8 * d + 8).reduce((sum, each) => sum + each, 0),
    );
    return (8 * Math.max(...loads)) / loads.reduce((sum, load) => sum + load, 0);
  },
});

const mesh = (group: number, published: number): ValidationRow => ({
  target: 5,
  class: "E",
  title: `A2 mesh, group of ${group}`,
  unit: "GB/s",
  published,
  tolerance: EXACT,
  source: "Ascend/msmodeling (84fec853): (group − 1)/(N − 1)",
  predict: () => groupBytesPerSecond(topologies["a2-8xhccs-roce"].levels[0]!, group) / 1e9,
});

export const exactRows: readonly ValidationRow[] = [
  peak("ascend-910b2", 24, 1.8),
  peak("ascend-910b3", 20, 1.8),
  peak("ascend-910b4", 20, 1.5),
  peak("ascend-910a", 32, 1),
  peak("ascend-950pr", 32, 1.65),
  flops("llama2-7b", 4096, 42.9),
  flops("llama2-70b", 4096, 428.4),
  flops("mixtral-8x7b", 32_768, 102.3),
  flops("deepseek-v3", 4096, 260),
  flops("pangu-pro-moe-72b", 4096, 100.2),
  flops("pangu-ultra-moe-718b", 8192, 308.4),
  parameters(
    "pangu-pro-moe-72b",
    "total",
    71_988_781_056,
    "arXiv:2505.21411, table 1: 71.99 B, in full from its sizes",
  ),
  parameters(
    "pangu-pro-moe-72b",
    "active",
    16_498_139_136,
    "arXiv:2505.21411, table 1: 16.50 B, in full from its sizes",
  ),
  parameters("mixtral-8x7b", "total", 46_702_792_704, WEIGHTS),
  parameters("qwen3-30b-a3b", "total", 30_532_122_624, WEIGHTS),
  parameters("olmoe", "total", 6_919_161_856, WEIGHTS),
  parameters("llama2-7b", "total", 6_738_415_616, WEIGHTS),
  parameters("llama3-8b", "total", 8_030_261_248, WEIGHTS),
  parameters("qwen3-8b", "total", 8_190_735_360, WEIGHTS),
  bubble("1f1b", { pipeline: 8, virtual: 1, microBatches: 32 }, 7 * 9),
  bubble("interleaved", { pipeline: 8, virtual: 4, microBatches: 32 }, 7 * 9),
  bubble("zb-1p", { pipeline: 8, virtual: 1, microBatches: 32 }, 7 * (9 - 2 * 2)),
  bubble("dualpipe", { pipeline: 8, virtual: 1, microBatches: 32 }, 3 * (8 + 6 - 3 * 2)),
  bubble("dualpipe-v", { pipeline: 4, virtual: 2, microBatches: 32 }, 3 * (8 + 6 - 3 * 2)),
  balance(),
  mesh(2, 28),
  mesh(4, 84),
  mesh(8, 196),
];
