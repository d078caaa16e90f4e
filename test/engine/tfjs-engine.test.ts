import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import type { Engine, TrainingResult } from "../../src/engine/engine.ts";
import { type ModelSections, type Parameter, parameterLayout, parameterNamed } from "../../src/engine/parameters.ts";
import { forward } from "../../src/engine/tfjs/model.ts";
import { openRouter } from "../../src/engine/tfjs/routing.ts";
import { openTfjsEngine } from "../../src/host/tfjs-engine.ts";
import type { Assignment } from "../../src/routing/assignment.ts";
import { relativeError } from "./relative-error.ts";
import { batchFor, type Changes, livelier, smallRun } from "./small-run.ts";

/** What is optimised: cross-entropy and balancing losses. */
const objective = ({ lossNatsPerByte, layers }: TrainingResult): number =>
  layers.reduce((sum, { balanceLoss }) => sum + balanceLoss, lossNatsPerByte);

/** The experts of each token, whatever their order. */
const expertSets = ({ tokens, slots, experts }: Assignment): string[] =>
  Array.from({ length: tokens }, (_, t) => [...experts.subarray(t * slots, (t + 1) * slots)].sort().join(" "));

const norm = (values: ArrayLike<number>) => relativeError(values, new Float64Array(values.length));

const wholeGlobal = { rule: "switch-loss", coefficient: 0.5, scope: "global-batch" };
const wholeMicro = { ...wholeGlobal, scope: "micro-batch" };

const gradientCases: Record<string, Changes> = {
  "top-k, softmax": { seed: 3, balance: [wholeMicro], training: { sequences: 2 } },
  "MoGE, sigmoid, weights not normalised, two ranks and micro-batches, tied head": {
    model: { tiedHead: true, layers: 1, sharedExperts: 0 },
    router: { selection: "moge", scoreFunction: "sigmoid", normalisation: "none", scale: 2 },
    balance: [wholeGlobal],
    training: { ranks: 2, microBatches: 2, sequences: 2 },
  },
  dense: { model: { feedForward: "dense" } },
};

/** Central difference of the objective along a unit direction within one parameter. Routing must not change on the way. */
function slope(
  engine: Engine,
  config: ReturnType<typeof smallRun>,
  { offset }: Parameter,
  direction: Float64Array,
): number {
  const distance = 0.001;
  const state = engine.save();
  const batch = batchFor(config);
  const at = (signed: number) => {
    const parameters = state.parameters.slice();
    direction.forEach((d, i) => {
      parameters[offset + i] = parameters[offset + i]! + signed * d;
    });
    engine.load({ ...state, parameters });
    const result = engine.train(batch, 0);
    return {
      value: objective(result),
      chosen: result.layers.map(({ assignment }) => expertSets(assignment)),
    };
  };
  const [above, below] = [at(distance), at(-distance)];
  engine.load(state);
  expect(above.chosen, "an expert choice flipped: take another seed").to.deep.equal(below.chosen);
  return (above.value - below.value) / (2 * distance);
}

describe("tfjs engine", () => {
  for (const [name, changes] of Object.entries(gradientCases)) {
    it(`has the gradient of central differences: ${name}`, async () => {
      const config = smallRun(changes);
      const engine = await openTfjsEngine(config);
      engine.load(livelier(engine.save()));
      engine.train(batchFor(config), 0);
      const gradient = engine.gradient();
      for (const parameter of parameterLayout(config)) {
        const own = Float64Array.from(gradient.subarray(parameter.offset, parameter.offset + parameter.size));
        const size = norm(own);
        const alongGradient = slope(
          engine,
          config,
          parameter,
          own.map((g) => g / size),
        );
        expect(alongGradient, parameter.name).to.be.closeTo(size, 2e-4 + 0.01 * size);
        const steepest = own.reduce((best, g, i) => (Math.abs(g) > Math.abs(own[best]!) ? i : best), 0);
        const unit = new Float64Array(own.length);
        unit[steepest] = 1;
        const expected = own[steepest]!;
        expect(slope(engine, config, parameter, unit), parameter.name).to.be.closeTo(
          expected,
          2e-4 + 0.01 * Math.abs(expected),
        );
      }
    });
  }

  it("is the dense model when every expert is chosen with weight 1", async () => {
    const shared = { layers: 1, experts: 4, topK: 4, groups: 1, sharedExperts: 0 };
    const moe = await openTfjsEngine(smallRun({ model: shared, router: { normalisation: "chosen", scale: 4 } }));
    const dense = await openTfjsEngine(smallRun({ model: { ...shared, feedForward: "dense" } }));
    const moeLayout = parameterLayout(smallRun({ model: shared }));
    const denseLayout = parameterLayout(smallRun({ model: { ...shared, feedForward: "dense" } }));
    const [H, F, N] = [16, 8, 4];
    const from = livelier(moe.save());
    from.parameters.fill(0, ...rangeOf(parameterNamed(moeLayout, "layers.0.router"))); // equal scores: weight 4 · 1/4
    const to = dense.save();
    for (const parameter of denseLayout) {
      const twin = moeLayout.find(({ name }) => name === parameter.name);
      if (twin) to.parameters.set(from.parameters.subarray(...rangeOf(twin)), parameter.offset);
    }
    const [up, down] = ["up", "down"].map((part) => parameterNamed(moeLayout, `layers.0.experts.${part}`));
    const [denseUp, denseDown] = ["up", "down"].map((part) => parameterNamed(denseLayout, `layers.0.dense.${part}`));
    // Gates of all experts side by side, then their up projections; [N, F, H] is [N·F, H] as it stands.
    for (let h = 0; h < H; h++)
      for (let half = 0; half < 2; half++)
        for (let e = 0; e < N; e++)
          for (let f = 0; f < F; f++)
            to.parameters[denseUp!.offset + h * 2 * N * F + half * N * F + e * F + f] =
              from.parameters[up!.offset + (e * H + h) * 2 * F + half * F + f]!;
    to.parameters.set(from.parameters.subarray(...rangeOf(down!)), denseDown!.offset);
    moe.load(from);
    dense.load(to);
    const { tokens } = batchFor(smallRun());
    const [a, b] = [moe.evaluate(tokens), dense.evaluate(tokens)];
    expect(a[0]).to.be.above(4);
    expect(relativeError(a, b)).to.be.below(1e-6);
  });

  it("takes the AdamW step of the closed form, clipped, with decay on matrices alone", async () => {
    const { training, ...config } = smallRun({ balance: [], training: { clipNorm: 0.5, weightDecay: 0.3 } });
    const engine = await openTfjsEngine({ ...config, training });
    const { beta1, beta2, weightDecay } = training;
    const rate = 0.01;
    const gradients: Float64Array[] = [];
    let p = Float64Array.from(engine.save().parameters);
    for (let step = 0; step < 2; step++) {
      const { gradientNorm } = engine.train(batchFor({ ...config, training }, step), rate);
      expect(gradientNorm).to.be.above(0.5).and.closeTo(norm(engine.gradient()), 1e-6);
      gradients.push(Float64Array.from(engine.gradient(), (g) => (g * 0.5) / gradientNorm));
      p = p.map((value, i) => {
        const [first, second] = gradients.map((g) => g[i]!) as [number, number?];
        // After one step m̂ = g and v̂ = g²; after two they are the weighted means of both.
        const m = second === undefined ? first : (beta1 * first + second) / (beta1 + 1);
        const v = second === undefined ? first * first : (beta2 * first * first + second * second) / (beta2 + 1);
        const decay = isMatrix(config, i) ? weightDecay : 0;
        return value - rate * (m / (Math.sqrt(v) + 1e-8) + decay * value);
      });
      expect(relativeError(engine.save().parameters, p)).to.be.below(1e-6);
    }
  });

  it("learns a batch by heart", async () => {
    const config = smallRun();
    const engine = await openTfjsEngine(config);
    const losses = Array.from({ length: 40 }, () => engine.train(batchFor(config), 0.02).lossNatsPerByte);
    expect(losses[0]).to.be.closeTo(Math.log(256), 0.05);
    expect(losses.at(-1)).to.be.below(0.5);
  });

  it("evaluates each sequence by itself, in any number", async () => {
    const config = smallRun({ training: { sequences: 3 } });
    const engine = await openTfjsEngine(config);
    engine.load(livelier(engine.save()));
    const { tokens } = batchFor(smallRun({ training: { sequences: 7 } }));
    const together = engine.evaluate(tokens);
    const apart = Array.from({ length: 7 }, (_, i) => engine.evaluate(tokens.slice(i * 9, (i + 1) * 9))[0]!);
    expect(together).to.have.length(7);
    expect(relativeError(together, apart)).to.be.below(1e-6);
    const mean = together.slice(0, 3).reduce((sum, loss) => sum + loss, 0) / 3;
    expect(engine.train({ tokens: tokens.slice(0, 27) }, 0).lossNatsPerByte).to.be.closeTo(mean, 1e-6);
  });

  it("looks at no later token", async () => {
    const config = smallRun();
    const engine = await openTfjsEngine(config);
    const { parameters } = livelier(engine.save());
    const layout = parameterLayout(config);
    const routers = [0, 1].map((layer) => openRouter(config, layer, undefined));
    const about = { place: 1, sequences: 1, training: false, step: 0, domains: new Int32Array(1) };
    const losses = (text: number[]) =>
      tf.tidy(() => {
        const tensor = (name: string) => {
          const parameter = parameterNamed(layout, name);
          return tf.tensor(parameters.slice(...rangeOf(parameter)), [...parameter.shape]);
        };
        return [...forward(tensor, { ...about, tokens: Uint8Array.from(text) }, routers, config).losses.dataSync()];
      });
    const text = [97, 98, 99, 100, 101, 102, 103, 104, 105];
    const before = losses(text);
    const after = losses(text.with(4, 120));
    expect(after.slice(0, 3)).to.deep.equal(before.slice(0, 3)); // token 4 is the target of place 3
    for (let place = 3; place < 8; place++) expect(after[place]).to.not.be.closeTo(before[place]!, 1e-4);
  });

  it("takes the same step from micro-batches or ranks as from one large batch", async () => {
    const gradientOf = async (changes: Changes) => {
      const config = smallRun(changes);
      const engine = await openTfjsEngine(config);
      const { layers } = engine.train(batchFor(config), 0);
      return { gradient: engine.gradient(), chosen: layers.map(({ assignment }) => [...assignment.experts]) };
    };
    const whole = await gradientOf({ balance: [] });
    const parts = await gradientOf({ balance: [], training: { sequences: 2, microBatches: 2 } });
    expect(relativeError(parts.gradient, whole.gradient)).to.be.below(1e-6);
    expect(parts.chosen).to.deep.equal(whole.chosen);
    const balanced = await gradientOf({ balance: [wholeMicro] });
    const globally = await gradientOf({ balance: [wholeGlobal], training: { sequences: 2, ranks: 2 } });
    expect(relativeError(globally.gradient, balanced.gradient)).to.be.below(1e-6);
    const locally = await gradientOf({ balance: [wholeMicro], training: { sequences: 2, ranks: 2 } });
    expect(relativeError(locally.gradient, balanced.gradient)).to.be.above(1e-3);
  });

  it("moves the selection bias by the load of the whole step", async () => {
    const start = [0, 0.5, 0, 0, 0, 0, 0, -0.5];
    const config = smallRun({
      router: { scoreFunction: "sigmoid", bias: start },
      balance: [{ rule: "loss-free-bias", rate: 0.25 }],
      training: { sequences: 2, microBatches: 2 },
    });
    const engine = await openTfjsEngine(config);
    const { layers } = engine.train(batchFor(config), 1e-3);
    const { bias } = engine.save();
    layers.forEach(({ assignment: { experts } }, layer) => {
      for (let expert = 0; expert < 8; expert++) {
        const load = experts.filter((id) => id === expert).length;
        expect(bias[layer * 8 + expert]).to.equal(start[expert]! + 0.25 * Math.sign(experts.length / 8 - load));
      }
    });
    expect(
      layers[0]!.assignment.experts.filter((id) => id === 1),
      "a large bias attracts every token",
    ).to.have.length(4 * 8);
  });

  it("goes on after save and load as if it had never stopped, on either backend at once", async () => {
    const balance = [wholeMicro, { rule: "loss-free-bias", rate: 0.01 }];
    const open = (backend: string) => openTfjsEngine(smallRun({ balance, engine: { backend } }));
    const config = smallRun({ balance });
    const [first, second, onCpu] = [await open("wasm"), await open("wasm"), await open("cpu")];
    for (let step = 0; step < 2; step++) first.train(batchFor(config, step), 0.01);
    second.load(first.save());
    onCpu.load(first.save());
    for (let step = 2; step < 4; step++) {
      const batch = batchFor(config, step);
      const result = first.train(batch, 0.01);
      expect(second.train(batch, 0.01)).to.deep.equal(result);
      expect(onCpu.train(batch, 0.01).lossNatsPerByte).to.be.closeTo(result.lossNatsPerByte, 1e-4);
    }
    expect(second.save()).to.deep.equal(first.save());
    expect(second.save().step).to.equal(4);
  });

  it("leaves no tensor behind", async () => {
    const config = smallRun({ training: { microBatches: 2, sequences: 2 } });
    const engine = await openTfjsEngine(config);
    const counts: number[] = [];
    for (let step = 0; step < 3; step++) {
      engine.train(batchFor(config, step), 0.01);
      engine.evaluate(batchFor(config).tokens);
      counts.push(tf.memory().numTensors);
    }
    expect(counts).to.deep.equal([counts[0], counts[0], counts[0]]);
    engine.close();
  });

  it("says where a number first was not finite", async () => {
    const config = smallRun();
    const engine = await openTfjsEngine(config);
    const healthy = engine.save();
    const places = { position: "embedding", "layers.1.experts.down": "layer 1, feed-forward", head: "loss" };
    for (const [name, place] of Object.entries(places)) {
      const parameters = healthy.parameters.slice();
      parameters[parameterNamed(parameterLayout(config), name).offset] = Number.NaN;
      engine.load({ ...healthy, parameters });
      engine.train(batchFor(config), 0);
      expect(engine.firstNonFinite()).to.equal(place);
    }
    engine.load(healthy);
    engine.train(batchFor(config), 0);
    expect(engine.firstNonFinite()).to.equal(undefined);
  });
});

const rangeOf = ({ offset, size }: Parameter): [number, number] => [offset, offset + size];

function isMatrix(config: ModelSections, index: number): boolean {
  return parameterLayout(config).find(({ offset, size }) => index >= offset && index < offset + size)!.shape.length > 1;
}
