/** A small job to vary in tests of the step. */
import { architectures } from "../../src/cluster/architectures.ts";
import { devices } from "../../src/cluster/devices.ts";
import type { Job, Routing } from "../../src/cluster/job.ts";
import type { Layout } from "../../src/cluster/layout.ts";
import { profileOfLoads, type Skew, skewedWeights, skewPeriod } from "../../src/cluster/routing-profile.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { randomStream } from "../../src/core/random.ts";

export const plainLayout: Layout = {
  tensor: 1,
  pipeline: 4,
  virtual: 1,
  data: 16,
  context: 1,
  expert: 8,
  expertTensor: 1,
  sequenceParallel: true,
  schedule: "1f1b",
  paddingLayers: 0,
  order: ["tensor", "context", "data", "pipeline"],
  distributedOptimizer: true,
};

/** Qwen3-30B-A3B on 64 Ascend 910B3. */
export const smallJob: Job = {
  model: architectures["qwen3-30b-a3b"],
  device: devices["ascend-910b3"],
  topology: topologies["a2-8xhccs-roce"],
  layout: plainLayout,
  batch: { sequence: 4096, microBatch: 1, globalBatch: 256 },
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
};

const noSkew: Skew = { kind: "uniform", exponent: 1, sigma: 0.5, factor: 2, count: 4, every: 3 };

export function routingOf(skew: Partial<Skew>, { model, layout }: Job, groups = 1): Routing {
  const whole = { ...noSkew, ...skew };
  const microBatches = skewPeriod(whole, layout.expert);
  const moeLayers = model.layers - model.denseLayers;
  const profiles = Array.from({ length: microBatches * moeLayers }, (_, i) => {
    const [layer, microBatch] = [i % moeLayers, Math.floor(i / moeLayers)];
    const random = randomStream(3, "test", layer);
    const weights = skewedWeights(whole, random, model.experts, layout.expert, layer, microBatch);
    return profileOfLoads("test", weights, model.topK, groups);
  });
  const profile = (layer: number, _: number, microBatch: number) => profiles[microBatch * moeLayers + layer]!;
  return { title: "test", blocks: 1, microBatches, profile };
}
