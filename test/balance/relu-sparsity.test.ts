import { expect } from "chai";
import {
  balanceBackward,
  balanceForward,
  countSequence,
  finishStep,
  newBalance,
  startStep,
} from "../../src/balance/balance.ts";
import { reluSparsity } from "../../src/balance/relu-sparsity.ts";
import { newRouting, route, routeBackward } from "../../src/routing/route.ts";
import { normalLogits } from "../routing/small-batch.ts";

const knobs = { coefficient: 1, scope: "micro-batch", start: 1e-3, growth: 1.2, balanced: true } as const;
const shape = { experts: 8, topK: 2, groups: 1, devices: 1 };

describe("relu sparsity", () => {
  it("raises λ while tokens use more than K experts over all layers, lowers it while fewer, else keeps it", () => {
    const { next } = reluSparsity.state!;
    const layer = (each: number) => ({ load: new Float64Array(8).fill(each), tokens: 16 });
    expect(next(1, [layer(5)], shape, knobs)).to.equal(1.2);
    expect(next(1, [layer(3)], shape, knobs)).to.equal(1 / 1.2);
    expect(next(1, [layer(4)], shape, knobs)).to.equal(1);
    expect(next(1, [layer(5), layer(3)], shape, knobs)).to.equal(1);
  });

  it("steers the number of experts a token to K: from 4 of 8 to between 1.6 and 2.4", () => {
    const tokens = 128;
    const logits = normalLogits(tokens, 8, "relu");
    const settings = { selection: "relu", scoreFunction: "relu", normalisation: "none", scale: 1 } as const;
    const routing = newRouting(logits, shape, settings);
    const rules = [{ rule: "relu-sparsity" as const, ...knobs }];
    const balance = newBalance({ settings: rules, shape, ranks: 1, sequenceLength: tokens }, 1);
    const used: number[] = [];
    for (let step = 0; step < 600; step++) {
      startStep(balance);
      route(routing);
      countSequence(balance, routing, 0);
      balanceForward(balance);
      const gradient = new Float64Array(logits.length);
      const weights = new Float64Array(routing.assignment.weights.length);
      routeBackward(routing, { weights, logits: gradient }, balanceBackward(balance, routing));
      used.push(balance.step.sums.load.reduce((a, b) => a + b) / tokens);
      // A pull towards where the logits were stands in for the model's loss.
      const before = normalLogits(tokens, 8, "relu");
      logits.forEach((x, i) => {
        logits[i] = x - 2 * gradient[i]! - 0.02 * (x - before[i]!);
      });
      finishStep([{ balance, bias: new Float64Array(8) }], 1, 1);
    }
    const late = used.slice(-200).reduce((a, b) => a + b) / 200;
    expect(used[0]).to.be.closeTo(4, 0.3);
    expect(late).to.be.within(1.6, 2.4);
  });
});
