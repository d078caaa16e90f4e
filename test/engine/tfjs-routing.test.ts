import * as tf from "@tensorflow/tfjs-core";
import { expect } from "chai";
import {
  type Balance,
  balanceBackward,
  balanceForward,
  countSequence,
  newBalance,
  type StepLoad,
} from "../../src/balance/balance.ts";
import { scopes } from "../../src/balance/rule.ts";
import { type BalanceSetting, balancingRules, type LossSetting } from "../../src/balance/rules.ts";
import { runSchema } from "../../src/config/schema.ts";
import { randomStream } from "../../src/core/random.ts";
import { assertExpressible, balancingLossOf, scoresOf, weightsOf } from "../../src/engine/tfjs/routing.ts";
import { openTfjsEngine } from "../../src/host/tfjs-engine.ts";
import { type Assignment, emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { normalisations, weigh } from "../../src/routing/gates.ts";
import { newRouting, type Routing, type RoutingSettings, route, routeBackward } from "../../src/routing/route.ts";
import { routers } from "../../src/routing/routers.ts";
import { scoreFunctions } from "../../src/routing/scores.ts";
import { relativeError } from "./relative-error.ts";

const shape = { experts: 8, topK: 4, groups: 2 };
const length = 6;
const sequences = 4;
const tokens = sequences * length;
const names = <T extends object>(table: T) => Object.keys(table) as (keyof T & string)[];

const combinations: RoutingSettings[] = names(routers).flatMap((selection) =>
  names(scoreFunctions).flatMap((scoreFunction) =>
    names(normalisations).map((normalisation) => ({ selection, scoreFunction, normalisation, scale: 1.5 })),
  ),
);
const losses = names(balancingRules).filter(
  (rule): rule is LossSetting["rule"] => balancingRules[rule].kind === "loss",
);

/** Random logits rounded to singles, as both sides read them. */
function gaussians(count: number, purpose: string, deviation = 1): Float32Array {
  const random = randomStream(7, purpose);
  return Float32Array.from({ length: count }, () => deviation * random.gaussian());
}

/** Counts of earlier micro-batches of the step. */
const earlier = (): StepLoad => ({ load: Float64Array.of(9, 0, 3, 1, 2, 5, 0, 0), tokens: 5 });

/** The project's own loss and gradient by the logits of weights · weightGradient + balancing losses, in doubles. */
function analytic(routing: Routing, weightGradient: Float32Array, settings: BalanceSetting[], ranks: number) {
  const balance = newBalance({ settings, shape, ranks, sequenceLength: length }, sequences, earlier());
  for (let s = 0; s < sequences; s++) countSequence(balance, routing, s);
  const loss = balanceForward(balance);
  const gradient = new Float64Array(routing.logits.length);
  routeBackward(routing, { weights: weightGradient, logits: gradient }, balanceBackward(balance, routing));
  return { loss, gradient, balance };
}

/** The same by TensorFlow.js; the experts are given. */
function automatic({ logits, assignment, settings }: Routing, weightGradient: Float32Array, balance: Balance) {
  const stepLoad = earlier();
  const byExpert = new Float32Array(logits.length);
  eachSlot(assignment, (place, j) => {
    byExpert[place] = weightGradient[j]!;
  });
  let weights: ArrayLike<number> = [];
  let loss = 0;
  const objective = (x: tf.Tensor) => {
    const scores = scoresOf(x, settings);
    const gates = weightsOf(scores, assignment, settings);
    const losses = balancingLossOf({ ...balance, stepLoad }, scores, assignment, settings);
    weights = gates.dataSync();
    loss = losses.dataSync()[0]!;
    return tf.add(tf.sum(tf.mul(gates, tf.tensor(byExpert, x.shape))), losses);
  };
  const gradient = tf.tidy(() =>
    tf
      .grad(objective)(tf.tensor2d(Float32Array.from(logits), [tokens, shape.experts]))
      .dataSync(),
  );
  return { weights, loss, gradient, stepLoad };
}

/** Visits the filled slots with their place in [T, N]. */
function eachSlot({ slots, experts }: Assignment, visit: (place: number, slot: number) => void): void {
  experts.forEach((expert, j) => {
    if (expert !== NO_EXPERT) visit(Math.floor(j / slots) * shape.experts + expert, j);
  });
}

/** Weights, losses, gradients and counts of both. */
function compare(routing: Routing): void {
  const weightGradient = gaussians(tokens * shape.topK, "weights");
  for (const ranks of [1, 2]) {
    for (const scope of names(scopes)) {
      const settings = losses.map((rule) => ({ rule, coefficient: 3, scope }));
      const ours = analytic(routing, weightGradient, settings, ranks);
      const theirs = automatic(routing, weightGradient, ours.balance);
      const label = `ranks ${ranks}, ${scope}`;
      eachSlot(routing.assignment, (place, j) => {
        expect(theirs.weights[place]).to.be.closeTo(routing.assignment.weights[j]!, 1e-6);
      });
      expect(theirs.loss, label).to.be.closeTo(ours.loss, 1e-5);
      expect(relativeError(theirs.gradient, ours.gradient), label).to.be.below(2e-6);
      expect(theirs.stepLoad, label).to.deep.equal(ours.balance.stepLoad);
    }
  }
}

describe("routing in tfjs ops against the analytic gradients of routing/ and balance/", () => {
  before(async () => {
    await openTfjsEngine(
      runSchema.parse({ name: "t", data: { kind: "synthetic" }, engine: { kind: "tfjs", backend: "cpu" } }),
    );
    await tf.setBackend("cpu");
  });

  for (const settings of combinations) {
    const routed = (more: Partial<RoutingSettings> = {}) => {
      const routing = newRouting(gaussians(tokens * shape.experts, "logits", 2), shape, { ...settings, ...more });
      route(routing);
      return routing;
    };
    const name = `${settings.selection}, ${settings.scoreFunction}, normalisation ${settings.normalisation}`;
    it(name, () => {
      compare(routed());
    });
    it(`${name}, with a scale for each expert, an epsilon and empty slots`, () => {
      const routing = routed({ expertScale: Float64Array.from({ length: 8 }, (_, i) => 2 - i / 8), epsilon: 0.25 });
      for (const slot of [0, 7, 13, 22, 30, 35, 50, 61, 77, 92]) routing.assignment.experts[slot] = NO_EXPERT;
      weigh(routing);
      compare(routing);
    });
  }

  it("gives no weight to experts that are not chosen", () => {
    const assignment = { ...emptyAssignment(1, 4), experts: Int32Array.of(1, 3, 4, 6) };
    const settings = combinations.find(({ normalisation }) => normalisation === "chosen")!;
    const weights = tf.tidy(() => weightsOf(tf.fill([1, 8], 0.125), assignment, { ...settings, scale: 1 }).dataSync());
    expect([...weights]).to.deep.equal([0, 0.25, 0, 0.25, 0.25, 0, 0.25, 0]);
  });

  it("names a rule that has no expression", () => {
    const settings = { ...combinations[0], scoreFunction: "cosine" } as unknown as RoutingSettings;
    expect(() => assertExpressible(settings, [])).to.throw("score function cosine has no TensorFlow.js expression");
  });
});
