import { expect } from "chai";
import fc from "fast-check";
import { sum } from "../../src/core/statistics.ts";
import { countLoad, emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { type Normalisation, normalisations, weigh } from "../../src/routing/gates.ts";
import {
  newRouting,
  type Routing,
  type RoutingSettings,
  route,
  routeBackward,
  score,
} from "../../src/routing/route.ts";
import { type RouterName, routers } from "../../src/routing/routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { normalLogits, numericalGradient, smallShape as shape } from "./small-batch.ts";

const keys = <K extends string>(table: Record<K, unknown>) => Object.keys(table) as K[];

/** Every combination of the settings. */
const combinations: RoutingSettings[] = keys<RouterName>(routers).flatMap((selection) =>
  keys<ScoreFunctionName>(scoreFunctions).flatMap((scoreFunction) =>
    keys<Normalisation>(normalisations).flatMap((normalisation) =>
      [1, 2.5].map((scale) => ({ selection, scoreFunction, normalisation, scale })),
    ),
  ),
);
const nameOf = ({ selection, scoreFunction, normalisation, scale }: RoutingSettings) =>
  `${selection}, ${scoreFunction}, ${normalisation}, ×${scale}`;

function routed(logits: Float64Array, settings: RoutingSettings, bias?: Float64Array): Routing {
  const routing = newRouting(logits, shape, settings);
  route(routing, bias);
  return routing;
}

const rowOf = ({ assignment: { experts, slots } }: Routing, t: number) =>
  Array.from(experts.subarray(t * slots, (t + 1) * slots));

const tokens = 4;
const logits = normalLogits(tokens, shape.experts);
const v = normalLogits(tokens, shape.topK, "v");

describe("route", () => {
  for (const settings of combinations.filter(({ scale }) => scale === 2.5)) {
    it(`weighs by the settings: ${nameOf(settings)}`, () => {
      const routing = routed(logits, settings);
      for (let t = 0; t < tokens; t++) {
        const row = rowOf(routing, t).map((e) => routing.scores[t * shape.experts + e]!);
        const sum = settings.normalisation === "chosen" ? row.reduce((a, b) => a + b) : 1;
        row.forEach((each, j) => {
          const weight = routing.assignment.weights[t * shape.topK + j];
          expect(weight).to.be.closeTo((settings.scale * each) / sum, 1e-15);
        });
      }
    });
  }

  it("softmax weights over the chosen are the softmax of the chosen logits (Pangu Pro MoE, eq. 2)", () => {
    const routing = routed(logits, {
      selection: "topk",
      scoreFunction: "softmax",
      normalisation: "chosen",
      scale: 1,
    });
    for (let t = 0; t < tokens; t++) {
      const row = rowOf(routing, t).map((e) => Math.exp(logits[t * shape.experts + e]!));
      const sum = row.reduce((a, b) => a + b);
      row.forEach((e, j) => {
        expect(routing.assignment.weights[t * shape.topK + j]).to.be.closeTo(e / sum, 1e-15);
      });
    }
  });

  for (const scoreFunction of keys<ScoreFunctionName>(scoreFunctions)) {
    it(`${scoreFunction} keeps the order of the logits, so choosing by scores is choosing by logits`, () => {
      const routing = routed(logits, { selection: "topk", scoreFunction, normalisation: "none", scale: 1 });
      const byLogits = emptyAssignment(tokens, shape.topK);
      routers.topk.select({ shape, scores: logits, first: 0, last: tokens }, byLogits);
      expect(routing.assignment.experts).to.deep.equal(byLogits.experts);
    });
  }

  it("a bias moves the choice and leaves the scores and the weights of the chosen alone", () => {
    const bias = new Float64Array(shape.experts);
    bias[7] = 100;
    for (const settings of combinations.filter(({ normalisation }) => normalisation === "none")) {
      const plain = routed(logits, settings);
      const biased = routed(logits, settings, bias);
      expect(Array.from(biased.scores)).to.deep.equal(Array.from(plain.scores));
      for (let t = 0; t < tokens; t++) {
        const at = rowOf(biased, t).indexOf(7);
        expect(at, "expert 7 is chosen").to.be.at.least(0);
        const weight = biased.assignment.weights[t * shape.topK + at];
        expect(weight).to.equal(settings.scale * plain.scores[t * shape.experts + 7]!);
      }
    }
  });

  it("a scale for each expert multiplies its weights and moves no choice", () => {
    const expertScale = Float64Array.from({ length: shape.experts }, (_, i) => 1 + i / 8);
    for (const settings of combinations) {
      const { experts, weights } = routed(logits, settings).assignment;
      const scaled = routed(logits, { ...settings, expertScale }).assignment;
      expect(scaled.experts).to.deep.equal(experts);
      expect(scaled.weights).to.deep.equal(weights.map((weight, j) => weight * expertScale[experts[j]!]!));
    }
  });

  it("without an epsilon vanished scores divide to NaN, with it to 0", () => {
    const vanished = new Float64Array(shape.experts).fill(-1000);
    const settings: RoutingSettings = {
      selection: "topk",
      scoreFunction: "sigmoid",
      normalisation: "chosen",
      scale: 1,
    };
    expect(routed(vanished, settings).assignment.weights[0]).to.equal(0);
    expect(routed(vanished, { ...settings, epsilon: 0 }).assignment.weights[0]).to.be.NaN;
  });

  it("makes no NaN of infinite, huge and equal logits, as long as a token has one finite logit", () => {
    const extreme = fc.constantFrom(Number.NEGATIVE_INFINITY, -1e308, -1000, -1, 0, 1, 1000, 1e308);
    const batch = fc
      .array(extreme, { minLength: shape.experts, maxLength: shape.experts })
      .filter((row) => row.some(Number.isFinite))
      .map((row) => Float64Array.from(row));
    fc.assert(
      fc.property(batch, fc.constantFrom(...combinations), (row, settings) => {
        const routing = routed(row, settings);
        const { experts, weights } = routing.assignment;
        expect(new Set(experts).size).to.equal(shape.topK);
        const gradient = new Float64Array(shape.experts);
        routeBackward(routing, { weights: new Float64Array(shape.topK).fill(1), logits: gradient });
        for (const value of [...routing.scores, ...weights, ...gradient]) expect(value).not.to.be.NaN;
      }),
      { numRuns: 300 },
    );
  });

  it("counts a load that adds up to K assignments a token, and adds it to what is there", () => {
    const { assignment } = routed(logits, combinations[0]!);
    const load = new Int32Array(shape.experts).fill(10);
    countLoad(assignment, load);
    expect(load.reduce((a, b) => a + b)).to.equal(10 * shape.experts + tokens * shape.topK);
    for (let expert = 0; expert < shape.experts; expert++) {
      expect(load[expert]! - 10).to.equal(assignment.experts.filter((e) => e === expert).length);
    }
  });
});

/** Takes a token's first choice, another's last, and all of a third's. */
function emptySlots({ assignment: { slots, experts } }: Routing): void {
  experts[0] = NO_EXPERT;
  experts[2 * slots - 1] = NO_EXPERT;
  experts.fill(NO_EXPERT, 2 * slots, 3 * slots);
}

describe("an empty slot", () => {
  it("is not counted", () => {
    const routing = routed(logits, combinations[0]!);
    const load = new Float64Array(shape.experts);
    emptySlots(routing);
    countLoad(routing.assignment, load);
    expect(load.reduce((a, b) => a + b)).to.equal(tokens * shape.topK - 2 - shape.topK);
  });

  it("weighs 0, and the other weights are normalised over the experts that are there", () => {
    for (const settings of combinations) {
      const routing = routed(logits, settings);
      const { experts, weights } = routing.assignment;
      emptySlots(routing);
      weights.fill(Number.NaN);
      weigh(routing);
      experts.forEach((expert, j) => {
        if (expert === NO_EXPERT) expect(weights[j]).to.equal(0);
        else expect(weights[j]).to.be.above(0);
      });
      const mass = sum(weights.subarray(0, shape.topK));
      if (settings.normalisation === "chosen") expect(mass).to.be.closeTo(settings.scale, 1e-15);
    }
  });
});

describe("routeBackward", () => {
  const expertScale = Float64Array.from({ length: shape.experts }, (_, i) => 2 - i / 8);
  /** Σ weight · v of moved logits, the choice held. */
  const weightedSum = (routing: Routing) => (moved: Float64Array) => {
    const again = newRouting(moved, shape, routing.settings);
    again.assignment.experts.set(routing.assignment.experts);
    score(again);
    weigh(again);
    return sum(v.map((each, j) => each * again.assignment.weights[j]!));
  };
  const expectDerivative = (routing: Routing) => {
    const gradient = new Float64Array(logits.length);
    routeBackward(routing, { weights: v, logits: gradient });
    numericalGradient(weightedSum(routing), logits).forEach((wanted, i) => {
      expect(gradient[i]).to.be.closeTo(wanted, 1e-8);
    });
  };

  for (const settings of [...combinations, ...combinations.map((each) => ({ ...each, expertScale }))]) {
    const name = `${nameOf(settings)}${"expertScale" in settings ? ", scaled by expert" : ""}`;
    it(`is the derivative by the logits: ${name}`, () => {
      expectDerivative(routed(logits, settings));
    });
    it(`is the derivative by the logits when slots are empty: ${name}`, () => {
      const routing = routed(logits, settings);
      emptySlots(routing);
      expectDerivative(routing);
    });
  }

  it("of one weight that is always 1 is zero", () => {
    const one = { experts: 6, topK: 1, groups: 1 };
    const routing = newRouting(normalLogits(2, 6), one, {
      selection: "topk",
      scoreFunction: "softmax",
      normalisation: "chosen",
      scale: 1,
    });
    route(routing);
    const gradient = new Float64Array(12).fill(1);
    routeBackward(routing, { weights: Float64Array.of(3, -2), logits: gradient });
    for (const value of gradient) expect(value).to.be.closeTo(0, 1e-15);
  });

  it("tells saturated scores apart by their logits, and vanished ones keep their proportions", () => {
    const shape = { experts: 8, topK: 3, groups: 1 };
    const settings = { selection: "topk", scoreFunction: "softmax", normalisation: "chosen", scale: 1 } as const;
    const far = newRouting(Float32Array.from([0, 1, 2, 3, 4, 5, 120, 119]), shape, settings);
    route(far);
    expect(Array.from(far.assignment.experts)).to.deep.equal([6, 7, 5]);
    const sigmoid = newRouting(Float32Array.from([18, 19, 20, 21, 22, 23, 24, 25]), shape, {
      ...settings,
      scoreFunction: "sigmoid",
    });
    route(sigmoid);
    expect(Array.from(sigmoid.assignment.experts)).to.deep.equal([7, 6, 5]);
    // A bias keeps the two experts that hold all the probability from being chosen.
    const shifted = newRouting(Float64Array.from([0, 1, 2, 3, 4, 5, 160, 159]), shape, settings);
    route(shifted, Float64Array.from([1, 1, 1, 0, 0, 0, -1, -1]));
    expect(Array.from(shifted.assignment.experts).sort()).to.deep.equal([0, 1, 2]);
    const weights = Array.from(shifted.assignment.experts, (expert) => Math.exp(expert) / (1 + Math.E + Math.E ** 2));
    for (const [j, weight] of shifted.assignment.weights.entries()) expect(weight).to.be.closeTo(weights[j]!, 1e-12);
  });
});
