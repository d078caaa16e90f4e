import { expect } from "chai";
import fc from "fast-check";
import { type Normalisation, normalisations, weigh } from "../../src/routing/gates.ts";
import {
  countLoad,
  emptyRouting,
  type Routing,
  type RoutingRule,
  route,
  routeBackward,
} from "../../src/routing/route.ts";
import { type RouterName, routers } from "../../src/routing/routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { normalLogits, numericalGradient, smallShape as shape } from "./small-batch.ts";

const keys = <K extends string>(table: Record<K, unknown>) => Object.keys(table) as K[];

/** Every combination of the settings. */
const rules: RoutingRule[] = keys<RouterName>(routers).flatMap((selection) =>
  keys<ScoreFunctionName>(scoreFunctions).flatMap((scoreFunction) =>
    keys<Normalisation>(normalisations).flatMap((normalisation) =>
      [1, 2.5].map((scale) => ({ selection, scoreFunction, normalisation, scale })),
    ),
  ),
);
const nameOf = ({ selection, scoreFunction, normalisation, scale }: RoutingRule) =>
  `${selection}, ${scoreFunction}, ${normalisation}, ×${scale}`;

function routed(logits: Float64Array, rule: RoutingRule, bias?: Float64Array): Routing {
  const tokens = logits.length / shape.experts;
  const routing = emptyRouting(tokens, shape);
  route(logits, bias, 0, tokens, shape, rule, routing);
  return routing;
}

const tokens = 4;
const logits = normalLogits(tokens, shape.experts);
const v = normalLogits(tokens, shape.topK, "v");

describe("route", () => {
  for (const rule of rules.filter(({ scale }) => scale === 2.5)) {
    it(`weighs by the rule: ${nameOf(rule)}`, () => {
      const { scores, chosen, weights } = routed(logits, rule);
      for (let t = 0; t < tokens; t++) {
        const row = Array.from(
          chosen.subarray(t * shape.topK, (t + 1) * shape.topK),
          (e) => scores[t * shape.experts + e]!,
        );
        const sum = rule.normalisation === "chosen" ? row.reduce((a, b) => a + b) : 1;
        row.forEach((score, j) => {
          expect(weights[t * shape.topK + j]).to.be.closeTo((rule.scale * score) / sum, 1e-15);
        });
      }
    });
  }

  it("softmax weights over the chosen are the softmax of the chosen logits (Pangu Pro MoE, eq. 2)", () => {
    const { chosen, weights } = routed(logits, {
      selection: "topk",
      scoreFunction: "softmax",
      normalisation: "chosen",
      scale: 1,
    });
    for (let t = 0; t < tokens; t++) {
      const row = Array.from(chosen.subarray(t * shape.topK, (t + 1) * shape.topK), (e) =>
        Math.exp(logits[t * shape.experts + e]!),
      );
      const sum = row.reduce((a, b) => a + b);
      row.forEach((e, j) => {
        expect(weights[t * shape.topK + j]).to.be.closeTo(e / sum, 1e-15);
      });
    }
  });

  for (const scoreFunction of keys<ScoreFunctionName>(scoreFunctions)) {
    it(`${scoreFunction} keeps the order of the logits, so choosing by scores is choosing by logits`, () => {
      const routing = routed(logits, { selection: "topk", scoreFunction, normalisation: "none", scale: 1 });
      const byLogits = new Int32Array(tokens * shape.topK);
      routers.topk.select(logits, undefined, 0, tokens, shape, byLogits);
      expect(Array.from(routing.chosen)).to.deep.equal(Array.from(byLogits));
    });
  }

  it("a bias moves the choice and leaves the scores and the weights of the chosen alone", () => {
    const bias = new Float64Array(shape.experts);
    bias[7] = 100;
    for (const rule of rules.filter(({ normalisation }) => normalisation === "none")) {
      const plain = routed(logits, rule);
      const biased = routed(logits, rule, bias);
      expect(Array.from(biased.scores)).to.deep.equal(Array.from(plain.scores));
      for (let t = 0; t < tokens; t++) {
        const at = Array.from(biased.chosen.subarray(t * shape.topK, (t + 1) * shape.topK)).indexOf(7);
        expect(at, "expert 7 is chosen").to.be.at.least(0);
        expect(biased.weights[t * shape.topK + at]).to.equal(rule.scale * plain.scores[t * shape.experts + 7]!);
      }
    }
  });

  it("a scale for each expert multiplies its weights and moves no choice", () => {
    const expertScale = Float64Array.from({ length: shape.experts }, (_, i) => 1 + i / 8);
    for (const rule of rules) {
      const plain = routed(logits, rule);
      const scaled = routed(logits, { ...rule, expertScale });
      expect(Array.from(scaled.chosen)).to.deep.equal(Array.from(plain.chosen));
      const wanted = plain.weights.map((weight, j) => weight * expertScale[plain.chosen[j]!]!);
      expect(Array.from(scaled.weights)).to.deep.equal(Array.from(wanted));
    }
  });

  it("without an epsilon vanished scores divide to NaN, with it to 0", () => {
    const vanished = new Float64Array(shape.experts).fill(-1000);
    const rule: RoutingRule = { selection: "topk", scoreFunction: "sigmoid", normalisation: "chosen", scale: 1 };
    expect(routed(vanished, rule).weights[0]).to.equal(0);
    expect(routed(vanished, { ...rule, epsilon: 0 }).weights[0]).to.be.NaN;
  });

  it("makes no NaN of infinite, huge and equal logits, as long as a token has one finite logit", () => {
    const extreme = fc.constantFrom(Number.NEGATIVE_INFINITY, -1e308, -1000, -1, 0, 1, 1000, 1e308);
    const batch = fc
      .array(extreme, { minLength: shape.experts, maxLength: shape.experts })
      .filter((row) => row.some(Number.isFinite))
      .map((row) => Float64Array.from(row));
    fc.assert(
      fc.property(batch, fc.constantFrom(...rules), (row, rule) => {
        const routing = routed(row, rule);
        expect(new Set(routing.chosen).size).to.equal(shape.topK);
        const gradient = new Float64Array(shape.experts);
        routeBackward(row, routing, new Float64Array(shape.topK).fill(1), 0, 1, shape, rule, undefined, gradient);
        for (const value of [...routing.scores, ...routing.weights, ...gradient]) expect(value).not.to.be.NaN;
      }),
      { numRuns: 300 },
    );
  });

  it("counts a load that adds up to K assignments a token, and adds it to what is there", () => {
    const { chosen } = routed(logits, rules[0]!);
    const load = new Int32Array(shape.experts).fill(10);
    countLoad(chosen, 0, tokens, shape.topK, load);
    expect(load.reduce((a, b) => a + b)).to.equal(10 * shape.experts + tokens * shape.topK);
    for (let expert = 0; expert < shape.experts; expert++) {
      expect(load[expert]! - 10).to.equal(chosen.filter((e) => e === expert).length);
    }
  });
});

describe("routeBackward", () => {
  const expertScale = Float64Array.from({ length: shape.experts }, (_, i) => 2 - i / 8);
  for (const rule of [...rules, ...rules.map((each) => ({ ...each, expertScale }))]) {
    it(`is the derivative by the logits: ${nameOf(rule)}${"expertScale" in rule ? ", scaled by expert" : ""}`, () => {
      const { chosen, scores, weights } = routed(logits, rule);
      const weightedSum = (moved: Float64Array) => {
        const again = { scores: new Float64Array(scores.length), weights: new Float64Array(weights.length) };
        for (let t = 0; t < tokens; t++)
          scoreFunctions[rule.scoreFunction].forward(moved, again.scores, t * shape.experts, shape.experts);
        weigh(again.scores, chosen, 0, tokens, shape, rule, again.weights);
        return again.weights.reduce((sum, weight, j) => sum + weight * v[j]!, 0);
      };
      const gradient = new Float64Array(logits.length);
      routeBackward(logits, { scores, chosen, weights }, v, 0, tokens, shape, rule, undefined, gradient);
      numericalGradient(weightedSum, logits).forEach((wanted, i) => {
        expect(gradient[i]).to.be.closeTo(wanted, 1e-8);
      });
    });
  }

  it("of one weight that is always 1 is zero", () => {
    const one = { experts: 6, topK: 1, groups: 1 };
    const rule: RoutingRule = { selection: "topk", scoreFunction: "softmax", normalisation: "chosen", scale: 1 };
    const routing = emptyRouting(2, one);
    const x = normalLogits(2, 6);
    route(x, undefined, 0, 2, one, rule, routing);
    const gradient = new Float64Array(12).fill(1);
    routeBackward(x, routing, Float64Array.of(3, -2), 0, 2, one, rule, undefined, gradient);
    for (const value of gradient) expect(value).to.be.closeTo(0, 1e-15);
  });
});
