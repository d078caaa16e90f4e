/**
 * Every router and every balancing rule in both engines: the same routing, the same gradients, the same bits from any
 * number of threads, from a saved state and again. The table decides what is tested.
 */
import { expect } from "chai";
import { balancingRules } from "../../src/balance/rules.ts";
import type { RunConfig } from "../../src/config/schema.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { parameterLayout } from "../../src/engine/parameters.ts";
import { openTfjsEngine } from "../../src/host/tfjs-engine.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import type { Router } from "../../src/routing/router.ts";
import { routers } from "../../src/routing/routers.ts";
import { relativeError } from "./relative-error.ts";
import { batchFor, type Changes, livelier, smallRun } from "./small-run.ts";

const twoRanks = { sequences: 2, microBatches: 2, ranks: 2 };
const switchLoss = { rule: "switch-loss", coefficient: 0.1 };

/** The sizes and score function that a router takes. Weights keep their scores: a lone normalised one would have no gradient. */
function changesFor(name: string, router: Router): Changes {
  const sizes = [{}, { topK: 1 }, { topK: 2 }].find((size) => fits(router, size))!;
  const scoreFunction = router.scoreFunctions?.[0] ?? "softmax";
  return {
    model: sizes,
    router: { selection: name, scoreFunction, normalisation: "none", scale: 2 },
    balance: [switchLoss],
    training: twoRanks,
  };
}

function fits(router: Router, sizes: { topK?: number }): boolean {
  const options = Object.fromEntries(Object.entries(router.knobs ?? {}).map(([key, knob]) => [key, knob.default]));
  return router.contradiction({ experts: 8, topK: 4, groups: 2, ...sizes }, { ...options, limit: 2 }) === undefined;
}

const capacity = { rule: "megatron", factor: 1, order: "weight" };
const cases: Record<string, Changes> = {
  ...Object.fromEntries(
    Object.entries<Router>(routers).map(([name, router]) => [`router ${name}`, changesFor(name, router)]),
  ),
  "group-limited": { router: { selection: "group-limited", "group-limited": { limit: 1, groupScore: "top-2-sum" } } },
  "capacity by weight": { router: { capacity }, balance: [switchLoss], training: twoRanks },
  "capacity by choice, confident tokens first, over survivors": {
    router: {
      scoreFunction: "sigmoid",
      capacity: { ...capacity, order: "choice", priority: "confidence", renormalise: true },
    },
    balance: [switchLoss],
    training: twoRanks,
  },
  "capacity in random order": { router: { capacity: { ...capacity, order: "random" } }, training: twoRanks },
  "capacity of devices": { router: { selection: "moge", capacity: { ...capacity, level: "device", factor: 0.5 } } },
  "learned expert scale": {
    router: { selection: "moge", normalisation: "none", expertScale: "learned" },
    training: twoRanks,
  },
  ...Object.fromEntries(
    Object.keys(balancingRules).map((rule) => [
      `rule ${rule}`,
      {
        router: { selection: rule === "load-loss" ? "noisy-topk" : "topk", scoreFunction: "sigmoid" },
        balance: [{ rule }],
        training: twoRanks,
      },
    ]),
  ),
};

/** Domains of the sequences, for routers that are told them. */
function told(config: RunConfig, step: number) {
  const { tokens } = batchFor(config, step);
  const sequences = tokens.length / (config.model.context + 1);
  return { tokens, domains: Int32Array.from({ length: sequences }, (_, i) => (i + step) % 3) };
}

function compare(ours: Engine, theirs: Engine, config: RunConfig, step: number): void {
  const results = [ours, theirs].map((engine) => engine.train(told(config, step), 0.003));
  const [own, other] = results.map(({ layers }) => layers) as [
    (typeof results)[0]["layers"],
    (typeof results)[0]["layers"],
  ];
  expect(own).to.have.length(other.length);
  own.forEach((layer, i) => {
    expect([...layer.chosen], "chosen").to.deep.equal([...other[i]!.chosen]);
    expect([...layer.assignment.experts], "kept").to.deep.equal([...other[i]!.assignment.experts]);
    expect(relativeError(layer.assignment.weights, other[i]!.assignment.weights), "weights").to.be.below(1e-5);
    expect(relativeError(layer.scores, other[i]!.scores), "scores").to.be.below(1e-5);
    expect(layer.balanceLoss).to.be.closeTo(other[i]!.balanceLoss, 1e-5 * (1 + Math.abs(layer.balanceLoss)));
  });
  const [gradient, reference] = [ours.gradient(), theirs.gradient()];
  for (const { name, offset, size } of parameterLayout(config)) {
    const part = (values: Float32Array) => values.subarray(offset, offset + size);
    expect(relativeError(part(gradient), part(reference)), `gradient of ${name}`).to.be.below(3e-5);
  }
}

describe("every router and rule, in both engines", () => {
  for (const [name, changes] of Object.entries(cases)) {
    it(`agrees: ${name}`, async () => {
      const config = smallRun(changes);
      const wasm = await openWasmEngine(smallRun({ ...changes, engine: { kind: "wasm", threads: 1 } }));
      const tfjs = await openTfjsEngine(config);
      const trained = livelier(tfjs.save());
      for (const engine of [wasm, tfjs]) engine.load(trained);
      compare(wasm, tfjs, config, 1);
      const { tokens } = batchFor(config, 99);
      tfjs.load(wasm.save());
      expect(relativeError(wasm.evaluate(tokens, 2), tfjs.evaluate(tokens, 2))).to.be.below(1e-6);
      wasm.close();
      tfjs.close();
    });

    it(`is the same to the bit from two threads and from a saved state: ${name}`, async () => {
      const open = (threads: number) => openWasmEngine(smallRun({ ...changes, engine: { kind: "wasm", threads } }));
      const [one, two, resumed] = [await open(1), await open(2), await open(1)];
      const config = smallRun(changes);
      const start = livelier(one.save());
      for (const engine of [one, two]) engine.load(start);
      for (let step = 1; step <= 2; step++) for (const engine of [one, two]) engine.train(told(config, step), 0.01);
      expect(two.save()).to.deep.equal(one.save());
      resumed.load(one.save());
      for (const engine of [one, two, resumed]) engine.train(told(config, 3), 0.01);
      expect(two.save()).to.deep.equal(one.save());
      expect(resumed.save()).to.deep.equal(one.save());
      for (const engine of [one, two, resumed]) engine.close();
    });
  }
});
