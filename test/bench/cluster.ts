/** The cost model, in processor time of this process. */
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
import { type Bench, logLogSlope } from "./bench.ts";

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

/** Processor milliseconds of one call, the best of some rounds. */
function milliseconds(calls: number, work: () => unknown, rounds = 5): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const before = process.cpuUsage();
    for (let call = 0; call < calls; call++) work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1e3 / calls);
  }
  return best;
}

/** Of a search over the layouts of 4,096 devices. */
function search() {
  const base = jobOf(4096);
  const job = { ...base, layout: { ...base.layout, pipeline: 1, data: 4096, expert: 1, paddingLayers: 0 } };
  const grid = { ...defaultGrid(job), virtual: [1, 2, 4, 8], context: [1, 2] };
  const alike = routingOf(1);
  return searchLayouts(job, grid, () => alike, { prune: false });
}

export const bench: Bench = {
  title: "the cost model: DeepSeek-V3, 61 layers, PP16 EP64, in processor time",
  run({ quick }) {
    const step = new StepModel(jobOf(1024));
    // Other loads at every call: what was worked out for one routing is no help with the next.
    const routings = Array.from({ length: 300 }, (_, i) => routingOf(1, i));
    let next = 0;
    const closed = milliseconds(60, () => step.seconds(routings[next++ % routings.length]!));
    const worlds = (quick ? [9216] : [9216, 46_080, 92_160, 184_320]).map((world) => {
      const routing = routingOf(world / 1024);
      return [world, milliseconds(1, () => new StepModel(jobOf(world)).seconds(routing))] as const;
    });
    const shape = { pipeline: 16, virtual: 2, microBatches: 64 };
    const positions = new Array(32).fill({ forward: 3, inputGradient: 4, weightGradient: 2 });
    const play = () => playPipeline(schedules.interleaved, shape, { positions, send: () => 0.1, together: () => 8 });
    const rows: (string | number)[][] = [
      ["closed form, one routing for all blocks", closed],
      ...worlds.map(([world, each]) => [`${world.toLocaleString("en-US")} devices, blocks routed apart`, each]),
      ["events of PP16, 64 micro-batches, 2 chunks", milliseconds(5, play)],
    ];
    if (!quick) {
      const { tried, candidates } = search();
      rows.push([`${tried} layouts searched, ${candidates.length} priced`, milliseconds(1, search, 1)]);
    }
    const slope = worlds.length > 1 ? [`Exponent of time by devices: ${logLogSlope(worlds).toFixed(2)}.`] : [];
    return Promise.resolve({
      tables: [{ title: "milliseconds of a call", columns: ["what", "ms"], rows }],
      notes: slope,
    });
  },
};
