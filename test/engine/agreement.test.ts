/** The fast engine against the reference: the same model by two roads, hand-written gradients and tfjs's autodiff. */
import { expect } from "chai";
import type { Engine } from "../../src/engine/engine.ts";
import { parameterLayout } from "../../src/engine/parameters.ts";
import { openTfjsEngine } from "../../src/host/tfjs-engine.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import { relativeError } from "./relative-error.ts";
import { batchFor, type Changes, livelier, smallRun } from "./small-run.ts";

const microLoss = { rule: "switch-loss", coefficient: 0.1, scope: "micro-batch" };
const globalLoss = { ...microLoss, scope: "global-batch" };
const lossFreeBias = { rule: "loss-free-bias", rate: 0.01 };

const cases: Record<string, Changes> = {
  "top-k, softmax, chosen": { balance: [microLoss] },
  "top-k, softmax, none": { router: { normalisation: "none", scale: 2 }, balance: [microLoss] },
  "top-k, sigmoid, chosen, loss-free bias": {
    router: { scoreFunction: "sigmoid", scale: 1.5 },
    balance: [{ ...lossFreeBias, centred: true }],
  },
  "top-k, sigmoid, none, both rules": {
    router: { scoreFunction: "sigmoid", normalisation: "none" },
    balance: [lossFreeBias, microLoss],
  },
  "top-k, sqrtsoftplus, chosen": { router: { scoreFunction: "sqrtsoftplus" }, balance: [microLoss] },
  "top-1, sigmoid, none, no shared expert": {
    model: { topK: 1, sharedExperts: 0 },
    router: { scoreFunction: "sigmoid", normalisation: "none" },
    balance: [microLoss],
  },
  "MoGE, softmax, none": { router: { selection: "moge", normalisation: "none" }, balance: [microLoss] },
  "MoGE, softmax, chosen, tied head": {
    model: { tiedHead: true },
    router: { selection: "moge" },
    balance: [microLoss],
  },
  "MoGE, sigmoid, chosen, starting bias": {
    router: { selection: "moge", scoreFunction: "sigmoid", bias: [0.2, 0, 0, -0.2, 0.1, 0, 0, 0] },
    balance: [lossFreeBias],
  },
  "MoGE, two shared experts, no balancing": { model: { sharedExperts: 2 }, router: { selection: "moge" }, balance: [] },
  "two micro-batches, loss of the micro-batch": {
    balance: [microLoss],
    seed: 2, // of seed 1 a token is torn between two experts in step 7, to the last digit of a single
    training: { sequences: 2, microBatches: 2 },
  },
  "two micro-batches of two ranks, loss of the micro-batch": {
    router: { scoreFunction: "sigmoid" },
    balance: [microLoss],
    training: { sequences: 2, microBatches: 2, ranks: 2 },
  },
  "two micro-batches of two ranks, loss of the global batch, two threads": {
    engine: { threads: 2 },
    router: { selection: "moge" },
    balance: [globalLoss, lossFreeBias],
    training: { sequences: 2, microBatches: 2, ranks: 2 },
  },
  dense: { model: { feedForward: "dense" } },
  "dense, tied head, no clipping": { model: { feedForward: "dense", tiedHead: true }, training: { clipNorm: 0 } },
  "sizes that fill no SIMD register": {
    model: { layers: 1, hiddenSize: 18, heads: 3, context: 7, experts: 6, topK: 3, groups: 3, expertHiddenSize: 5 },
    training: { sequences: 3 },
    balance: [microLoss],
  },
};

const bothEngines = async (changes: Changes): Promise<[Engine, Engine]> => [
  await openWasmEngine(smallRun({ ...changes, engine: { ...(changes.engine as object | undefined), kind: "wasm" } })),
  await openTfjsEngine(smallRun(changes)),
];

/** One step of both: the same routing, gradients as equal as singles allow. */
function compareGradients(wasm: Engine, tfjs: Engine, config: ReturnType<typeof smallRun>): void {
  const [ours, theirs] = [wasm, tfjs].map((engine) => engine.train(batchFor(config), 0)) as [
    ReturnType<Engine["train"]>,
    ReturnType<Engine["train"]>,
  ];
  expect(ours.lossNatsPerByte).to.be.closeTo(theirs.lossNatsPerByte, 2e-6);
  expect(ours.layers).to.have.length(theirs.layers.length);
  theirs.layers.forEach((layer, index) => {
    const own = ours.layers[index]!;
    expect(own.layer).to.equal(layer.layer);
    expect([...own.assignment.experts], "chosen experts").to.deep.equal([...layer.assignment.experts]);
    expect(relativeError(own.assignment.weights, layer.assignment.weights), "weights").to.be.below(1e-5);
    expect(own.balanceLoss).to.be.closeTo(layer.balanceLoss, 1e-6);
  });
  const [gradient, reference] = [wasm.gradient(), tfjs.gradient()];
  for (const { name, offset, size } of parameterLayout(config)) {
    const part = (values: Float32Array) => values.subarray(offset, offset + size);
    expect(relativeError(part(gradient), part(reference)), `gradient of ${name}`).to.be.below(1e-5);
  }
  expect(ours.gradientNorm).to.be.closeTo(theirs.gradientNorm, 1e-5 * theirs.gradientNorm);
}

describe("wasm engine and tfjs engine", () => {
  for (const [name, changes] of Object.entries(cases)) {
    it(`agree: ${name}`, async () => {
      const config = smallRun(changes);
      const [wasm, tfjs] = await bothEngines(changes);
      const start = tfjs.save();
      expect(wasm.save()).to.deep.equal(start);
      compareGradients(wasm, tfjs, config);
      const trained = livelier(start);
      for (const engine of [wasm, tfjs]) engine.load(trained);
      compareGradients(wasm, tfjs, config);
      for (const engine of [wasm, tfjs]) engine.load(start);
      for (let step = 0; step < 10; step++) {
        const [ours, theirs] = [wasm, tfjs].map(
          (engine) => engine.train(batchFor(config, step), 0.003).lossNatsPerByte,
        );
        expect(ours, `loss of step ${step + 1}`).to.be.closeTo(theirs!, 1e-4);
      }
      expect([...wasm.save().bias]).to.deep.equal([...tfjs.save().bias]);
      const { tokens } = batchFor(config, 99);
      const evaluated = tfjs.evaluate(tokens);
      expect(relativeError(wasm.evaluate(tokens), evaluated)).to.be.below(1e-6);
      wasm.close();
      tfjs.close();
    });
  }

  it("refuse batches and states of a wrong size in the same line, and change nothing", async () => {
    const others = [{ model: { layers: 1 } }, { model: { feedForward: "dense" } }];
    const states = await Promise.all(
      others.map(async (changes) => {
        const [wasm, tfjs] = await bothEngines(changes);
        wasm.close();
        return tfjs.save();
      }),
    );
    for (const engine of await bothEngines({})) {
      const before = engine.save();
      expect(() => engine.train({ tokens: new Uint8Array(5) }, 0.01)).to.throw(
        "a training batch has 5 bytes, expected 36",
      );
      expect(() => engine.evaluate(new Uint8Array(10))).to.throw("10 bytes to evaluate are not whole sequences of 9");
      for (const state of states) {
        expect(() => engine.load(state)).to.throw(/^the saved state has \d+ parameters, this model \d+$/);
      }
      expect(() => engine.load({ ...before, bias: before.bias.subarray(1) })).to.throw(
        "the saved state has 15 selection biases, this model 16",
      );
      expect(engine.save()).to.deep.equal(before);
      engine.close();
    }
  });
});
