import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import { addProbabilityGradient, balancingLoss, sumSequence } from "../../src/balance/balance.ts";
import { type BalanceSetting, balancingRules } from "../../src/balance/rules.ts";
import { scopes } from "../../src/balance/switch-loss.ts";
import { runSchema } from "../../src/config/schema.ts";
import { randomStream } from "../../src/core/random.ts";
import { assertExpressible, balancingLossOf, scoresOf, weightsOf } from "../../src/engine/tfjs/routing.ts";
import { openTfjsEngine } from "../../src/host/tfjs-engine.ts";
import { normalisations } from "../../src/routing/gates.ts";
import { emptyRouting, type RoutingRule, route, routeBackward } from "../../src/routing/route.ts";
import { routers } from "../../src/routing/routers.ts";
import { scoreFunctions } from "../../src/routing/scores.ts";
import { relativeError } from "./relative-error.ts";

const shape = { experts: 8, topK: 4, groups: 2 };
const length = 6;
const sequences = 4;
const tokens = sequences * length;
const names = <T extends object>(table: T) => Object.keys(table) as (keyof T & string)[];

const rules: RoutingRule[] = names(routers).flatMap((selection) =>
  names(scoreFunctions).flatMap((scoreFunction) =>
    names(normalisations).map((normalisation) => ({ selection, scoreFunction, normalisation, scale: 1.5 })),
  ),
);
const losses = names(balancingRules).filter((rule) => balancingRules[rule].kind === "loss");

/** Random logits rounded to singles, as both sides read them. */
function gaussians(count: number, purpose: string, deviation = 1): Float32Array {
  const random = randomStream(7, purpose);
  return Float32Array.from({ length: count }, () => deviation * random.gaussian());
}

/** The project's own loss and gradient by the logits of weights · weightGradient + balancing losses, in doubles. */
function analytic(
  logits: Float32Array,
  weightGradient: Float32Array,
  rule: RoutingRule,
  settings: BalanceSetting[],
  ranks: number,
) {
  const routing = emptyRouting(tokens, shape);
  route(logits, undefined, 0, tokens, shape, rule, routing);
  const load = new Float64Array(sequences * shape.experts);
  const probability = new Float64Array(sequences * shape.experts);
  for (let s = 0; s < sequences; s++) {
    sumSequence(routing.scores, routing.chosen, s, length, shape, rule.scoreFunction, load, probability);
  }
  const byProbability = new Float64Array(ranks * shape.experts);
  const stepLoad = { load: Float64Array.of(9, 0, 3, 1, 2, 5, 0, 0), tokens: 5 };
  const loss = balancingLoss(settings, load, probability, length, ranks, shape, stepLoad, byProbability);
  const gradient = new Float64Array(logits.length);
  const balance = (t: number, scoreGradient: Float64Array) => {
    const row = Math.floor((t * ranks) / tokens) * shape.experts;
    addProbabilityGradient(routing.scores, t * shape.experts, byProbability, row, rule.scoreFunction, scoreGradient);
  };
  routeBackward(logits, routing, weightGradient, 0, tokens, shape, rule, balance, gradient);
  return { routing, loss, gradient, stepLoad };
}

/** The same by TensorFlow.js; `chosen` is given. */
function automatic(
  logits: Float32Array,
  weightGradient: Float32Array,
  chosen: Int32Array,
  rule: RoutingRule,
  settings: BalanceSetting[],
  ranks: number,
) {
  const stepLoad = { load: Float64Array.of(9, 0, 3, 1, 2, 5, 0, 0), tokens: 5 };
  const byExpert = new Float32Array(logits.length);
  weightGradient.forEach((g, j) => {
    byExpert[Math.floor(j / shape.topK) * shape.experts + chosen[j]!] = g;
  });
  let weights: ArrayLike<number> = [];
  let loss = 0;
  const objective = (x: tf.Tensor) => {
    const scores = scoresOf(x, rule);
    const gates = weightsOf(scores, chosen, shape, rule);
    const balance = balancingLossOf(settings, scores, chosen, ranks, shape, rule, stepLoad);
    weights = gates.dataSync();
    loss = balance.dataSync()[0]!;
    return tf.add(tf.sum(tf.mul(gates, tf.tensor(byExpert, x.shape))), balance);
  };
  const gradient = tf.tidy(() =>
    tf
      .grad(objective)(tf.tensor2d(logits, [tokens, shape.experts]))
      .dataSync(),
  );
  return { weights, loss, gradient, stepLoad };
}

describe("routing in tfjs ops against the analytic gradients of routing/ and balance/", () => {
  before(async () => {
    await openTfjsEngine(
      runSchema.parse({ name: "t", data: { kind: "synthetic" }, engine: { kind: "tfjs", backend: "cpu" } }),
    );
    await tf.setBackend("cpu");
  });

  for (const rule of rules) {
    it(`${rule.selection}, ${rule.scoreFunction}, normalisation ${rule.normalisation}`, () => {
      const logits = gaussians(tokens * shape.experts, "logits", 2);
      const weightGradient = gaussians(tokens * shape.topK, "weights");
      for (const ranks of [1, 2]) {
        for (const scope of names(scopes)) {
          const settings = losses.map((name) => ({ rule: name, coefficient: 3, scope }));
          const ours = analytic(logits, weightGradient, rule, settings, ranks);
          const theirs = automatic(logits, weightGradient, ours.routing.chosen, rule, settings, ranks);
          const label = `ranks ${ranks}, ${scope}`;
          ours.routing.chosen.forEach((expert, j) => {
            const weight = theirs.weights[Math.floor(j / shape.topK) * shape.experts + expert]!;
            expect(weight).to.be.closeTo(ours.routing.weights[j]!, 1e-6);
          });
          expect(theirs.loss, label).to.be.closeTo(ours.loss, 1e-5);
          expect(relativeError(theirs.gradient, ours.gradient), label).to.be.below(2e-6);
          expect(theirs.stepLoad, label).to.deep.equal(ours.stepLoad);
        }
      }
    });
  }

  it("gives no weight to experts that are not chosen", () => {
    const chosen = Int32Array.of(1, 3, 4, 6);
    const rule: RoutingRule = { selection: "topk", scoreFunction: "softmax", normalisation: "chosen", scale: 1 };
    const weights = tf.tidy(() => weightsOf(tf.fill([1, 8], 0.125), chosen, shape, rule).dataSync());
    expect([...weights]).to.deep.equal([0, 0.25, 0, 0.25, 0.25, 0, 0.25, 0]);
  });

  it("names a rule that has no expression", () => {
    const rule = {
      selection: "topk",
      scoreFunction: "cosine",
      normalisation: "chosen",
      scale: 1,
    } as unknown as RoutingRule;
    expect(() => assertExpressible(rule, [])).to.throw("score function cosine has no TensorFlow.js expression");
  });
});
