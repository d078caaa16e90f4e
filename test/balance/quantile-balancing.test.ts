import { expect } from "chai";
import fc from "fast-check";
import { finishStep, newBalance, observe, startStep } from "../../src/balance/balance.ts";
import { loadQuantiles, quantileBalancing } from "../../src/balance/quantile-balancing.ts";
import { countLoad } from "../../src/routing/assignment.ts";
import { newRouting, route } from "../../src/routing/route.ts";
import { normalLogits } from "../routing/small-batch.ts";

const shape = { experts: 6, topK: 2, groups: 1 };

describe("loadQuantiles", () => {
  it("is such that T·K/N tokens, but for ties, pass their threshold with each expert, whatever the others' biases are", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const tokens = 30;
        const scores = normalLogits(tokens, 6, seed);
        const beta = normalLogits(1, 6, `${seed}`);
        const quantiles = loadQuantiles(scores, beta, shape);
        for (let e = 0; e < 6; e++) {
          let [above, reached] = [0, 0];
          for (let t = 0; t < tokens; t++) {
            const row = Array.from(scores.subarray(t * 6, t * 6 + 6));
            const toPass = row.map((s, i) => s - beta[i]!).sort((a, b) => b - a)[2]!;
            if (row[e]! - quantiles[e]! > toPass + 1e-12) above++;
            if (row[e]! - quantiles[e]! > toPass - 1e-12) reached++;
          }
          // Where an expert is itself the (K+1)-th, its margin is its bias: several tokens may tie there.
          expect(above).to.be.at.most((tokens * 2) / 6);
          expect(reached).to.be.above((tokens * 2) / 6);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("quantile balancing", () => {
  const tokens = 600;
  const logits = normalLogits(tokens, 6, "quantile").map((x, i) => x + (i % 6 === 0 ? 3 : 0));
  const settings = { selection: "topk", scoreFunction: "sigmoid", normalisation: "none", scale: 1 } as const;

  function steps(count: number, ema: number) {
    const config = { settings: [{ rule: "quantile-balancing" as const, ema }], ranks: 1, sequenceLength: tokens };
    const balance = newBalance({ ...config, shape: { ...shape, devices: 1 } }, 1);
    const routing = newRouting(logits, shape, settings);
    const bias = new Float64Array(6);
    const hottest = Array.from({ length: count }, () => {
      startStep(balance);
      route(routing, { bias });
      observe(balance, routing, bias);
      finishStep([{ balance, bias }], 1, 1);
      const load = new Float64Array(6);
      countLoad(routing.assignment, load);
      return (Math.max(...load) * 6) / (tokens * 2);
    });
    return { bias, hottest };
  }

  it("balances a router that prefers one expert in a few steps: max/mean from 3 to below 1.05", () => {
    const { hottest } = steps(20, 0);
    expect(hottest[0]).to.be.above(2.9);
    expect(hottest.at(-1)).to.be.below(1.05);
  });

  it("keeps the mean of the biases at 0, and with ema 1 moves nothing", () => {
    const { bias } = steps(3, 0.5);
    expect(bias.reduce((a, b) => a + b)).to.be.closeTo(0, 1e-12);
    for (const each of steps(3, 1).bias) expect(each).to.be.closeTo(0, 1e-15);
  });

  it("averages what the micro-batches of a step show", () => {
    const bias = new Float64Array(2);
    const step = { load: new Float64Array(2), tokens: 4, progress: 1, seen: Float64Array.of(8, 4), microBatches: 2 };
    quantileBalancing.update(bias, step, { ema: 0 });
    expect(Array.from(bias)).to.deep.equal([-1, 1]); // quantiles 4 and 2, mean 3
  });

  it("needs an expert beyond the K chosen", () => {
    const all = { experts: 4, topK: 4, groups: 1, devices: 1 };
    expect(quantileBalancing.contradiction!(settings, all, { ema: 0 })).to.match(/topK 4.*4/);
  });
});
