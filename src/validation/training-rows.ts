/**
 * Rows of whole trainings: tokens a second and device. To add one, add an entry to `trainings`.
 *
 * Routing is published for none of them. Trainings with experts are taken to have the mildest imbalance of ranks that
 * UltraEP (arXiv:2606.04101) found without its balancing, 1.30: one hot rank. Where the layout is not recorded, the
 * best one found is taken, as a row of the reference asks.
 */
import { type ArchitectureName, architectures } from "../cluster/architectures.ts";
import { type DeviceName, devices } from "../cluster/devices.ts";
import type { Job, Overlap, Recomputation, Routing } from "../cluster/job.ts";
import type { Layout } from "../cluster/layout.ts";
import { profileOfModel } from "../cluster/limited-profile.ts";
import { defaultGrid, searchLayouts } from "../cluster/plan.ts";
import { profileOfLoads, skewedWeights } from "../cluster/routing-profile.ts";
import { StepModel } from "../cluster/step.ts";
import { type TopologyName, topologies } from "../cluster/topologies.ts";
import { fullestOf } from "../cluster/verdict.ts";
import { randomStream } from "../core/random.ts";
import { between, type Tolerance, type ValidationRow, within } from "./row.ts";

/** A published training. */
interface Training {
  readonly target: number;
  readonly model: ArchitectureName;
  readonly device: DeviceName;
  readonly topology: TopologyName;
  readonly devices: number;
  /** Degrees that are published; undefined: the best layout found. */
  readonly layout: Partial<Layout> | undefined;
  readonly sequence: number;
  readonly microBatch: number;
  readonly globalBatch: number;
  readonly recompute: Recomputation;
  /** Of each chunk; undefined: all. */
  readonly recomputeLayers?: number;
  readonly overlap?: Partial<Overlap>;
  /** What else differs from a plain run in bf16. */
  readonly besides?: Partial<Job>;
  readonly tokensPerSecondPerDevice: number;
  readonly tolerance: Tolerance;
  readonly source: string;
  readonly note?: string;
}

const MSL = "Ascend/MindSpeed-LLM (c77308a1)";

const trainings: readonly Training[] = [
  {
    target: 22,
    model: "llama2-7b",
    device: "ascend-910b3",
    topology: "a2-8xhccs-roce",
    devices: 8,
    layout: undefined,
    sequence: 4096,
    microBatch: 1,
    globalBatch: 256,
    recompute: "none",
    overlap: { data: 1 },
    tokensPerSecondPerDevice: 4672,
    tolerance: within(0.2),
    source: `${MSL}; layout and batch not recorded, best layout found`,
  },
  {
    target: 23,
    model: "qwen3-30b-a3b",
    device: "ascend-910b3",
    topology: "a2-8xhccs-roce",
    devices: 16,
    layout: { pipeline: 2, expert: 8 },
    sequence: 4096,
    microBatch: 1,
    globalBatch: 256,
    recompute: "full",
    tokensPerSecondPerDevice: 2318,
    tolerance: within(0.3),
    source: `${MSL}: TP1 PP2 EP8 MBS1 GBS256, full recomputation`,
  },
  {
    target: 24,
    model: "mixtral-8x7b",
    device: "ascend-910b3",
    topology: "a2-8xhccs-roce",
    devices: 64,
    layout: undefined,
    sequence: 32_768,
    microBatch: 1,
    globalBatch: 128,
    recompute: "none",
    tokensPerSecondPerDevice: 706,
    tolerance: within(0.35),
    source: `${MSL}; layout and batch not recorded, best layout found`,
    note: "the best of some thousand layouts is a bound, not the layout that was run; one of 2024 with context parallelism or recomputation would be slower",
  },
  {
    target: 26,
    model: "qwen3-8b",
    device: "ascend-910c-die",
    topology: "a3-measured",
    devices: 16,
    layout: { tensor: 2 },
    sequence: 4096,
    microBatch: 1,
    globalBatch: 128,
    recompute: "none",
    overlap: { tensor: 0.5, data: 1 },
    tokensPerSecondPerDevice: 3808,
    tolerance: within(0.2),
    source: `${MSL}: TP2 DP8 MBS1 GBS128, half of the tensor communication taken as overlapped; a die is half a card`,
  },
  {
    target: 32,
    model: "deepseek-v3",
    device: "h800",
    topology: "dgx-h800",
    devices: 2048,
    layout: { pipeline: 16, expert: 64, schedule: "dualpipe", paddingLayers: 3 },
    sequence: 4096,
    microBatch: 1,
    globalBatch: 15_360,
    recompute: "fine-grained",
    overlap: { expert: 1 },
    besides: {
      dispatch: "streamed",
      products: "fp8",
      bytesPerDispatched: 1 + 4 / 128,
      bytesPerKept: 1 + 4 / 128,
      bytesPerState: 8,
    },
    tokensPerSecondPerDevice: 1e12 / (180_000 * 3600),
    tolerance: within(0.3),
    source:
      "DeepSeek-V3, arXiv:2412.19437, sections 1, 3 and 4.2: 180,000 H800 hours for 1e12 tokens, on 2,048; micro-batch of one sequence taken",
  },
];

const plain = {
  tensor: 1,
  pipeline: 1,
  virtual: 1,
  context: 1,
  expert: 1,
  expertTensor: 1,
  sequenceParallel: true,
  schedule: "1f1b",
  paddingLayers: 0,
  order: ["tensor", "context", "data", "pipeline"],
  distributedOptimizer: true,
} as const;

function jobOf(training: Training): Job {
  const layout = { ...plain, ...training.layout };
  return {
    model: architectures[training.model],
    device: devices[training.device],
    topology: topologies[training.topology],
    layout: { ...layout, data: training.devices / (layout.tensor * layout.pipeline * layout.context) },
    batch: training,
    recompute: training.recompute,
    recomputeLayers: training.recomputeLayers ?? Number.POSITIVE_INFINITY,
    dispatch: "all-to-all",
    deduplicate: false,
    overlap: { tensor: 0, expert: 0, data: 0, slowdown: 0.25, ...training.overlap },
    products: "bf16",
    bytesPerValue: 2,
    bytesPerDispatched: 2,
    bytesPerKept: 2,
    bytesPerGradient: 4,
    bytesPerState: 12,
    speeds: new Map(),
    ...training.besides,
  };
}

/** One hot rank, 1.30 of the mean. */
function hotRank({ model }: Job, ranks: number): Routing {
  if (model.experts === 0) {
    return { title: "no experts", blocks: 1, microBatches: 1, profile: () => profileOfLoads("", [1], 1, 1) };
  }
  const factor = (1.3 * (ranks - 1)) / (ranks - 1.3);
  const skew = {
    kind: ranks === 1 ? "uniform" : "hot-rank",
    factor,
    exponent: 0,
    sigma: 0,
    count: 1,
    every: 1,
  } as const;
  const weights = skewedWeights(skew, randomStream(1, "validation"), model.experts, ranks, 0);
  const profile = profileOfModel("one rank at 1.30 of the mean", weights, model);
  return { title: profile.title, blocks: 1, microBatches: 1, profile: () => profile };
}

function tokensPerSecond(training: Training): number {
  const job = jobOf(training);
  if (training.layout !== undefined) {
    return new StepModel(job).price(hotRank(job, job.layout.expert), { events: true }).tokensPerSecondPerDevice;
  }
  const grid = { ...defaultGrid(job), schedule: ["1f1b", "interleaved"] as const };
  const { candidates } = searchLayouts(job, grid, ({ expert }) => hotRank(job, expert), { prune: true });
  const best = candidates.find(({ fits }) => fits);
  if (best === undefined) return 0;
  const { layout, microBatch, recompute } = best;
  const found = { ...job, layout, recompute, batch: { ...job.batch, microBatch } };
  return new StepModel(found).price(hotRank(job, layout.expert), { events: true }).tokensPerSecondPerDevice;
}

const recomputation = (of: "throughput" | "memory", low: number, high: number): ValidationRow => ({
  target: 28,
  class: "V",
  ...(of === "throughput" && {
    note: "collectives of TP8 run again, too, and none of them is taken to overlap; the claim names no layout",
  }),
  title: `full recomputation, change of ${of}`,
  unit: "%",
  published: (low + high) / 2,
  tolerance: between(low, high),
  source:
    "Ascend/MindSpeed docs (028de58c), a claim without a set-up; priced on Llama 2 7B, TP8, micro-batch 4, one A2 server",
  predict() {
    const job = jobOf({ ...trainings[0]!, layout: { tensor: 8 }, microBatch: 4 });
    const price = (recompute: Recomputation) =>
      new StepModel({ ...job, recompute }).price(hotRank(job, 1), { events: true });
    const [full, none] = [price("full"), price("none")];
    return of === "throughput"
      ? 100 * (full.tokensPerSecondPerDevice / none.tokensPerSecondPerDevice - 1)
      : 100 * (fullestOf(full.memory).total / fullestOf(none.memory).total - 1);
  },
});

export const trainingRows: readonly ValidationRow[] = [
  ...trainings.map((training): ValidationRow => {
    const { target, model, sequence, tokensPerSecondPerDevice, tolerance, source, note } = training;
    const title = `${architectures[model].title}, ${sequence / 1024}K, ${training.devices} devices`;
    const common = { target, class: "V" as const, title, tolerance, source, ...(note && { note }) };
    return {
      ...common,
      unit: "tokens/s",
      published: tokensPerSecondPerDevice,
      predict: () => tokensPerSecond(training),
    };
  }),
  recomputation("throughput", -25, -15),
  recomputation("memory", -40, -30),
];
