/** Steps that look like a training run, to develop writers and figures with. Not a model of anything. */
import type { RunConfig } from "../../src/config/schema.ts";
import { type Random, randomStream } from "../../src/core/random.ts";
import type { WrittenVariant } from "../../src/output/columns.ts";
import { RunWriter } from "../../src/output/run-writer.ts";
import type { SimulatedStep } from "../../src/price.ts";
import type { LayerStep, Step } from "../../src/simulate.ts";

interface Manner {
  /** Spread of the logarithm of expert popularity, at the start and at the end. */
  readonly skew: readonly [number, number];
  /** Every device gets the same number of assignments. */
  readonly balancedDevices: boolean;
  readonly fanOut: number;
  readonly loss: number;
}

export const manners: Record<string, Manner> = {
  topk: { skew: [0.3, 0.45], balancedDevices: false, fanOut: 5.2, loss: 2.141 },
  "topk-lossfree": { skew: [0.3, 0.08], balancedDevices: false, fanOut: 5.4, loss: 2.136 },
  moge: { skew: [0.3, 0.4], balancedDevices: true, fanOut: 8, loss: 2.158 },
};

export interface FakeShape {
  readonly steps: number;
  readonly layers: number;
  readonly experts: number;
  readonly devices: number;
  readonly tokens: number;
  readonly every: number;
}

export const usualShape: FakeShape = { steps: 300, layers: 2, experts: 64, devices: 8, tokens: 1024, every: 10 };

const topK = 8;

export const fakeVariant = (name: string, shape: FakeShape): WrittenVariant => ({
  name,
  config: {
    model: { layers: shape.layers, experts: shape.experts, topK },
    training: { steps: shape.steps },
    cluster: { devices: shape.devices, placement: "contiguous" },
    record: { every: shape.every },
  } as unknown as RunConfig,
});

/** A dense variant has no manner: no layers, nothing simulated. */
export function* fakeSteps(name: string, shape: FakeShape): Generator<Step, void, void> {
  const manner = manners[name];
  const random = randomStream(1, name);
  const tastes = Array.from({ length: shape.layers }, () => gaussians(random, shape.experts));
  for (let step = 1; step <= shape.steps; step++) {
    const progress = step / shape.steps;
    const layers = manner ? tastes.map((taste, layer) => fakeLayer(layer, taste, manner, progress, shape, random)) : [];
    const final = manner?.loss ?? 2.2;
    const loss = final + 3.4 / (1 + 24 * progress) - 3.4 / 25;
    const simulated = layers.length > 0 ? fakeTime(layers) : undefined;
    yield {
      step,
      learningRate: 6e-3 * (1 - 0.9 * progress),
      trainingLossNatsPerByte: loss + 0.06 * random.gaussian() - 0.05 * progress,
      gradientNorm: 0.8 + 0.1 * random.uniform(),
      tokens: shape.tokens,
      layers,
      ...((step % 25 === 0 || step === shape.steps) && {
        validation: {
          lossNatsPerByte: loss,
          domains: [
            { domain: "moby-dick", lossNatsPerByte: loss - 0.2 },
            { domain: "german, formal", lossNatsPerByte: loss + 0.2 },
          ],
        },
      }),
      ...(simulated && { simulated }),
    };
  }
}

const gaussians = (random: Random, count: number): number[] => Array.from({ length: count }, () => random.gaussian());

function fakeLayer(
  layer: number,
  taste: number[],
  manner: Manner,
  progress: number,
  shape: FakeShape,
  random: Random,
): LayerStep {
  const skew = manner.skew[0] + (manner.skew[1] - manner.skew[0]) * progress;
  const popularity = taste.map((each) => Math.exp(skew * each + 0.02 * random.gaussian()));
  const perDevice = shape.experts / shape.devices;
  const device = (expert: number) => Math.floor(expert / perDevice);
  const sums = Array.from({ length: shape.devices }, (_, d) =>
    sum(popularity.slice(d * perDevice, (d + 1) * perDevice)),
  );
  const all = sum(popularity);
  const expertLoad = popularity.map((each, expert) =>
    Math.round((shape.tokens * topK * each) / (manner.balancedDevices ? sums[device(expert)]! * shape.devices : all)),
  );
  const deviceLoad = sums.map((_, d) => sum(expertLoad.slice(d * perDevice, (d + 1) * perDevice)));
  if (manner.balancedDevices) mend(expertLoad, deviceLoad, (shape.tokens * topK) / shape.devices, perDevice);
  const deviceOf = expertLoad.map((_, expert) => device(expert));
  const metrics = {
    "fan-out": manner.fanOut,
    copies: topK,
    "gate-mass": 1,
    "co-activation": 0.2,
    "same-device-pairs": 0.1,
    "temporal-locality": 0.15,
  };
  return { layer, expertLoad, deviceOf, deviceLoad, metrics, balanceLoss: 0.0101 };
}

/** Takes the rounding out of device loads that are equal. */
function mend(expertLoad: number[], deviceLoad: number[], wanted: number, perDevice: number): void {
  deviceLoad.forEach((load, device) => {
    expertLoad[device * perDevice]! += wanted - load;
    deviceLoad[device] = wanted;
  });
}

function fakeTime(layers: LayerStep[]): SimulatedStep {
  const load = layers[0]!.deviceLoad;
  const computeSeconds = 6.1e-3;
  const waitSeconds = computeSeconds * ((Math.max(...load) * load.length) / sum(load) - 1);
  const communicationSeconds = 0.55e-3 * (layers[0]!.metrics["fan-out"] ?? 0);
  return {
    stepSeconds: computeSeconds + waitSeconds + communicationSeconds,
    computeSeconds,
    waitSeconds,
    communicationSeconds,
    layers: [],
  };
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Writes a whole run's CSV files. */
export function writeFakeRun(directory: string, names: readonly string[], shape: FakeShape = usualShape): void {
  const writer = new RunWriter(
    directory,
    names.map((name) => fakeVariant(name, shape)),
  );
  for (const name of names) {
    for (const step of fakeSteps(name, shape)) writer.step(name, step);
    writer.finishVariant(name, { parameters: 1_234_567, tokens: shape.steps * shape.tokens });
  }
  writer.close();
}
