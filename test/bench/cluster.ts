/** The cost model, in processor time of this process. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { architectures } from "../../src/cluster/architectures.ts";
import { devices } from "../../src/cluster/devices.ts";
import type { Job } from "../../src/cluster/job.ts";
import { defaultGrid, searchLayouts } from "../../src/cluster/plan.ts";
import { profileOfLoads, skewedWeights } from "../../src/cluster/routing-profile.ts";
import { schedules, type Work } from "../../src/cluster/schedules.ts";
import { StepModel } from "../../src/cluster/step.ts";
import { playPipeline, workSeconds } from "../../src/cluster/timeline.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { randomStream } from "../../src/core/random.ts";
import type { Bench } from "./bench.ts";

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
  recomputeLayers: Number.POSITIVE_INFINITY,
  dispatch: "all-to-all",
  deduplicate: false,
  overlap: { tensor: 0, expert: 0, data: 0, slowdown: 0.25 },
  products: "bf16",
  bytesPerValue: 2,
  bytesPerDispatched: 2,
  bytesPerKept: 2,
  bytesPerGradient: 4,
  bytesPerState: 12,
  speeds: new Map(),
});

const skew = { kind: "log-normal", sigma: 0.5, exponent: 1, factor: 2, count: 1, every: 1 } as const;

/** A profile of its own for every layer and, when they differ, every block of devices. */
function routingOf(blocks: number, seed = 1) {
  const profiles = Array.from({ length: 58 * blocks }, (_, i) =>
    profileOfLoads("", skewedWeights(skew, randomStream(seed, "bench", i), 256, 64, i), 8, 1),
  );
  return {
    title: "",
    blocks,
    microBatches: 1,
    profile: (layer: number, block: number) => profiles[block * 58 + layer]!,
  };
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

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

interface Figure {
  readonly title: string;
  readonly figure: number;
  readonly unit: string;
  /** What was asked for: at least, if it is a rate, otherwise at most. */
  readonly target: number;
}

/** Steps a second with other loads at every call: what was worked out for one routing is no help with the next. */
function closedForm(): Figure {
  const step = new StepModel(jobOf(1024));
  const routings = Array.from({ length: 100 }, (_, i) => routingOf(1, i));
  let next = 0;
  const each = milliseconds(100, () => step.seconds(routings[next++ % routings.length]!), 20);
  return {
    title: "closed form, 61 layers, EP64, loads of every layer",
    figure: 1e3 / each,
    unit: "steps/s",
    target: 5000,
  };
}

function manyDevices(world: number, target: number): Figure {
  const routing = routingOf(world / 1024);
  const figure = milliseconds(1, () => new StepModel(jobOf(world)).seconds(routing));
  return { title: `${world} devices, every rank loaded differently`, figure, unit: "ms", target };
}

/** Bytes that stay: garbage is collected until nothing more comes of it. */
function bytesHeld(): number {
  for (let i = 0; i < 4; i++) collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** What a step's model and its routing take on ten times the devices. */
function memoryGrowth(): Figure {
  const held: unknown[] = [];
  const bytes = (world: number) => {
    const before = bytesHeld();
    const [step, routing] = [new StepModel(jobOf(world)), routingOf(world / 1024)];
    held.push(step, routing, step.seconds(routing));
    return bytesHeld() - before;
  };
  bytes(9216); // compiles what stays, too
  const few = bytes(9216);
  return { title: "memory on 92,160 devices over that on 9,216", figure: bytes(92_160) / few, unit: "x", target: 10.5 };
}

function events(): Figure {
  const shape = { pipeline: 16, virtual: 2, microBatches: 64 };
  const chunk = { forward: 3, inputGradient: 4, weightGradient: 2 };
  const work = (each: Work) => workSeconds(each, chunk);
  const figure = milliseconds(5, () =>
    playPipeline(schedules.interleaved, shape, { work, send: () => 0.1, together: () => 8 }),
  );
  return { title: "events of PP16 x 64 micro-batches x 2 chunks", figure, unit: "ms", target: 100 };
}

function search(): Figure {
  const base = jobOf(4096);
  const job = { ...base, layout: { ...base.layout, pipeline: 1, data: 4096, expert: 1, paddingLayers: 0 } };
  const grid = { ...defaultGrid(job), virtual: [1, 2, 4, 8], context: [1, 2] };
  const alike = routingOf(1);
  let priced = 0;
  const run = () => {
    priced = searchLayouts(job, grid, () => alike, { prune: false }).candidates.length;
  };
  const figure = (milliseconds(1, run, 2) / 1e3) * (8000 / priced);
  return { title: `8,000 layouts searched (of ${priced} priced)`, figure, unit: "s", target: 5 };
}

export const bench: Bench = {
  title: "the cost model: DeepSeek-V3, 61 layers, PP16 EP64, in processor time",
  run({ quick }) {
    const benches: (() => Figure)[] = [
      closedForm,
      () => manyDevices(9216, 50),
      ...(quick ? [] : [() => manyDevices(102_400, 1000)]),
      events,
      ...(quick ? [] : [search]),
      memoryGrowth,
    ];
    const rows = benches.map((each) => {
      const { title, figure, unit, target } = each();
      const asked = `${unit.endsWith("/s") ? "at least" : "at most"} ${target.toLocaleString("en-US")} ${unit}`;
      return [title, figure, asked];
    });
    return Promise.resolve({
      tables: [{ title: "prices of a step", columns: ["what", "figure", "asked for"], rows }],
      notes: [],
    });
  },
};
