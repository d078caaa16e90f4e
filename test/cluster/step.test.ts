import { expect } from "chai";
import { countParameters } from "../../src/cluster/architecture.ts";
import { architectures } from "../../src/cluster/architectures.ts";
import { type Device, fp8 } from "../../src/cluster/device.ts";
import { devices } from "../../src/cluster/devices.ts";
import type { Job, Routing } from "../../src/cluster/job.ts";
import { LayerKernels } from "../../src/cluster/layer-kernels.ts";
import { layoutSpans } from "../../src/cluster/layout.ts";
import { layerActivations } from "../../src/cluster/memory.ts";
import { skews } from "../../src/cluster/routing-profile.ts";
import { assumed } from "../../src/cluster/sourced.ts";
import { priceStep, StepModel } from "../../src/cluster/step.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { plainLayout, routingOf, smallJob } from "./small-job.ts";

const seconds = (job: Job, routing = routingOf({}, job)) => new StepModel(job).seconds(routing);
const within = (change: Partial<Job>): Job => ({ ...smallJob, ...change });
const layout = (change: Partial<typeof plainLayout>) => within({ layout: { ...plainLayout, ...change } });

describe("the price of a step", () => {
  const jobs: [string, Job][] = [
    ["1F1B", smallJob],
    ["interleaved", layout({ virtual: 2, schedule: "interleaved" })],
    ["ZB-1P", layout({ schedule: "zb-1p" })],
    ["DualPipe", layout({ schedule: "dualpipe" })],
    ["DualPipeV", layout({ schedule: "dualpipe-v", virtual: 2 })],
    ["no pipeline", layout({ pipeline: 1, data: 64 })],
    ["TP 4", layout({ tensor: 4, data: 4 })],
    ["overlap", within({ overlap: { tensor: 0.5, expert: 0.5, data: 0.5, slowdown: 0.25 } })],
    ["full recomputation", within({ recompute: "full" })],
    ["a slow device", within({ speeds: new Map([[3, 0.7]]) })],
  ];
  for (const [name, job] of jobs) {
    it(`${name}: parts add up to the step, on every stage and in the mean`, () => {
      for (const events of [false, true]) {
        const { split, stages, seconds: whole } = priceStep(job, routingOf({ kind: "log-normal" }, job), { events });
        for (const stage of [split, ...stages]) {
          const sum = stage.compute + stage.communication + stage.hottestWait + stage.slowWait + stage.bubble;
          expect(sum).to.be.closeTo(whole, 1e-9 * whole);
          for (const part of Object.values(stage)) expect(part).to.be.at.least(0);
        }
      }
    });
  }

  it("doubles the work of a device at half speed, on its own stage and on no other, whatever the schedule", () => {
    for (const [name, job] of jobs.slice(0, 5)) {
      for (let stage = 0; stage < 4; stage++) {
        const slow = { ...job, speeds: new Map([[16 * stage + 3, 0.5]]) };
        for (const events of [false, true]) {
          const { stages, tail, layers, split } = priceStep(slow, routingOf({}, slow), { events });
          for (const [s, { compute, slowWait }] of stages.entries()) {
            const added = s === stage ? compute - tail.compute : 0;
            expect(slowWait, `${name}, ${stage}, stage ${s}`).to.be.closeTo(added, 1e-9 * compute);
          }
          // The same of its layers, but for embedding and heads: 48 of equal cost, a quarter on each stage.
          const waits = layers.map(({ forward }) => forward.slowWait).sort((a, b) => a - b);
          const compute = layers[0]!.forward.compute;
          const slowed = waits.reduce((sum, each) => sum + each, 0);
          expect(slowed, name).to.be.closeTo(12 * compute, 1e-9 * compute);
          expect(split.slowWait).to.be.greaterThan(0);
        }
      }
    }
  });

  it("is the same by closed form and by events when all chunks are alike and messages are free", () => {
    // Experts alone: no embedding and no head to speak of, so that all stages are alike.
    for (const change of [{}, { virtual: 2, schedule: "interleaved" as const }, { schedule: "zb-1p" as const }]) {
      const base = layout(change);
      const job: Job = {
        ...base,
        device: devices.ideal,
        topology: {
          ...topologies.ideal,
          levels: topologies.ideal.levels.map((level) => ({
            ...level,
            bytesPerSecond: { ...level.bytesPerSecond, value: 1e30 },
          })),
        },
        model: { ...base.model, vocabulary: 1e-9 },
      };
      const closed = priceStep(job, routingOf({}, job), { events: false }).seconds;
      const played = priceStep(job, routingOf({}, job), { events: true }).seconds;
      expect(played / closed).to.be.closeTo(1, 1e-6); // the head keeps one tile
    }
  });

  it("without a pipeline is the sum of its micro-batches, by closed form and by events, however they are routed", () => {
    for (const kind of ["rotating-hotspot", "burst"] as const) {
      const job = layout({ pipeline: 1, data: 16, expert: 8 });
      const routing = routingOf({ kind, factor: 4, every: 3 }, job);
      const { seconds: closed, timeline, tail } = priceStep(job, routing, { events: true });
      const tailSeconds = tail.compute + tail.communication;
      expect(timeline!.seconds + tailSeconds).to.be.closeTo(closed, 1e-9 * closed);
      // Priced by themselves and added up: the g-th micro-batch is routed like the g-th of the period.
      let sum = 0;
      for (let g = 0; g < 16; g++) {
        const one: Routing = {
          ...routing,
          microBatches: 1,
          profile: (l, b) => routing.profile(l, b, g % routing.microBatches),
        };
        sum += (seconds(job, one) - tailSeconds) / 16;
      }
      expect(sum + tailSeconds).to.be.closeTo(closed, 1e-9 * closed);
    }
  });

  it("waits in the micro-batches in which a burst is, and in no other", () => {
    const job = within({ batch: { ...smallJob.batch, globalBatch: 16 * 12 } });
    const { timeline, layers } = priceStep(job, routingOf({ kind: "burst", factor: 4, every: 3 }, job), {
      events: true,
    });
    for (const { slot, parts, start, end } of timeline!.devices.flat()) {
      expect(parts.hottestWait > 0).to.equal(slot[0].microBatch % 3 === 0);
      const sum = parts.compute + parts.communication + parts.hottestWait + parts.slowWait;
      expect(sum).to.be.closeTo(end - start, 1e-12);
    }
    // The mean of the micro-batches, but the memory's peak is that of the hot ones.
    const hot = priceStep(job, routingOf({ kind: "hot-rank", factor: 4 }, job), { events: true });
    expect(layers[0]!.imbalance - 1).to.be.closeTo((hot.layers[0]!.imbalance - 1) / 3, 1e-9);
    expect(layers[0]!.hottestRows).to.equal(hot.layers[0]!.hottestRows);
  });

  it("is the same with and without its split, whatever the routing", () => {
    for (const [, job] of jobs) {
      for (const kind of Object.keys(skews) as (keyof typeof skews)[]) {
        const routing = routingOf({ kind }, job);
        const full = priceStep(job, routing, { events: false });
        const quick = new StepModel(job).quick(routing);
        const sum = full.stages.reduce(
          (most, stage) =>
            Math.max(most, stage.compute + stage.communication + stage.hottestWait + stage.slowWait + stage.bubble),
          0,
        );
        expect(quick.seconds).to.be.closeTo(sum, 1e-9 * sum);
        expect(quick.memory()).to.deep.equal(full.memory);
      }
    }
  });

  it("waits for nobody when every device gets the same, and MoGE's groups on whole devices are such", () => {
    expect(priceStep(smallJob, routingOf({}, smallJob), { events: true }).split.hottestWait).to.equal(0);
    const pangu = within({ model: architectures["pangu-pro-moe-72b"] });
    const grouped = priceStep(pangu, routingOf({ kind: "log-normal", sigma: 1 }, pangu, 8), { events: true });
    for (const { imbalance } of grouped.layers) expect(imbalance).to.be.closeTo(1, 1e-3); // whole tokens
    const free = priceStep(pangu, routingOf({ kind: "log-normal", sigma: 1 }, pangu, 1), { events: true });
    expect(free.split.hottestWait).to.be.greaterThan(10 * grouped.split.hottestWait);
  });

  const free = {
    ...topologies.ideal,
    levels: topologies.ideal.levels.map((level) => ({
      ...level,
      bytesPerSecond: { ...level.bytesPerSecond, value: 1e30 },
    })),
  };
  const plain = layout({ pipeline: 1, data: 8, expert: 1 });
  const dense: Job = {
    ...plain,
    model: architectures["llama2-7b"],
    device: devices.ideal,
    topology: free,
    batch: { ...plain.batch, globalBatch: 8 },
  };
  const noExperts = routingOf({}, { ...dense, model: { ...dense.model, experts: 1, topK: 1 } });

  it("takes the FLOP of an ideal device over its peak, with nothing else to wait for", () => {
    const { utilisation } = priceStep(dense, noExperts, { events: true });
    // Attention backward does five products for every two forward, half a pass more than is counted.
    expect(utilisation).to.be.within(0.97, 1.0001);
  });

  it("in fp8 halves the seconds of products with weights, and of nothing else", () => {
    const twice = assumed(2e14, "twice the peak of the ideal device");
    const device: Device = { ...devices.ideal, eightBit: fp8(twice, assumed(1, "a test")) };
    const of = (products: "bf16" | "fp8") => priceStep({ ...dense, device, products }, noExperts, { events: true });
    // Of 32 layers, 3 passes, 2 FLOP; the output head stays in 16 bits.
    const weights = 32 * (4 * 4096 ** 2 + 3 * 4096 * 11_008);
    const saved = (3 * 2 * 4096 * weights) / 1e14 / 2;
    expect(of("bf16").seconds - of("fp8").seconds).to.be.closeTo(saved, 1e-9 * saved);
  });

  it("without a gate has two matrices a network, in FLOP and in seconds", () => {
    const ungated = { ...dense, model: { ...dense.model, gated: false } };
    const price = (job: Job) => priceStep(job, noExperts, { events: true });
    const saved = (3 * 2 * 4096 * 32 * 4096 * 11_008) / 1e14;
    expect(price(dense).seconds - price(ungated).seconds).to.be.closeTo(saved, 1e-9 * saved);
    const parameters = (job: Job) => countParameters(job.model).total;
    expect(parameters(dense) - parameters(ungated)).to.equal(32 * 4096 * 11_008);
  });

  it("sends what leaves for the experts in as many bytes as it is told to, and what returns in full", () => {
    const two = layout({ pipeline: 1, data: 16, expert: 16 });
    const { experts } = new LayerKernels(two, layoutSpans(two.layout, two.topology));
    const profile = routingOf({}, two).profile(0, 0, 0);
    const whole = experts!.evaluate(profile);
    const job = { ...two, bytesPerDispatched: 1 };
    const half = new LayerKernels(job, layoutSpans(two.layout, two.topology)).experts!.evaluate(profile);
    expect(half.combine).to.equal(whole.combine);
    // All but starts and latencies is bytes: RoCE, 8 of 16 parts of 4096 tokens · 8 experts · 2048 values.
    const bytes = (8 / 16) * 4096 * 8 * 2048;
    expect(whole.dispatch - half.dispatch).to.be.closeTo(bytes / (0.7 * 25e9), 1e-12);
  });

  it("waits for the host where states pass through its link, and needs no memory for them", () => {
    const price = (job: Job) => priceStep(job, noExperts, { events: true });
    const slow = { ...dense, offloadBytesPerSecond: 1e9 };
    expect(price(slow).tail.compute).to.equal((12 * 6_738_415_616) / 8 / 1e9);
    expect(price({ ...dense, offloadBytesPerSecond: 1e30 }).seconds).to.equal(price(dense).seconds);
    expect(price(slow).memory[0]!.optimizer).to.equal(0);
  });
});

describe("sensitivity of the step", () => {
  const skewed = (job: Job) => routingOf({ kind: "log-normal", sigma: 0.7 }, job);
  const base = seconds(smallJob, skewed(smallJob));

  it("more bandwidth, more peak, more memory bandwidth and less latency never make it slower", () => {
    const scaledLink = (key: "bytesPerSecond" | "efficiency" | "latencySeconds", by: number) =>
      within({
        topology: {
          ...smallJob.topology,
          levels: smallJob.topology.levels.map((level) => ({
            ...level,
            [key]: { ...level[key], value: level[key].value * by },
          })),
        },
      });
    const scaledDevice = (key: "peakFlopsPerSecond" | "memoryBytesPerSecond", by: number) =>
      within({
        device: { ...smallJob.device, [key]: { ...smallJob.device[key], value: smallJob.device[key].value * by } },
      });
    for (const job of [
      scaledLink("bytesPerSecond", 2),
      scaledLink("efficiency", 1.2),
      scaledLink("latencySeconds", 0.5),
      scaledDevice("peakFlopsPerSecond", 1.5),
      scaledDevice("memoryBytesPerSecond", 1.5),
    ]) {
      expect(seconds(job, skewed(job))).to.be.below(base);
    }
  });

  it("a hotter rank, more skew and slower devices never make it faster", () => {
    const rising = (routings: Routing[]) => {
      const all = routings.map((routing) => seconds(smallJob, routing));
      for (const [i, each] of all.entries()) expect(each).to.be.at.least(all[i - 1] ?? 0);
    };
    rising([1, 1.1, 1.5, 2, 4, 8].map((factor) => routingOf({ kind: "hot-rank", factor }, smallJob)));
    rising([0, 0.25, 0.5, 1, 2].map((exponent) => routingOf({ kind: "zipf", exponent }, smallJob)));
    const slow = [1, 0.9, 0.5].map((speed) => seconds(within({ speeds: new Map([[0, speed]]) }), skewed(smallJob)));
    for (const [i, each] of slow.entries()) expect(each).to.be.at.least(slow[i - 1] ?? 0);
    expect(slow[2]).to.be.greaterThan(slow[0]!);
  });

  it("another topology, device, order of ranks, dispatch, batch and recomputation change it", () => {
    const changed: Job[] = [
      within({ topology: topologies["a3-measured"] }),
      within({ device: devices["ascend-910b2"] }),
      layout({ order: ["pipeline", "data", "tensor", "context"] }),
      within({ dispatch: "hierarchical" }),
      within({ dispatch: "all-gather" }),
      within({ deduplicate: true }),
      within({ recompute: "selective" }),
      within({ recompute: "full" }),
      within({ batch: { ...smallJob.batch, sequence: 8192 } }),
      within({ bytesPerGradient: 2 }),
      within({ overlap: { ...smallJob.overlap, expert: 0.5 } }),
      within({ overlap: { ...smallJob.overlap, data: 0.5 } }),
      layout({ expert: 16 }),
      layout({ expertTensor: 2 }),
      layout({ distributedOptimizer: false }),
      layout({ tensor: 4, data: 4, sequenceParallel: false }),
    ];
    for (const job of changed) expect(seconds(job, skewed(job))).to.not.equal(base);
  });
});

describe("memory", () => {
  const total = (job: Job, routing = routingOf({}, job)) =>
    Math.max(...priceStep(job, routing, { events: false }).memory.map((stage) => stage.total));

  it("has 18 bytes a parameter, or 6 + 12/DP with a distributed optimizer", () => {
    const job = layout({ pipeline: 1, data: 8, expert: 1, distributedOptimizer: false });
    const dense: Job = { ...job, model: architectures["llama2-7b"], batch: { ...job.batch, globalBatch: 8 } };
    const states = (each: Job) => {
      const [stage] = priceStep(each, routingOf({}, smallJob), { events: false }).memory;
      return stage!.parameters + stage!.gradients + stage!.optimizer;
    };
    expect(states(dense)).to.equal(18 * 6_738_415_616);
    const shared = { ...dense, layout: { ...dense.layout, distributedOptimizer: true } };
    expect(states(shared)).to.equal((6 + 12 / 8) * 6_738_415_616);
  });

  it("shrinks with recomputation, grows with imbalance and with the micro-batch", () => {
    const bytes = (["none", "fine-grained", "full"] as const).map((recompute) => total(within({ recompute })));
    expect(bytes[0]).to.be.greaterThan(bytes[1]!);
    expect(bytes[1]).to.be.greaterThan(bytes[2]!);
    expect(total(smallJob, routingOf({ kind: "hot-rank", factor: 3 }, smallJob))).to.be.greaterThan(total(smallJob));
    expect(total(within({ batch: { ...smallJob.batch, microBatch: 2 } }))).to.be.greaterThan(total(smallJob));
  });

  it("keeps inputs of products in as many bytes as it is told to: outputs of norms, what comes up, what goes down", () => {
    const of = (change: Partial<Job>) => layerActivations({ ...smallJob, ...change }, 0, 1000);
    const kept = 4096 * 2 * 2048 + 1000 * (3 * 768 + 2048);
    expect(of({}) - of({ bytesPerKept: 1 })).to.equal(kept);
  });

  it("with fine-grained recomputation keeps neither queries, keys and values of latent attention nor experts' results", () => {
    const deepseek = within({ model: architectures["deepseek-v3"] });
    const of = (recompute: Job["recompute"]) => layerActivations({ ...deepseek, recompute }, 3, 1000);
    const latent = 4096 * (1536 + 512 + 64);
    const heads = 4096 * 128 * (2 * 192 + 128);
    const gone = 2 * 4096 * 7168 + latent + heads + (4096 + 1000) * 2048 + 1000 * 7168;
    expect(of("none") - of("fine-grained")).to.equal(2 * gone);
  });
});
