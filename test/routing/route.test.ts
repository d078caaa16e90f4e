import { expect } from "chai";
import { sum } from "../../src/core/statistics.ts";
import { emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { newRouting, type Routing, type RoutingSettings, route, score, settle } from "../../src/routing/route.ts";
import { routerNamed } from "../../src/routing/routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import {
  capacity,
  combinations,
  expertScale,
  facts,
  keys,
  logits,
  nameOf,
  raw,
  routed,
  tokens,
} from "./combinations.ts";
import { smallShape } from "./small-batch.ts";

/** The formula, written out: scores of the experts that count, over their sum or not, times the scales. */
function slowWeights({ settings, shape, scores, chosen, assignment }: Routing): Float64Array {
  const { slots, experts } = assignment;
  const { refused } = assignment;
  const considered = chosen.map((expert, slot) => (expert === NO_EXPERT && refused ? refused[slot]! : expert));
  const counted = settings.capacity?.renormalise ? experts : considered;
  const divides =
    settings.normalisation === "chosen" || (settings.normalisation === "chosen-of-several" && shape.topK > 1);
  const isEuclidean = settings.normalisation === "chosen-euclidean";
  return Float64Array.from(experts, (expert, slot) => {
    if (expert === NO_EXPERT) return 0;
    const token = Math.floor(slot / slots);
    const own = Array.from(counted.subarray(token * slots, (token + 1) * slots)).filter((e) => e !== NO_EXPERT);
    const scoreOf = (e: number) => scores[token * shape.experts + e]!;
    const total = own.reduce((all, e) => all + scoreOf(e), 0);
    const length = Math.hypot(...own.map(scoreOf));
    const divisor = divides ? total : isEuclidean ? length : 1;
    const share = settings.normalisation === "straight-through" ? 1 : scoreOf(expert) / divisor;
    return share * settings.scale * (settings.expertScale?.[expert] ?? 1);
  });
}

describe("route", () => {
  for (const settings of combinations) {
    it(`weighs by the settings: ${nameOf(settings)}`, () => {
      const { capacity: _none, ...plain } = settings;
      for (const renormalise of [undefined, true, false]) {
        const limits = renormalise === undefined ? {} : { capacity: { ...capacity, renormalise } };
        const routing = routed({ ...plain, expertScale, ...limits });
        const wanted = slowWeights(routing);
        routing.assignment.weights.forEach((weight, slot) => {
          expect(weight).to.be.closeTo(wanted[slot]!, 1e-13);
        });
      }
    });
  }

  it("softmax weights over the chosen are the softmax of the chosen logits (Pangu Pro MoE, eq. 2)", () => {
    const { assignment, shape } = routed({
      selection: "topk",
      scoreFunction: "softmax",
      normalisation: "chosen",
      scale: 1,
    });
    for (let t = 0; t < tokens; t++) {
      const row = Array.from(assignment.experts.subarray(t * shape.topK, (t + 1) * shape.topK));
      const each = row.map((e) => Math.exp(logits[t * shape.experts + e]!));
      row.forEach((_, j) => {
        expect(assignment.weights[t * shape.topK + j]).to.be.closeTo(each[j]! / sum(each), 1e-15);
      });
    }
  });

  for (const scoreFunction of keys<ScoreFunctionName>(scoreFunctions)) {
    it(`${scoreFunction} never turns the order of the logits round`, () => {
      const { scores } = routed({ selection: "topk", scoreFunction, normalisation: "none", scale: 1 });
      for (let t = 0; t < tokens; t++) {
        const order = Array.from({ length: 12 }, (_, i) => t * 12 + i).sort((a, b) => logits[a]! - logits[b]!);
        for (let i = 1; i < 12; i++) expect(scores[order[i]!]).to.be.at.least(scores[order[i - 1]!]!);
      }
    });
  }

  it("a bias moves the choice and leaves the scores and the weights of the chosen alone", () => {
    const bias = Float64Array.from({ length: 12 }, (_, i) => (i === 7 ? 100 : 0));
    for (const settings of combinations.filter(({ normalisation }) => normalisation === "none")) {
      if (!routerNamed(settings.selection).promises.byScore || settings.selection === "noisy-topk") continue;
      const [plain, biased] = [routed(settings), routed(settings, logits, { bias })];
      expect(biased.scores).to.deep.equal(plain.scores);
      const { slots, experts, weights } = biased.assignment;
      for (let t = 0; t < tokens; t++) {
        const at = experts.subarray(t * slots, (t + 1) * slots).indexOf(7);
        expect(at, "expert 7 is chosen").to.be.at.least(0);
        expect(weights[t * slots + at]).to.equal(settings.scale * plain.scores[t * 12 + 7]!);
      }
    }
  });

  it("without an epsilon vanished scores divide to NaN, as in DeepSeek-V3's code; with it to 0", () => {
    const vanished = new Float64Array(12).fill(-1000);
    const settings = { selection: "topk", scoreFunction: "sigmoid", normalisation: "chosen", scale: 1 } as const;
    expect(routed(settings, vanished).assignment.weights[0]).to.equal(0);
    expect(routed({ ...settings, epsilon: 0 }, vanished).assignment.weights[0]).to.be.NaN;
  });

  it("tells saturated scores apart by their logits, and vanished ones keep their proportions", () => {
    const shape = { experts: 8, topK: 3, groups: 1 };
    const settings = { selection: "topk", scoreFunction: "softmax", normalisation: "chosen", scale: 1 } as const;
    const of = (x: Float32Array | Float64Array, more: Partial<RoutingSettings> = {}, bias?: Float64Array) => {
      const routing = newRouting(x, shape, { ...settings, ...more });
      route(routing, { bias });
      return routing.assignment;
    };
    expect(Array.from(of(Float32Array.from([0, 1, 2, 3, 4, 5, 120, 119])).experts)).to.deep.equal([6, 7, 5]);
    const saturated = of(Float32Array.from([18, 19, 20, 21, 22, 23, 24, 25]), { scoreFunction: "sigmoid" });
    expect(Array.from(saturated.experts)).to.deep.equal([7, 6, 5]);
    // A bias keeps the two experts that hold all the probability from being chosen.
    const bias = Float64Array.from([1, 1, 1, 0, 0, 0, -1, -1]);
    const shifted = of(Float64Array.from([0, 1, 2, 3, 4, 5, 160, 159]), {}, bias);
    expect(Array.from(shifted.experts).sort()).to.deep.equal([0, 1, 2]);
    const weights = Array.from(shifted.experts, (expert) => Math.exp(expert) / (1 + Math.E + Math.E ** 2));
    for (const [j, weight] of shifted.weights.entries()) expect(weight).to.be.closeTo(weights[j]!, 1e-12);
  });
});

describe("noise", () => {
  const settings = { selection: "noisy-topk", scoreFunction: "softmax", normalisation: "none", scale: 1 } as const;
  const many = 4000;
  const flat = new Float64Array(many * 12);
  const spread = (of: Routing) => {
    const noise = Array.from(of.logits);
    const mean = sum(noise) / noise.length;
    return { mean, deviation: Math.sqrt(sum(noise.map((x) => (x - mean) ** 2)) / noise.length) };
  };

  it("has the deviation of its setting: 48,000 draws within four standard errors", () => {
    const routing = newRouting(flat, smallShape, { ...settings, options: { noise: "gaussian", scale: 0.5 } });
    route(routing, facts());
    const { mean, deviation } = spread(routing);
    expect(mean).to.be.closeTo(0, (4 * 0.5) / Math.sqrt(flat.length));
    expect(deviation).to.be.closeTo(0.5, (4 * 0.5) / Math.sqrt(2 * flat.length));
  });

  it("learned, has deviation softplus(raw) + scale: ln 2 + 0.01 where raw is 0", () => {
    const routing = newRouting(
      flat,
      smallShape,
      { ...settings, options: { noise: "learned", scale: 0.01 } },
      { raw: flat },
    );
    route(routing, facts());
    const wanted = Math.log(2) + 0.01;
    expect(spread(routing).deviation).to.be.closeTo(wanted, (4 * wanted) / Math.sqrt(2 * flat.length));
  });

  it("is absent when nothing is learned", () => {
    const routing = newRouting(logits, smallShape, settings, { raw });
    route(routing, { training: false });
    expect(routing.logits).to.deep.equal(logits);
    const plain = newRouting(logits, smallShape, { ...settings, selection: "topk" });
    route(plain);
    expect(routing.assignment.experts).to.deep.equal(plain.assignment.experts);
  });
});

describe("settle", () => {
  it("leaves out tokens that were given no expert: weights 0, nothing counted", () => {
    const routing = newRouting(logits, smallShape, { ...combinations[0]!, capacity });
    score(routing);
    routing.chosen.set(emptyAssignment(tokens, smallShape.topK).experts);
    settle(routing);
    expect(sum(routing.assignment.weights)).to.equal(0);
  });
});
