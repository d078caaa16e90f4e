import { expect } from "chai";
import type { RunConfig } from "../src/config/schema.ts";
import { openData } from "../src/host/open-data.ts";
import { openEngine } from "../src/host/open-engine.ts";
import { DivergenceError, learningRateAt, type SimulationState, type Step, simulate } from "../src/simulate.ts";
import { tinyConfig } from "./tiny-config.ts";

/** Pulls steps of a config, all of them or up to a step. */
async function pull(config: RunConfig, upTo = Number.POSITIVE_INFINITY, state?: SimulationState) {
  const engine = await openEngine(config);
  try {
    const simulation = simulate(config, { engine, data: openData(config, "."), state });
    const steps: Step[] = [];
    for (const step of simulation) {
      steps.push(step);
      if (step.step >= upTo) break;
    }
    return { steps, state: simulation.save() };
  } finally {
    engine.close();
  }
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const spread = (values: readonly number[]) => Math.max(...values) - Math.min(...values);

describe("simulate", () => {
  it("yields every step, validated when due and at the end", async () => {
    const { steps } = await pull(tinyConfig("topk", "training.steps=7"));
    expect(steps.map(({ step }) => step)).to.deep.equal([1, 2, 3, 4, 5, 6, 7]);
    expect(steps.filter(({ validation }) => validation).map(({ step }) => step)).to.deep.equal([3, 6, 7]);
    const { lossNatsPerByte, domains } = steps[6]!.validation!;
    expect(lossNatsPerByte).to.be.closeTo(sum(domains.map((each) => each.lossNatsPerByte)) / 4, 1e-12);
  });

  it("gives every device the same load under MoGE and counts every assignment under either rule", async () => {
    for (const variant of ["topk", "moge"] as const) {
      const { steps } = await pull(tinyConfig(variant));
      for (const { layers, tokens } of steps) {
        expect(layers).to.have.length(2);
        for (const { expertLoad, deviceOf, deviceLoad, metrics } of layers) {
          expect(sum(expertLoad)).to.equal(tokens * 2);
          expect(sum(deviceLoad)).to.equal(tokens * 2);
          expect(deviceLoad[0]).to.equal(sum(expertLoad.slice(0, 4)));
          expect(deviceOf).to.deep.equal([0, 0, 0, 0, 1, 1, 1, 1]);
          if (variant === "moge") expect([spread(deviceLoad), metrics["fan-out"]]).to.deep.equal([0, 2]);
        }
      }
      if (variant === "topk") {
        expect(steps.filter(({ layers }) => layers.some((each) => spread(each.deviceLoad) > 0))).to.have.length(6);
      }
    }
  });

  it("prices steps whose parts add up, and no step of a dense model", async () => {
    const { steps } = await pull(tinyConfig("topk", "target.layers=3"));
    for (const { simulated } of steps) {
      const { stepSeconds, computeSeconds, waitSeconds, communicationSeconds, layers } = simulated!;
      expect(stepSeconds).to.be.closeTo(computeSeconds + waitSeconds + communicationSeconds, 1e-15);
      expect(layers).to.have.length(3);
      expect(waitSeconds).to.be.at.least(0);
      expect(communicationSeconds).to.be.above(0);
    }
    const dense = await pull(tinyConfig("topk", "model.feedForward=dense"));
    expect(dense.steps.every(({ layers, simulated }) => layers.length === 0 && simulated === undefined)).to.equal(true);
    expect(dense.steps[5]!.validation!.lossNatsPerByte).to.be.below(dense.steps[2]!.validation!.lossNatsPerByte);
  });

  it("prices one target layer as the mean of all trained layers, and two as each of them", async () => {
    const one = await pull(tinyConfig("topk", "target.layers=1"));
    for (const { simulated } of one.steps) {
      expect(simulated!.layers.map(({ targetLayer, trainedLayer }) => [targetLayer, trainedLayer])).to.deep.equal([
        [0, 0],
        [0, 1],
      ]);
      const [first, second] = simulated!.layers.map(({ time }) => time.stepSeconds);
      expect(first).to.not.equal(second);
      expect(simulated!.stepSeconds).to.be.closeTo((first! + second!) / 2, 1e-15);
    }
    const two = await pull(tinyConfig("topk", "target.layers=2"));
    expect(two.steps[0]!.simulated!.layers.map(({ trainedLayer }) => trainedLayer)).to.deep.equal([0, 1]);
    expect(two.steps[0]!.simulated!.stepSeconds).to.be.above(1.5 * one.steps[0]!.simulated!.stepSeconds);
  });

  it("lets experts compute all of a padded capacity, and sends as much as without", async () => {
    const priced = async (pad: boolean) =>
      (await pull(tinyConfig("topk", `router.capacity={factor: 4, pad: ${pad}}`))).steps;
    const [bare, padded] = [await priced(false), await priced(true)];
    bare.forEach(({ simulated }, i) => {
      const [own, other] = [simulated!, padded[i]!.simulated!];
      expect(other.communicationSeconds).to.equal(own.communicationSeconds);
      expect(other.computeSeconds).to.be.above(own.computeSeconds);
      expect(other.waitSeconds).to.be.closeTo(0, 1e-12); // both devices hold four experts of one size now
    });
  });

  it("draws other tokens for the target at each step", async () => {
    const { steps } = await pull(tinyConfig("moge", "training.learningRate=1e-30", "target.window=1"));
    expect(new Set(steps.map(({ simulated }) => simulated!.layers[0]!.time.hottestComputeSeconds)).size).to.be.above(1);
  });

  it("stops when the last update has ruined the model, although the step before it was sound", async () => {
    let message = "";
    await pull(tinyConfig("topk", "training.steps=1", "training.learningRate=1e40", "training.warmupSteps=0")).catch(
      (error: Error) => {
        message = error.message;
      },
    );
    expect(message).to.equal(
      "step 1: a number that is not finite first appears in the validation loss, after the step's update",
    );
  });

  it("compares each validation's routing with the last one's, which is that of the end", async () => {
    const { steps } = await pull(tinyConfig("moge"));
    expect(steps.slice(0, -1).every(({ saturation }) => saturation === undefined)).to.equal(true);
    const { saturation } = steps.at(-1)!;
    expect(saturation!.map(({ step, layer }) => [step, layer])).to.deep.equal([
      [3, 0],
      [3, 1],
      [6, 0],
      [6, 1],
    ]);
    expect(saturation!.slice(2).map((each) => each.saturation)).to.deep.equal([1, 1]);
    for (const each of saturation!.slice(0, 2)) expect(each.saturation).to.be.within(0.5, 1);
  });

  it("says how many assignments a capacity refused, and looks at scores and domains on recorded steps", async () => {
    const { steps } = await pull(tinyConfig("topk", "router.capacity={factor: 1}"));
    for (const { step, layers, tokens } of steps) {
      for (const { expertLoad, metrics } of layers) {
        const kept = expertLoad.reduce((sum, load) => sum + load, 0);
        expect(metrics["drop-rate"]).to.be.closeTo(1 - kept / (2 * tokens), 1e-12);
        expect(Math.max(...expertLoad)).to.be.at.most((2 * tokens) / 8);
        expect(metrics["domain-information"] !== undefined).to.equal(step % 2 === 0);
      }
    }
    expect(steps.some(({ layers }) => layers[0]!.metrics["drop-rate"]! > 0)).to.equal(true);
  });

  it("goes on from a saved state as if it had never stopped", async () => {
    const config = tinyConfig("topk", "balance=[{rule: switch-loss}, {rule: loss-free-bias, rate: 0.1}]");
    const whole = await pull(config);
    const first = await pull(config, 3);
    const second = await pull(config, Number.POSITIVE_INFINITY, structuredClone(first.state));
    expect([...first.steps, ...second.steps]).to.deep.equal(whole.steps);
    expect(second.state).to.deep.equal(whole.state);
  });

  it("stops at a number that is not finite and says where it is", async () => {
    const config = tinyConfig("topk", "training.learningRate=1e30", "training.warmupSteps=0");
    let met: unknown;
    await pull(config).catch((error: unknown) => {
      met = error;
    });
    expect(met).to.be.instanceOf(DivergenceError);
    expect((met as DivergenceError).step).to.be.within(2, 6);
    expect((met as DivergenceError).message).to.match(/^step \d: a number that is not finite first appears in .*\w/);
  });
});

describe("the learning rate", () => {
  const { training } = tinyConfig("topk", "training.steps=110", "training.warmupSteps=10", "training.learningRate=2");
  it("rises in a line, peaks after warm-up, is half-way down at half time and ends at its fraction", () => {
    expect([1, 5, 10].map((step) => learningRateAt(step, training))).to.deep.equal([0.2, 1, 2]);
    expect(learningRateAt(60, training)).to.be.closeTo((2 + 0.2) / 2, 1e-12);
    expect(learningRateAt(110, training)).to.be.closeTo(0.2, 1e-12);
    expect(learningRateAt(35, training)).to.be.closeTo(0.2 + 1.8 * 0.5 * (1 + Math.SQRT1_2), 1e-12);
  });
});
