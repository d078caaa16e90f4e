import { expect } from "chai";
import fc from "fast-check";
import { updateBias } from "../../src/balance/balance.ts";
import { countLoad } from "../../src/routing/assignment.ts";
import { newRouting, route } from "../../src/routing/route.ts";
import { normalLogits } from "../routing/small-batch.ts";

const setting = (centred: boolean, rate = 0.25) => [{ rule: "loss-free-bias" as const, rate, centred }];

const loads = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 });

describe("loss-free bias", () => {
  it("moves by the rate: down above the mean, up below it, not at all on it", () => {
    const bias = Float64Array.of(1, 1, 1, 1);
    updateBias(setting(false), bias, [6, 1, 3, 2]); // mean 3
    expect(Array.from(bias)).to.deep.equal([0.75, 1.25, 1, 1.25]);
  });

  it("centred, subtracts the mean of the steps: -1 + 1 + 0 + 1 = 1, a quarter each", () => {
    const bias = Float64Array.of(0, 0, 0, 0);
    updateBias(setting(true), bias, [6, 1, 3, 2]);
    expect(Array.from(bias)).to.deep.equal([-0.3125, 0.1875, -0.0625, 0.1875]);
  });

  it("centred, keeps the sum of the biases whatever the load", () => {
    fc.assert(
      fc.property(loads, (load) => {
        const bias = Float64Array.from(load, (_, i) => i / 8);
        const before = bias.reduce((a, b) => a + b);
        updateBias(setting(true), bias, load);
        expect(bias.reduce((a, b) => a + b)).to.be.closeTo(before, 1e-12);
      }),
    );
  });

  it("leaves an exactly balanced load alone", () => {
    for (const centred of [true, false]) {
      const bias = Float64Array.of(0.5, -0.5, 0.125);
      updateBias(setting(centred), bias, [7, 7, 7]);
      expect(Array.from(bias)).to.deep.equal([0.5, -0.5, 0.125]);
    }
  });

  it("does nothing when no rule is a bias rule", () => {
    const bias = Float64Array.of(0, 0);
    updateBias([{ rule: "switch-loss", coefficient: 1, scope: "micro-batch" }], bias, [9, 0]);
    expect(Array.from(bias)).to.deep.equal([0, 0]);
  });

  it("balances a router that prefers one expert: routed, counted and moved, the hottest of 8 goes from 97 % to near 1/8", () => {
    const shape = { experts: 8, topK: 1, groups: 1 };
    const tokens = 512;
    const logits = normalLogits(tokens, shape.experts, "bias").map((x, i) => x + (i % 8 === 0 ? 4 : 0));
    const routing = newRouting(logits, shape, {
      selection: "topk",
      scoreFunction: "sigmoid",
      normalisation: "none",
      scale: 1,
    });
    const bias = new Float64Array(shape.experts);
    let load = new Float64Array(shape.experts);
    const hottest: number[] = [];
    for (let step = 0; step < 400; step++) {
      route(routing, bias);
      load = new Float64Array(shape.experts);
      countLoad(routing.assignment, load);
      hottest.push(Math.max(...load) / tokens);
      updateBias(setting(false, 0.002), bias, load);
    }
    expect(hottest[0]).to.be.above(0.9);
    expect(hottest.at(-1)).to.be.below(1.15 / 8);
  });
});
