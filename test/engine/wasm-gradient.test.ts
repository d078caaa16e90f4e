/**
 * The wasm engine's loss and gradient against a slow model in doubles: the loss directly, the gradient by central
 * differences at some coordinates of every parameter, where a small move does not change the routing.
 */
import { expect } from "chai";
import type { RunConfig } from "../../src/config/schema.ts";
import { randomStream } from "../../src/core/random.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { parameterLayout } from "../../src/engine/parameters.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import { slowModel } from "./slow-model.ts";
import { batchFor, type Changes, livelier, smallRun } from "./small-run.ts";

const COORDINATES = 3;
const MOVE = 1e-4;

const tiny = { hiddenSize: 8, heads: 2, context: 5, experts: 4, topK: 2, groups: 2, expertHiddenSize: 4 };
const strong = { rule: "switch-loss", coefficient: 0.3, scope: "micro-batch" };
const cases: Record<string, Changes> = {
  "MoGE, softmax, none": { router: { selection: "moge", normalisation: "none" }, balance: [strong] },
  "MoGE, sigmoid, chosen, scale, bias": {
    router: { selection: "moge", scoreFunction: "sigmoid", scale: 1.7, bias: [0.1, 0, -0.1, 0] },
    balance: [strong],
  },
  "top-k, softmax, chosen, no shared expert": { model: { sharedExperts: 0 }, balance: [strong] },
  "top-k, sigmoid, none, two shared experts, tied head": {
    model: { sharedExperts: 2, tiedHead: true },
    router: { scoreFunction: "sigmoid", normalisation: "none" },
    balance: [strong],
  },
  "two micro-batches of two ranks, loss of the micro-batch": {
    training: { sequences: 2, microBatches: 2, ranks: 2 },
    router: { scoreFunction: "sigmoid" },
    balance: [strong],
  },
  "two micro-batches of two ranks, loss of the global batch": {
    training: { sequences: 1, microBatches: 2, ranks: 2 },
    router: { selection: "moge" },
    balance: [{ ...strong, scope: "global-batch" }],
  },
  dense: { model: { feedForward: "dense" } },
  "dense, tied head": { model: { feedForward: "dense", tiedHead: true } },
  "odd sizes, one layer": {
    model: { layers: 1, hiddenSize: 9, heads: 3, context: 7, experts: 5, topK: 3, groups: 1, expertHiddenSize: 3 },
    balance: [strong],
  },
};

function configOf(changes: Changes): RunConfig {
  const model = { ...tiny, ...(changes.model as object | undefined) };
  const training = { sequences: 2, clipNorm: 0, ...(changes.training as object | undefined) };
  return smallRun({ balance: [], ...changes, model, training, engine: { kind: "wasm", threads: 2 } });
}

/** The derivative of the slow objective by one parameter, or undefined where the move changes the routing. */
function slope(config: RunConfig, parameters: Float64Array, tokens: Uint8Array, at: number): number | undefined {
  const here = parameters[at]!;
  const objectiveAt = (value: number) => {
    parameters[at] = value;
    return slowModel(config, parameters, tokens);
  };
  const [above, below] = [objectiveAt(here + MOVE), objectiveAt(here - MOVE)];
  parameters[at] = here;
  return above.choices === below.choices ? (above.objective - below.objective) / (2 * MOVE) : undefined;
}

/** Coordinates of a parameter to look at; of the embedding such as a token uses. */
function coordinates(config: RunConfig, name: string, size: number, tokens: Uint8Array): number[] {
  const random = randomStream(5, "coordinates", name);
  const { hiddenSize } = config.model;
  return Array.from({ length: COORDINATES }, () =>
    name === "embedding"
      ? tokens[random.below(tokens.length - 1)]! * hiddenSize + random.below(hiddenSize)
      : random.below(size),
  );
}

function compareGradient(engine: Engine, config: RunConfig, tokens: Uint8Array): number {
  const gradient = engine.gradient();
  const parameters = Float64Array.from(engine.save().parameters);
  let compared = 0;
  for (const { name, offset, size } of parameterLayout(config)) {
    const largest = gradient
      .subarray(offset, offset + size)
      .reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const place of coordinates(config, name, size, tokens)) {
      const expected = slope(config, parameters, tokens, offset + place);
      if (expected === undefined) continue;
      compared++;
      expect(gradient[offset + place], `${name}[${place}]`).to.be.closeTo(
        expected,
        1e-3 * Math.abs(expected) + 1e-4 * largest + 1e-7,
      );
    }
  }
  return compared;
}

describe("wasm engine, gradient", () => {
  for (const [name, changes] of Object.entries(cases)) {
    it(`equals finite differences of the slow model: ${name}`, async () => {
      const config = configOf(changes);
      const engine = await openWasmEngine(config);
      engine.load(livelier(engine.save()));
      const { tokens } = batchFor(config);
      const slow = slowModel(config, Float64Array.from(engine.save().parameters), tokens);
      const { lossNatsPerByte, layers, gradientNorm } = engine.train({ tokens }, 0);
      expect(lossNatsPerByte).to.be.closeTo(slow.crossEntropy, 1e-5);
      const balanceLoss = layers.reduce((sum, layer) => sum + layer.balanceLoss, 0);
      expect(lossNatsPerByte + balanceLoss).to.be.closeTo(slow.objective, 1e-5);
      const losses = engine.evaluate(tokens);
      expect(losses.reduce((a, b) => a + b, 0) / losses.length).to.be.closeTo(slow.crossEntropy, 1e-5);
      expect(gradientNorm).to.be.closeTo(Math.hypot(...engine.gradient()), 1e-5 * gradientNorm);
      const parameters = parameterLayout(config).length;
      expect(compareGradient(engine, config, tokens)).to.be.above(0.7 * COORDINATES * parameters);
      engine.close();
    });
  }

  it("is zero for an expert that no token chose", async () => {
    const config = configOf({ router: { bias: [10, 10, -10, 0] }, training: { sequences: 2, weightDecay: 0 } });
    const engine = await openWasmEngine(config);
    const { tokens } = batchFor(config);
    for (let step = 0; step < 2; step++) engine.train({ tokens }, 0.01); // the second must not see the first
    const gradient = engine.gradient();
    for (const { name, offset, size } of parameterLayout(config)) {
      if (!name.includes("experts")) continue;
      const ofExpert = (i: number) => gradient.subarray(offset + (i * size) / 4, offset + ((i + 1) * size) / 4);
      for (const unused of [2, 3])
        expect(
          ofExpert(unused).every((value) => value === 0),
          name,
        ).to.equal(true);
      for (const used of [0, 1])
        expect(
          ofExpert(used).some((value) => value !== 0),
          name,
        ).to.equal(true);
    }
    engine.close();
  });
});
