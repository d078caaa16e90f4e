import { expect } from "chai";
import {
  type Balance,
  balanceBackward,
  balanceForward,
  countSequence,
  newBalance,
  newStepLoad,
} from "../../src/balance/balance.ts";
import type { BalanceScope } from "../../src/balance/rule.ts";
import type { BalanceSetting } from "../../src/balance/rules.ts";
import { switchLoss } from "../../src/balance/switch-loss.ts";
import { sum } from "../../src/core/statistics.ts";
import { NO_EXPERT } from "../../src/routing/assignment.ts";
import {
  newRouting,
  type Routing,
  type RoutingSettings,
  route,
  routeBackward,
  score,
} from "../../src/routing/route.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { normalLogits, numericalGradient, smallShape } from "../routing/small-batch.ts";

const setting = (scope: BalanceScope, coefficient = 1) => [{ rule: "switch-loss" as const, coefficient, scope }];

describe("switchLoss.evaluate", () => {
  const shape = { experts: 8, topK: 2, groups: 1 };
  const gradient = new Float64Array(8);
  const lossOf = (load: Float64Array, probabilitySum: Float64Array) =>
    switchLoss.evaluate({ shape, load, loadTokens: 16, probabilitySum, tokens: 16 }, gradient, {
      coefficient: 0.5, // is left to the caller
      scope: "micro-batch",
    });

  it("is 1 at equal load, whatever the probabilities are", () => {
    const load = new Float64Array(8).fill(4);
    const probability = Float64Array.of(9, 1, 1, 1, 1, 1, 1, 1);
    expect(lossOf(load, probability)).to.be.closeTo(1, 1e-15);
    for (const value of gradient) expect(value).to.be.closeTo(1 / 16, 1e-15);
  });

  it("is N/K when load and probability fall on one expert of each token: 8/2 = 4", () => {
    const load = Float64Array.of(16, 16, 0, 0, 0, 0, 0, 0);
    const probability = Float64Array.of(16, 0, 0, 0, 0, 0, 0, 0);
    expect(lossOf(load, probability)).to.equal(4);
    expect(Array.from(gradient)).to.deep.equal([4 / 16, 4 / 16, 0, 0, 0, 0, 0, 0]);
  });

  it("can be below 1: load and probability may be opposed, so 1 is no lower bound", () => {
    const load = Float64Array.of(16, 16, 0, 0, 0, 0, 0, 0);
    const probability = Float64Array.of(0, 0, 8, 8, 0, 0, 0, 0);
    expect(lossOf(load, probability)).to.equal(0);
  });
});

/** Two experts, K = 1, one sequence of 4 tokens a rank: probabilities and choices given outright. */
function lossOfRanks(
  settings: BalanceSetting[],
  sequenceLoad: number[],
  sequenceProbability: number[],
  stepLoad = newStepLoad(2),
) {
  const ranks = sequenceLoad.length / 2;
  const shape = { experts: 2, topK: 1, groups: 1 };
  const balance = newBalance({ settings, shape, ranks, sequenceLength: 4 }, ranks, stepLoad);
  balance.sequenceLoad.set(sequenceLoad);
  balance.sequenceProbability.set(sequenceProbability);
  const loss = balanceForward(balance);
  return { loss, gradient: Array.from(balance.probabilityGradient), stepLoad };
}

describe("balanceForward", () => {
  const opposite = { load: [4, 0, 0, 4], probability: [4, 0, 0, 4] };

  it("over micro-batches punishes two ranks that prefer one expert each: mean of N/K = 2 and 2", () => {
    const { loss, gradient } = lossOfRanks(setting("micro-batch"), opposite.load, opposite.probability);
    expect(loss).to.equal(2);
    expect(gradient).to.deep.equal([2 / 4 / 2, 0, 0, 2 / 4 / 2]);
  });

  it("over the global batch does not: together they are balanced, and the loss is 1", () => {
    const { loss, gradient } = lossOfRanks(setting("global-batch"), opposite.load, opposite.probability);
    expect(loss).to.equal(1);
    expect(gradient).to.deep.equal([1 / 8, 1 / 8, 1 / 8, 1 / 8]);
  });

  it("over the global batch sees the counts of the step so far, this micro-batch included", () => {
    const { stepLoad } = lossOfRanks(setting("global-batch"), [4, 0], [4, 0]);
    expect(Array.from(stepLoad.load)).to.deep.equal([4, 0]);
    const second = lossOfRanks(setting("global-batch"), [2, 2], [4, 0], stepLoad);
    expect(second.loss, "f = 2·6/8 of expert 0").to.equal(1.5);
    expect(second.stepLoad.tokens).to.equal(8);
    const alone = lossOfRanks(setting("micro-batch"), [2, 2], [4, 0], stepLoad);
    expect(alone.loss).to.equal(1);
  });

  it("adds up its settings, each with its coefficient, and leaves bias rules out", () => {
    const settings = [
      ...setting("micro-batch", 0.5),
      ...setting("micro-batch", 0.25),
      { rule: "loss-free-bias" as const, rate: 1, centred: false },
    ];
    const { loss, gradient } = lossOfRanks(settings, [4, 0], [4, 0]);
    expect(loss).to.equal(1.5);
    expect(gradient).to.deep.equal([0.375, 0]);
  });
});

/** The loss of a batch of logits with the choice held, and its gradient by them, as an engine makes it. */
function lossOfLogits(scoreFunction: ScoreFunctionName, scope: BalanceScope, ranks: number, emptySlots: number[] = []) {
  const shape = smallShape;
  const [sequences, sequenceLength] = [4, 3];
  const logits = normalLogits(sequences * sequenceLength, shape.experts, scoreFunction);
  const settings: RoutingSettings = { selection: "moge", scoreFunction, normalisation: "chosen", scale: 1 };
  const held = newRouting(logits, shape, settings);
  route(held);
  for (const slot of emptySlots) held.assignment.experts[slot] = NO_EXPERT;
  /** A fresh step each time. */
  const forward = (x: Float64Array) => {
    const routing = { ...newRouting(x, shape, settings), assignment: held.assignment };
    score(routing);
    const balance = newBalance({ settings: setting(scope, 0.7), shape, ranks, sequenceLength }, sequences);
    for (let s = 0; s < sequences; s++) countSequence(balance, routing, s);
    return { loss: balanceForward(balance), balance, routing };
  };
  const { balance, routing } = forward(logits);
  const byLogit = logitGradient(routing, balance);
  return { evaluate: (x: Float64Array) => forward(x).loss, logits, byLogit, stepLoad: balance.stepLoad };
}

/** What the balancing losses alone ask of the logits. */
function logitGradient(routing: Routing, balance: Balance): Float64Array {
  const gradients = {
    weights: new Float64Array(routing.assignment.weights.length),
    logits: new Float64Array(routing.logits.length),
  };
  routeBackward(routing, gradients, balanceBackward(balance, routing));
  return gradients.logits;
}

describe("gradient of the balancing loss by the logits", () => {
  for (const scoreFunction of Object.keys(scoreFunctions) as ScoreFunctionName[]) {
    for (const scope of ["micro-batch", "global-batch"] as const) {
      for (const ranks of [1, 2]) {
        it(`agrees with finite differences: ${scoreFunction}, ${scope}, ${ranks} ranks`, () => {
          const { evaluate, logits, byLogit } = lossOfLogits(scoreFunction, scope, ranks);
          const wanted = numericalGradient(evaluate, logits);
          expect(Math.max(...wanted.map(Math.abs))).to.be.above(1e-4);
          wanted.forEach((value, i) => {
            expect(byLogit[i]).to.be.closeTo(value, 1e-9);
          });
        });
      }
    }
  }

  it("counts no load for empty slots and agrees with finite differences all the same", () => {
    const { evaluate, logits, byLogit, stepLoad } = lossOfLogits("sigmoid", "micro-batch", 2, [0, 5, 6, 40]);
    expect(sum(stepLoad.load)).to.equal(12 * smallShape.topK - 4);
    numericalGradient(evaluate, logits).forEach((value, i) => {
      expect(byLogit[i]).to.be.closeTo(value, 1e-9);
    });
  });

  it("lowers the loss when followed downhill, until the load of top-1 is nearly equal", () => {
    const shape = { experts: 4, topK: 1, groups: 1 };
    const tokens = 64;
    const logits = normalLogits(tokens, shape.experts, "descent").map((x, i) => x + (i % 4 === 0 ? 2 : 0));
    const routing = newRouting(logits, shape, {
      selection: "topk",
      scoreFunction: "softmax",
      normalisation: "none",
      scale: 1,
    });
    const balance = newBalance({ settings: setting("micro-batch"), shape, ranks: 1, sequenceLength: tokens }, 1);
    const largest: number[] = [];
    for (let step = 0; step < 400; step++) {
      route(routing);
      countSequence(balance, routing, 0);
      largest.push(Math.max(...balance.sequenceLoad));
      balanceForward(balance);
      logitGradient(routing, balance).forEach((slope, i) => {
        logits[i] = logits[i]! - 4 * slope;
      });
    }
    expect(largest[0]).to.be.at.least(40);
    expect(largest.at(-1)).to.be.at.most(20);
  });
});

describe("countSequence", () => {
  it("writes the row of its sequence and no other, whatever was there", () => {
    const shape = { experts: 2, topK: 1, groups: 1 };
    const balance = newBalance({ settings: [], shape, ranks: 1, sequenceLength: 2 }, 2);
    balance.sequenceLoad.fill(9);
    balance.sequenceProbability.fill(9);
    const routing = newRouting(new Float64Array(8), shape, {
      selection: "topk",
      scoreFunction: "sigmoid",
      normalisation: "none",
      scale: 1,
    });
    routing.scores.set([0.5, 0.5, 0.25, 0.75, 0.3, 0.1, 0.2, 0.6]);
    routing.assignment.experts.set([0, 1, 0, 1]);
    countSequence(balance, routing, 1);
    expect(Array.from(balance.sequenceLoad)).to.deep.equal([9, 9, 1, 1]);
    const [first, second, ...own] = balance.sequenceProbability;
    expect([first, second]).to.deep.equal([9, 9]);
    expect(own[0], "0.3/0.4 + 0.2/0.8").to.be.closeTo(1, 1e-15);
    expect(own[1]).to.be.closeTo(1, 1e-15);
  });
});
