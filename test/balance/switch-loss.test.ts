import { expect } from "chai";
import { addProbabilityGradient, balancingLoss, sumSequence } from "../../src/balance/balance.ts";
import type { BalanceScope } from "../../src/balance/switch-loss.ts";
import { switchLoss } from "../../src/balance/switch-loss.ts";
import { emptyRouting, type RoutingRule, route, routeBackward } from "../../src/routing/route.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { normalLogits, numericalGradient, smallShape } from "../routing/small-batch.ts";

const fresh = (experts: number) => ({ load: new Float64Array(experts), tokens: 0 });
const setting = (scope: BalanceScope, coefficient = 1) => [{ rule: "switch-loss" as const, coefficient, scope }];

describe("switchLoss.evaluate", () => {
  const shape = { experts: 8, topK: 2, groups: 1 };
  const gradient = new Float64Array(8);

  it("is 1 at equal load, whatever the probabilities are", () => {
    const load = new Float64Array(8).fill(4);
    const probability = Float64Array.of(9, 1, 1, 1, 1, 1, 1, 1);
    expect(switchLoss.evaluate(load, 16, probability, 16, shape, gradient)).to.be.closeTo(1, 1e-15);
    for (const value of gradient) expect(value).to.be.closeTo(1 / 16, 1e-15);
  });

  it("is N/K when load and probability fall on one expert of each token: 8/2 = 4", () => {
    const load = Float64Array.of(16, 16, 0, 0, 0, 0, 0, 0);
    const probability = Float64Array.of(16, 0, 0, 0, 0, 0, 0, 0);
    expect(switchLoss.evaluate(load, 16, probability, 16, shape, gradient)).to.equal(4);
    expect(Array.from(gradient)).to.deep.equal([4 / 16, 4 / 16, 0, 0, 0, 0, 0, 0]);
  });

  it("can be below 1: load and probability may be opposed, so 1 is no lower bound", () => {
    const load = Float64Array.of(16, 16, 0, 0, 0, 0, 0, 0);
    const probability = Float64Array.of(0, 0, 8, 8, 0, 0, 0, 0);
    expect(switchLoss.evaluate(load, 16, probability, 16, shape, gradient)).to.equal(0);
  });
});

/** Two experts, K = 1: probabilities and choices given outright. */
function lossOfRanks(scope: BalanceScope, sequenceLoad: number[], sequenceProbability: number[], stepLoad = fresh(2)) {
  const ranks = sequenceLoad.length / 2;
  const gradient = new Float64Array(ranks * 2);
  const shape = { experts: 2, topK: 1, groups: 1 };
  const load = Float64Array.from(sequenceLoad);
  const probability = Float64Array.from(sequenceProbability);
  const loss = balancingLoss(setting(scope), load, probability, 4, ranks, shape, stepLoad, gradient);
  return { loss, gradient: Array.from(gradient), stepLoad };
}

describe("balancingLoss", () => {
  const opposite = { load: [4, 0, 0, 4], probability: [4, 0, 0, 4] };

  it("over micro-batches punishes two ranks that prefer one expert each: mean of N/K = 2 and 2", () => {
    const { loss, gradient } = lossOfRanks("micro-batch", opposite.load, opposite.probability);
    expect(loss).to.equal(2);
    expect(gradient).to.deep.equal([2 / 4 / 2, 0, 0, 2 / 4 / 2]);
  });

  it("over the global batch does not: together they are balanced, and the loss is 1", () => {
    const { loss, gradient } = lossOfRanks("global-batch", opposite.load, opposite.probability);
    expect(loss).to.equal(1);
    expect(gradient).to.deep.equal([1 / 8, 1 / 8, 1 / 8, 1 / 8]);
  });

  it("over the global batch sees the counts of the step so far, this micro-batch included", () => {
    const { stepLoad } = lossOfRanks("global-batch", [4, 0], [4, 0]);
    expect(Array.from(stepLoad.load)).to.deep.equal([4, 0]);
    const second = lossOfRanks("global-batch", [2, 2], [4, 0], stepLoad);
    expect(second.loss, "f = 2·6/8 of expert 0").to.equal(1.5);
    expect(second.stepLoad.tokens).to.equal(8);
    const alone = lossOfRanks("micro-batch", [2, 2], [4, 0], stepLoad);
    expect(alone.loss).to.equal(1);
  });

  it("adds up its settings, each with its coefficient, and leaves bias rules out", () => {
    const gradient = new Float64Array(2);
    const settings = [
      ...setting("micro-batch", 0.5),
      ...setting("micro-batch", 0.25),
      { rule: "loss-free-bias" as const, rate: 1, centred: false },
    ];
    const shape = { experts: 2, topK: 1, groups: 1 };
    const loss = balancingLoss(settings, Float64Array.of(4, 0), Float64Array.of(4, 0), 4, 1, shape, fresh(2), gradient);
    expect(loss).to.equal(1.5);
    expect(Array.from(gradient)).to.deep.equal([0.375, 0]);
  });
});

/** The loss of a batch of logits with the choice held, and its gradient by them, as an engine makes it. */
function lossOfLogits(scoreFunction: ScoreFunctionName, scope: BalanceScope, ranks: number) {
  const shape = smallShape;
  const length = 3;
  const sequences = 4;
  const tokens = length * sequences;
  const logits = normalLogits(tokens, shape.experts, scoreFunction);
  const rule: RoutingRule = { selection: "moge", scoreFunction, normalisation: "chosen", scale: 1 };
  const routing = emptyRouting(tokens, shape);
  route(logits, undefined, 0, tokens, shape, rule, routing);
  const gradient = new Float64Array(ranks * shape.experts);
  const evaluate = (x: Float64Array) => {
    const scores = new Float64Array(x.length);
    for (let t = 0; t < tokens; t++) scoreFunctions[scoreFunction].forward(x, scores, t * shape.experts, shape.experts);
    const load = new Float64Array(sequences * shape.experts);
    const probability = new Float64Array(sequences * shape.experts);
    for (let s = 0; s < sequences; s++)
      sumSequence(scores, routing.chosen, s, length, shape, scoreFunction, load, probability);
    return balancingLoss(setting(scope, 0.7), load, probability, length, ranks, shape, fresh(shape.experts), gradient);
  };
  evaluate(logits);
  const byLogit = new Float64Array(logits.length);
  const byProbability = gradient.slice();
  const byScore = (t: number, scoreGradient: Float64Array) => {
    const row = Math.floor((t * ranks) / tokens) * shape.experts;
    addProbabilityGradient(routing.scores, t * shape.experts, byProbability, row, scoreFunction, scoreGradient);
  };
  const none = new Float64Array(tokens * shape.topK);
  routeBackward(logits, routing, none, 0, tokens, shape, rule, byScore, byLogit);
  return { evaluate, logits, byLogit };
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

  it("lowers the loss when followed downhill, until the load of top-1 is nearly equal", () => {
    const shape = { experts: 4, topK: 1, groups: 1 };
    const tokens = 64;
    const rule: RoutingRule = { selection: "topk", scoreFunction: "softmax", normalisation: "none", scale: 1 };
    const logits = normalLogits(tokens, shape.experts, "descent").map((x, i) => x + (i % 4 === 0 ? 2 : 0));
    const routing = emptyRouting(tokens, shape);
    const none = new Float64Array(tokens);
    const byLogit = new Float64Array(logits.length);
    const largest: number[] = [];
    for (let step = 0; step < 400; step++) {
      route(logits, undefined, 0, tokens, shape, rule, routing);
      const load = new Float64Array(4);
      const probability = new Float64Array(4);
      sumSequence(routing.scores, routing.chosen, 0, tokens, shape, "softmax", load, probability);
      largest.push(Math.max(...load));
      const gradient = new Float64Array(4);
      balancingLoss(setting("micro-batch"), load, probability, tokens, 1, shape, fresh(4), gradient);
      routeBackward(
        logits,
        routing,
        none,
        0,
        tokens,
        shape,
        rule,
        (t, byScore) => {
          addProbabilityGradient(routing.scores, t * 4, gradient, 0, "softmax", byScore);
        },
        byLogit,
      );
      byLogit.forEach((slope, i) => {
        logits[i] = logits[i]! - 4 * slope;
      });
    }
    expect(largest[0]).to.be.at.least(40);
    expect(largest.at(-1)).to.be.at.most(20);
  });
});

describe("sumSequence", () => {
  it("writes the row of its sequence and no other, whatever was there", () => {
    const shape = { experts: 2, topK: 1, groups: 1 };
    const load = new Float64Array(4).fill(9);
    const probability = new Float64Array(4).fill(9);
    const scores = Float64Array.of(0.5, 0.5, 0.25, 0.75, 0.3, 0.1, 0.2, 0.6);
    sumSequence(scores, Int32Array.of(0, 1, 0, 1), 1, 2, shape, "sigmoid", load, probability);
    expect(Array.from(load)).to.deep.equal([9, 9, 1, 1]);
    expect(Array.from(probability.subarray(0, 2))).to.deep.equal([9, 9]);
    expect(probability[2], "0.3/0.4 + 0.2/0.8").to.be.closeTo(1, 1e-15);
    expect(probability[3]).to.be.closeTo(1, 1e-15);
  });
});
