/**
 * Benchmarks of the cost model, in processor time of this process: `npx tsx test/bench/cluster.ts`, or on what ships,
 * `npm run build:ts && node …`. Not a test.
 */
import { architectures } from "../../src/cluster/architectures.ts";
import { devices } from "../../src/cluster/devices.ts";
import type { Job } from "../../src/cluster/job.ts";
import { defaultGrid, searchLayouts } from "../../src/cluster/plan.ts";
import { profileOfLoads, skewedWeights } from "../../src/cluster/routing-profile.ts";
import { schedules } from "../../src/cluster/schedules.ts";
import { StepModel } from "../../src/cluster/step.ts";
import { playPipeline } from "../../src/cluster/timeline.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { randomStream } from "../../src/core/random.ts";

/** DeepSeek-V3, 61 layers, PP16 EP64. */
const jobOf = (world: number): Job => ({
  model: architectures["deepseek-v3"],
  device: devices["ascend-910b2"],
  topology: topologies["a2-8xhccs-roce"],
  layout: {
    tensor: 1,
    virtual: 1,
    context: 1,
    expertTensor: 1,
    sequenceParallel: true,
    order: ["tensor", "context", "data", "pipeline"],
    distributedOptimizer: true,
    pipeline: 16,
    data: world / 16,
    expert: 64,
    schedule: "1f1b",
    paddingLayers: 3,
  },
  batch: { sequence: 4096, microBatch: 1, globalBatch: (world / 16) * 32 },
  recompute: "none",
  dispatch: "all-to-all",
  deduplicate: false,
  overlap: { tensor: 0, expert: 0, data: 0, slowdown: 0.25 },
  bytesPerValue: 2,
  bytesPerGradient: 4,
  speeds: new Map(),
});

const skew = { kind: "log-normal", sigma: 0.5, exponent: 1, factor: 2, count: 1, every: 1 } as const;

/** A profile of its own for every layer and, when they differ, every block of devices. */
function routingOf(blocks: number, seed = 1) {
  const profiles = Array.from({ length: 58 * blocks }, (_, i) =>
    profileOfLoads("", skewedWeights(skew, randomStream(seed, "bench", i), 256, 64, i), 8, 1),
  );
  return { title: "", blocks, profile: (layer: number, block: number) => profiles[block * 58 + layer]! };
}

/** Processor milliseconds of one call, the best of five rounds. */
function milliseconds(calls: number, work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage();
    for (let call = 0; call < calls; call++) work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1e3 / calls);
  }
  return best;
}

const say = (text: string) => process.stdout.write(`${text}\n`);

const step = new StepModel(jobOf(1024));
const alike = routingOf(1);
// Other loads at every call: what was worked out for one routing is no help with the next.
const routings = Array.from({ length: 300 }, (_, i) => routingOf(1, i));
let next = 0;
const closed = milliseconds(60, () => step.seconds(routings[next++]!));
say(`closed form, 61 layers, EP64: ${closed.toFixed(3)} ms, ${Math.round(1e3 / closed)} a second`);
for (const world of [9216, 92_160, 184_320]) {
  const routing = routingOf(world / 1024);
  say(
    `${world} devices, each block routed differently: ${milliseconds(1, () => new StepModel(jobOf(world)).seconds(routing)).toFixed(1)} ms`,
  );
}
const shape = { pipeline: 16, virtual: 2, microBatches: 64 };
const positions = new Array(32).fill({ forward: 3, inputGradient: 4, weightGradient: 2 });
const play = () => playPipeline(schedules.interleaved, shape, { positions, send: () => 0.1, together: () => 8 });
say(`events of PP16 x 64 micro-batches x 2 chunks: ${milliseconds(5, play).toFixed(1)} ms`);
const base = jobOf(4096);
const job = { ...base, layout: { ...base.layout, pipeline: 1, data: 4096, expert: 1, paddingLayers: 0 } };
const grid = { ...defaultGrid(job), virtual: [1, 2, 4, 8], context: [1, 2] };
const before = process.cpuUsage();
const { tried, candidates } = searchLayouts(job, grid, () => alike, { prune: false });
const { user, system } = process.cpuUsage(before);
say(`${tried} layouts searched, ${candidates.length} priced: ${((user + system) / 1e6).toFixed(2)} s`);
