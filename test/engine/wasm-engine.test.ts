/** What the wasm engine promises beside its gradient: the same bits on any number of threads, state, learning, faults. */
import { expect } from "chai";
import { randomStream } from "../../src/core/random.ts";
import type { Engine, RoutedLayer, TrainingResult } from "../../src/engine/engine.ts";
import { parameterLayout, parameterNamed } from "../../src/engine/parameters.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import { adamw } from "./kernel-twins.ts";
import { batchFor, type Changes, livelier, smallRun } from "./small-run.ts";

const open = (changes: Changes, threads = 1, kernels = "plain"): Promise<Engine> =>
  openWasmEngine(smallRun({ ...changes, engine: { kind: "wasm", threads, kernels } }));

const bothBalancingRules = [
  { rule: "switch-loss", coefficient: 0.05, scope: "global-batch" },
  { rule: "loss-free-bias", rate: 0.01 },
];

const models: Record<string, Changes> = {
  MoGE: { router: { selection: "moge" }, balance: bothBalancingRules },
  "micro-batches of ranks, sigmoid, tied head": {
    model: { tiedHead: true, sharedExperts: 0 },
    training: { sequences: 3, microBatches: 2, ranks: 2 },
    router: { scoreFunction: "sigmoid" },
    balance: bothBalancingRules,
  },
  "odd sizes": {
    model: { hiddenSize: 9, heads: 3, context: 7, experts: 5, topK: 2, groups: 1, expertHiddenSize: 3 },
    training: { sequences: 5 },
  },
  dense: { model: { feedForward: "dense" } },
  // More than one block of the optimizer's sums, so that the threads share them.
  wide: {
    model: { layers: 1, hiddenSize: 32, experts: 16, groups: 4, expertHiddenSize: 16 },
    balance: bothBalancingRules,
  },
};

/** The engine's arrays change with the next step. */
const copyOf = (layers: readonly RoutedLayer[]) =>
  layers.map(({ assignment: { experts, weights, ...sizes }, ...layer }) => ({
    ...layer,
    assignment: { ...sizes, experts: [...experts], weights: [...weights] },
  }));

const plainResult = ({ layers, ...rest }: TrainingResult) => ({ ...rest, layers: copyOf(layers) });

/** Everything that a few steps leave behind. */
async function trace(changes: Changes, threads: number, kernels = "plain") {
  const config = smallRun(changes);
  const engine = await open(changes, threads, kernels);
  const results = [1, 2, 3].map((step) => plainResult(engine.train(batchFor(config, step), 0.01)));
  const evaluation = engine.evaluate(batchFor(config, 9).tokens);
  const left = { results, evaluation, gradient: engine.gradient(), state: engine.save() };
  engine.close();
  return left;
}

describe("wasm engine, threads", () => {
  for (const [name, changes] of Object.entries(models)) {
    it(`one, two, three and nine threads give the same bits: ${name}`, async () => {
      const single = await trace(changes, 1);
      for (const threads of [2, 3, 9])
        expect(await trace(changes, threads), `${threads} threads`).to.deep.equal(single);
    });
  }

  it("the relaxed kernels give the same bits on any number of threads, near those of the plain ones", async () => {
    const changes = models["MoGE"]!;
    const [plain, one, two] = [
      await trace(changes, 1),
      await trace(changes, 1, "relaxed"),
      await trace(changes, 2, "relaxed"),
    ];
    expect(two).to.deep.equal(one);
    for (const [step, result] of one.results.entries()) {
      expect(result.lossNatsPerByte).to.be.closeTo(plain.results[step]!.lossNatsPerByte, 1e-3);
    }
  });

  it("says which kernels and how many threads compute", async () => {
    for (const [threads, words] of [
      [1, "1 thread"],
      [2, "2 threads"],
    ] as const) {
      const engine = await open({}, threads);
      expect(engine.description).to.equal(`wasm, plain SIMD kernels (the same bits everywhere), ${words}`);
      engine.close();
    }
    const relaxed = await open({}, 1, "relaxed");
    expect(relaxed.description).to.match(
      /^wasm, (relaxed SIMD kernels|plain SIMD kernels \(this machine has no relaxed SIMD\)), 1 thread$/,
    );
    relaxed.close();
  });
});

describe("wasm engine, state", () => {
  it("goes on from a saved state as if it had never stopped, on another number of threads", async () => {
    const changes = models["micro-batches of ranks, sigmoid, tied head"]!;
    const config = smallRun(changes);
    const engine = await open(changes, 1);
    for (const step of [1, 2]) engine.train(batchFor(config, step), 0.01);
    const saved = engine.save();
    const other = await open({ ...changes, seed: 99 }, 2);
    expect(other.save().parameters).to.not.deep.equal(saved.parameters);
    other.load(saved);
    for (const step of [3, 4, 5]) {
      const expected = plainResult(engine.train(batchFor(config, step), 0.01));
      expect(plainResult(other.train(batchFor(config, step), 0.01))).to.deep.equal(expected);
    }
    expect(other.save()).to.deep.equal(engine.save());
    expect(saved.step, "a saved state is a copy").to.equal(2);
    expect(saved.bias.some((bias) => bias !== 0)).to.equal(true);
    engine.close();
    other.close();
  });
});

describe("wasm engine, memory", () => {
  it("begins with zeros where another model of the same size has been trained", async () => {
    const alone = await trace({ seed: 7 }, 2);
    await trace({ seed: 8 }, 2); // closed; its memory is there for the next
    expect(await trace({ seed: 7 }, 2)).to.deep.equal(alone);
  });
});

describe("wasm engine, optimizer", () => {
  for (const clipNorm of [0, 0.5]) {
    it(`makes AdamW's published step, gradients clipped at ${clipNorm || "no"} norm`, async () => {
      const training = { sequences: 4, weightDecay: 0.3, beta1: 0.8, beta2: 0.9, clipNorm };
      const config = smallRun({ training });
      const engine = await open({ training });
      engine.load(livelier(engine.save()));
      engine.train(batchFor(config, 0), 0.01);
      const before = engine.save();
      const { gradientNorm } = engine.train(batchFor(config, 1), 0.02);
      const [after, gradient] = [engine.save(), engine.gradient()];
      expect(gradientNorm).to.be.above(0.6); // or clipping would do nothing
      const clip = clipNorm === 0 ? 1 : clipNorm / gradientNorm;
      for (const { name, offset, size, decays } of parameterLayout(config)) {
        const settings = { learningRate: 0.02, beta1: 0.8, beta2: 0.9, weightDecay: decays ? 0.3 : 0, step: 2 };
        for (let i = offset; i < offset + size; i++) {
          const [p, m, v] = [before.parameters[i]!, before.firstMoment[i]!, before.secondMoment[i]!];
          const expected = adamw(p, clip * gradient[i]!, m, v, settings);
          expect(after.parameters[i], name).to.be.closeTo(expected.parameter, 1e-6 * (1 + Math.abs(p)));
        }
      }
      engine.close();
    });
  }

  it("learns by heart what it sees again and again", async () => {
    const changes = { router: { selection: "moge" }, training: { sequences: 2, weightDecay: 0 } };
    const batch = batchFor(smallRun(changes));
    const engine = await open(changes, 2);
    const first = engine.train(batch, 0.02).lossNatsPerByte;
    for (let step = 0; step < 120; step++) engine.train(batch, 0.02);
    expect(first).to.be.within(5, 6);
    expect(engine.train(batch, 0.02).lossNatsPerByte).to.be.below(0.02);
    engine.close();
  });
});

describe("wasm engine, evaluation", () => {
  it("gives each sequence its own loss, however many there are, and changes nothing", async () => {
    const changes: Changes = { model: { context: 6 }, training: { sequences: 3 } };
    const engine = await open(changes, 2);
    const { layers } = engine.train(batchFor(smallRun(changes)), 0.01);
    const before = { state: engine.save(), layers: copyOf(layers) };
    const random = randomStream(4, "sequences");
    const tokens = Uint8Array.from({ length: 8 * 7 }, () => random.below(256)); // 8 = 3 + 3 + 2
    const together = engine.evaluate(tokens);
    const apart = Array.from({ length: 8 }, (_, i) => engine.evaluate(tokens.subarray(7 * i, 7 * (i + 1)))[0]);
    expect([...together]).to.deep.equal(apart);
    expect(new Set(together).size).to.equal(8);
    expect(engine.evaluate(new Uint8Array(0))).to.have.length(0);
    expect({ state: engine.save(), layers: copyOf(layers) }).to.deep.equal(before);
    engine.close();
  });

  it("gives the training loss of the same tokens", async () => {
    const config = smallRun();
    const engine = await open({});
    const evaluated = engine.evaluate(batchFor(config).tokens);
    const { lossNatsPerByte } = engine.train(batchFor(config), 0.01);
    expect(evaluated.reduce((a, b) => a + b, 0) / evaluated.length).to.be.closeTo(lossNatsPerByte, 1e-12);
    engine.close();
  });
});

describe("wasm engine, faults", () => {
  const poisoned: [string, string][] = [
    ["embedding", "embedding"],
    ["layers.0.attention.qkv", "layer 0, attention"],
    ["layers.1.attention.output", "layer 1, attention"],
    ["layers.0.router", "layer 0, router"],
    ["layers.1.experts.down", "layer 1, feed-forward"],
    ["layers.0.shared.up", "layer 0, feed-forward"],
    ["head", "head"],
  ];
  for (const [name, place] of poisoned) {
    it(`names the place where NaN comes from: ${name}`, async () => {
      const config = smallRun();
      const engine = await open({}, 2);
      engine.train(batchFor(config), 0.01);
      expect(engine.firstNonFinite()).to.equal(undefined);
      const state = engine.save();
      const { offset, size } = parameterNamed(parameterLayout(config), name);
      state.parameters.fill(Number.NaN, offset, offset + size);
      engine.load(state);
      expect(engine.train(batchFor(config), 0.01).lossNatsPerByte).to.be.NaN;
      expect(engine.firstNonFinite()).to.equal(place);
      engine.close();
    });
  }

  it("names the gradient that overflows although all activations are finite", async () => {
    const config = smallRun();
    const engine = await open({});
    const state = engine.save();
    const layout = parameterLayout(config);
    const scale = (name: string, factor: number) => {
      const { offset, size } = parameterNamed(layout, name);
      for (let i = offset; i < offset + size; i++) state.parameters[i] = state.parameters[i]! * factor;
    };
    scale("head", 1e20); // the gradient on the way back is huge
    scale("layers.1.shared.up", 1e13); // so are these hidden units, undone by what follows them
    scale("layers.1.shared.down", 1e-26);
    engine.load(state);
    expect(engine.train(batchFor(config), 0).lossNatsPerByte).to.be.within(1e15, 1e25);
    expect(engine.firstNonFinite()).to.equal("gradient of layers.1.shared.down");
    engine.close();
  });

  it("refuses a model that does not fit into a wasm memory", async () => {
    let message = "";
    await open({ model: { context: 4096 }, training: { sequences: 64 } }).catch((error: Error) => {
      message = error.message;
    });
    expect(message).to.match(/^the wasm engine would need \d+\.\d GB and has 4\.2 at most/);
  });
});
