import { expect } from "chai";
import { randomStream } from "../../src/core/random.ts";
import { sum } from "../../src/core/statistics.ts";
import { emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import type { CapacitySettings } from "../../src/routing/capacity.ts";
import { type Normalisation, normalisations, weigh } from "../../src/routing/gates.ts";
import {
  newRouting,
  type RouteFacts,
  type Routing,
  type RoutingSettings,
  route,
  routeBackward,
  score,
  settle,
} from "../../src/routing/route.ts";
import { type RouterName, routerNamed, routers } from "../../src/routing/routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { normalLogits, numericalGradient, smallShape } from "./small-batch.ts";

const keys = <K extends string>(table: Record<K, unknown>) => Object.keys(table) as K[];

/** A shape that a router takes. */
const shapeFor = (selection: RouterName) =>
  [
    smallShape,
    { experts: 12, topK: 3, groups: 3 },
    { experts: 12, topK: 2, groups: 2 },
    { experts: 12, topK: 1, groups: 1 },
  ].find((shape) => routerNamed(selection).contradiction(shape, optionsFor(selection) as never) === undefined)!;

const optionsFor = (selection: RouterName): Record<string, unknown> =>
  selection === "group-limited"
    ? { limit: 2, groupScore: "max", compare: "scores", mask: "exclude" }
    : Object.fromEntries(
        Object.entries(routerNamed(selection).knobs ?? {}).map(([name, { default: value }]) => [name, value]),
      );

/** Every router with every score function that it is defined for and every normalisation. */
const combinations: RoutingSettings[] = keys<RouterName>(routers).flatMap((selection) =>
  (routerNamed(selection).scoreFunctions ?? keys<ScoreFunctionName>(scoreFunctions)).flatMap((scoreFunction) =>
    keys<Normalisation>(normalisations).map((normalisation) => ({
      selection,
      options: optionsFor(selection),
      scoreFunction,
      normalisation,
      scale: 2.5,
    })),
  ),
);
const nameOf = ({ selection, scoreFunction, normalisation }: RoutingSettings) =>
  `${selection}, ${scoreFunction}, ${normalisation}`;

const tokens = 5;
const ids = [3, 1, 4, 1, 5];
const logits = normalLogits(tokens, 12);
const raw = normalLogits(tokens, 12, "raw");
const facts = (): RouteFacts => ({ random: randomStream(1, "route"), tokenIds: ids, domains: ids });
const expertScale = Float64Array.from({ length: 12 }, (_, i) => 2 - i / 8);

const capacity: CapacitySettings = {
  rule: "megatron",
  factor: 0.6,
  minimum: 0,
  alignment: 1,
  level: "expert",
  order: "weight",
  priority: "position",
  renormalise: false,
  pad: false,
};

function routed(settings: RoutingSettings, x = logits, more: RouteFacts = {}): Routing {
  const routing = newRouting(x, shapeFor(settings.selection), settings, raw);
  route(routing, { ...facts(), ...more });
  return routing;
}

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

/** The weights of moved logits, the choice and the noise held. */
function weightsAgain(held: Routing, x: Float64Array, secondProjection = raw, scale = held.settings.expertScale) {
  const settings = { ...held.settings, ...(scale && { expertScale: scale }) };
  const again = newRouting(x, held.shape, settings, secondProjection);
  if (again.noise && held.noise) (again.noise.draws as Float64Array).set(held.noise.draws);
  score(again);
  again.chosen.set(held.chosen);
  again.assignment.experts.set(held.assignment.experts);
  if (held.assignment.refused) again.assignment.refused!.set(held.assignment.refused);
  weigh(again);
  return again.assignment.weights;
}

const directions = (length: number) => Float64Array.from({ length }, (_, i) => Math.sin(3 * i + 1));
const weighted = (values: ArrayLike<number>, by: Float64Array) =>
  by.reduce((all, each, i) => all + each * values[i]!, 0);

function backward(routing: Routing, v: Float64Array) {
  const gradients = {
    weights: v,
    logits: new Float64Array(logits.length),
    raw: new Float64Array(logits.length),
    expertScale: new Float64Array(12),
  };
  routeBackward(routing, gradients);
  return gradients;
}

const expectClose = (got: ArrayLike<number>, wanted: Float64Array) =>
  wanted.forEach((value, i) => {
    expect(got[i], `${i}`).to.be.closeTo(value, 2e-8);
  });

describe("routeBackward", () => {
  const differentiable = combinations.filter(({ normalisation }) => normalisation !== "straight-through");
  for (const settings of differentiable) {
    it(`is the derivative by logits, expert scales and the noise's projection: ${nameOf(settings)}`, () => {
      for (const renormalise of [undefined, true, false]) {
        const limits = renormalise === undefined ? {} : { capacity: { ...capacity, renormalise } };
        const routing = routed({ ...settings, expertScale, ...limits });
        const v = directions(routing.assignment.weights.length);
        const got = backward(routing, v);
        expectClose(
          got.logits,
          numericalGradient((x) => weighted(weightsAgain(routing, x), v), logits),
        );
        const byScale = (scale: Float64Array) => weighted(weightsAgain(routing, logits, raw, scale), v);
        expectClose(got.expertScale, numericalGradient(byScale, expertScale));
        if (routing.noise === undefined) continue;
        expectClose(
          got.raw,
          numericalGradient((r) => weighted(weightsAgain(routing, logits, r), v), raw),
        );
      }
    });
  }

  it("of straight-through weights is that of the scores themselves, though the weights do not move", () => {
    for (const settings of combinations.filter(({ normalisation }) => normalisation === "straight-through")) {
      const routing = routed({ ...settings, expertScale });
      const v = directions(routing.assignment.weights.length);
      const scores = { ...routing, settings: { ...routing.settings, normalisation: "none" as const } };
      expect(backward(routing, v).logits).to.deep.equal(backward(scores, v).logits);
      expectClose(
        weightsAgain(routing, logits),
        Float64Array.from(
          weightsAgain(
            routing,
            logits.map((x) => x + 0.01),
          ),
        ),
      );
    }
  });

  it("of relu routing is the derivative of the whole rule: experts come in with weight 0, so the choice needs no holding", () => {
    const settings = { selection: "relu", scoreFunction: "relu", normalisation: "none", scale: 1 } as const;
    // By expert, not by slot: experts that come in move the others' slots.
    const v = normalLogits(tokens, 12, "v");
    const whole = (x: Float64Array) => {
      const { assignment } = routed(settings, x);
      return assignment.experts.reduce((all, expert, slot) => {
        const token = Math.floor(slot / assignment.slots);
        return expert === NO_EXPERT ? all : all + v[token * 12 + expert]! * assignment.weights[slot]!;
      }, 0);
    };
    const routing = routed(settings);
    const { slots } = routing.assignment;
    const byWeight = Float64Array.from(routing.assignment.experts, (expert, slot) =>
      expert === NO_EXPERT ? 0 : v[Math.floor(slot / slots) * 12 + expert]!,
    );
    expectClose(backward(routing, byWeight).logits, numericalGradient(whole, logits));
    const crossing = logits.map((x) => (x > 0 ? 1e-12 : x));
    expect(Math.abs(whole(crossing) - whole(crossing.map((x) => (x > 0 ? -1e-12 : x))))).to.be.below(1e-10);
  });

  it("of one weight that is always 1 is zero", () => {
    const routing = newRouting(
      normalLogits(2, 6),
      { experts: 6, topK: 1, groups: 1 },
      {
        selection: "topk",
        scoreFunction: "softmax",
        normalisation: "chosen",
        scale: 1,
      },
    );
    route(routing);
    const gradient = new Float64Array(12).fill(1);
    routeBackward(routing, { weights: Float64Array.of(3, -2), logits: gradient });
    for (const value of gradient) expect(value).to.be.closeTo(0, 1e-15);
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
    const routing = newRouting(flat, smallShape, { ...settings, options: { noise: "learned", scale: 0.01 } }, flat);
    route(routing, facts());
    const wanted = Math.log(2) + 0.01;
    expect(spread(routing).deviation).to.be.closeTo(wanted, (4 * wanted) / Math.sqrt(2 * flat.length));
  });

  it("is absent when nothing is learned", () => {
    const routing = newRouting(logits, smallShape, settings, raw);
    route(routing, { training: false });
    expect(routing.logits).to.deep.equal(logits);
    const plain = newRouting(logits, smallShape, { ...settings, selection: "topk" });
    route(plain);
    expect(routing.assignment.experts).to.deep.equal(plain.assignment.experts);
  });
});

describe("GShard's second expert", () => {
  const shape = { experts: 4, topK: 2, groups: 1 };
  const many = 20000;
  const shares = [0.5, 0.2, 0.2, 0.1]; // softmax scores; of equal ones the lower id is second
  const x = Float64Array.from({ length: many * 4 }, (_, i) => Math.log(shares[i % 4]!));
  const seconds = (second: string) => {
    const routing = newRouting(x, shape, {
      selection: "gshard-top2",
      options: { second },
      scoreFunction: "softmax",
      normalisation: "chosen",
      scale: 1,
    });
    route(routing, facts());
    const taken = new Map<number, number>();
    for (let t = 0; t < many; t++) {
      expect(routing.assignment.experts[2 * t]).to.equal(0);
      const expert = routing.assignment.experts[2 * t + 1]!;
      taken.set(expert, (taken.get(expert) ?? 0) + 1 / many);
    }
    return taken;
  };
  const error = (p: number) => 4 * Math.sqrt((p * (1 - p)) / many);

  it("is taken with probability 2 g₂, g₂ its share of the two: 4/7", () => {
    expect(seconds("random").get(1)).to.be.closeTo(4 / 7, error(4 / 7));
  });

  it("is taken with probability 2 p₂ of its score as it is: 0.4", () => {
    expect(seconds("random-raw").get(1)).to.be.closeTo(0.4, error(0.4));
  });

  it("sampled, is each of the others in proportion to its score: 2/5, 2/5, 1/5", () => {
    const taken = seconds("sampled");
    for (const [expert, p] of [
      [1, 0.4],
      [2, 0.4],
      [3, 0.2],
    ] as const) {
      expect(taken.get(expert)).to.be.closeTo(p, error(p));
    }
  });

  it("refused, leaves the first its own share of the two, 5/7; all of the weight where sums go over those that are left", () => {
    for (const [renormalise, left] of [
      [undefined, 5 / 7],
      [false, 5 / 7],
      [true, 1],
    ] as const) {
      const room = { ...capacity, rule: "fixed", factor: many, order: "choice" } as const;
      const routing = newRouting(x, shape, {
        selection: "gshard-top2",
        options: { second: "random" },
        scoreFunction: "softmax",
        normalisation: "chosen",
        scale: 1,
        ...(renormalise !== undefined && { capacity: { ...room, renormalise } }),
      });
      route(routing, facts());
      const { experts, weights } = routing.assignment;
      for (let t = 0; t < many; t++) {
        const isAlone = experts[2 * t + 1] === NO_EXPERT;
        expect(weights[2 * t]).to.be.closeTo(isAlone ? left : 5 / 7, 1e-12);
      }
    }
  });

  it("is always the second best otherwise", () => {
    expect(seconds("all").get(1)).to.be.closeTo(1, 1e-9);
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
