/** Drops, scores, domains and comparisons: what needs more than one assignment alone. */
import { expect } from "chai";
import fc from "fast-check";
import { type ComparisonMetric, comparisonMetrics } from "../../src/metrics/comparison-metrics.ts";
import { type DomainMetric, domainMetrics, domainShares, domainVariation } from "../../src/metrics/domain-metrics.ts";
import { dropMetrics } from "../../src/metrics/drop-metrics.ts";
import { inspectBatch, measureBatch } from "../../src/metrics/routing-metrics.ts";
import { scoreMetrics } from "../../src/metrics/score-metrics.ts";
import { type Assignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { assignmentTo, expertsOf, isNear, tokensOf } from "./slow-batch.ts";

const none = NO_EXPERT;

function assign(slots: number, experts: readonly number[], weights: readonly number[] = []): Assignment {
  return {
    tokens: experts.length / slots,
    slots,
    experts: Int32Array.from(experts),
    weights: Float64Array.from(experts, (expert, j) => weights[j] ?? (expert === none ? 0 : 1)),
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe("drop metrics", () => {
  const chosen = Int32Array.of(0, 1, 0, 2, none, none);

  it("count what found no room among what was chosen: 2 of 4, and two tokens of three are left without", () => {
    const batch = { assignment: assign(2, [0, 1, none, none, none, none]), chosen };
    expect(dropMetrics["drop-rate"].of(batch)).to.equal(1 / 2);
    expect(dropMetrics["tokens-without-expert"].of(batch)).to.equal(2 / 3);
  });

  it("are 0 where nothing drops, and the rate is not a number where nothing was chosen", () => {
    const full = assign(2, [0, 1, 0, 2]);
    expect(dropMetrics["drop-rate"].of({ assignment: full, chosen: full.experts })).to.equal(0);
    expect(dropMetrics["tokens-without-expert"].of({ assignment: full, chosen: full.experts })).to.equal(0);
    const empty = assign(1, [none]);
    expect(dropMetrics["drop-rate"].of({ assignment: empty, chosen: empty.experts })).to.deep.equal(Number.NaN);
  });
});

describe("score metrics", () => {
  const scores = Float64Array.of(0.5, 0.25, 0.125, 0.125, 1, 1, 1, 1);
  const batch = { scores, choice: assign(2, [0, 2, 3, 1]) };

  it("make probabilities of scores that do not sum to 1", () => {
    expect(scoreMetrics["router-confidence"].of(batch)).to.equal((1 / 2 + 1 / 4) / 2);
    expect(scoreMetrics["chosen-probability"].of(batch)).to.equal((5 / 8 + 1 / 2) / 2);
    expect(scoreMetrics["router-entropy"].of(batch)).to.be.closeTo(((1.75 + 2) / 2) * Math.LN2, 1e-15);
  });

  it("are 1/N, ln N and K/N without preference, and 1, 0 and 1 when all is on one", () => {
    const even = { scores: new Float64Array(10).fill(0.3), choice: assign(3, [0, 1, 2, 4, 3, 2]) };
    const sure = { scores: Float64Array.of(0, 0, 7, 0, 0), choice: assign(1, [2]) };
    expect(scoreMetrics["router-confidence"].of(even)).to.be.closeTo(1 / 5, 1e-15);
    expect(scoreMetrics["router-entropy"].of(even)).to.be.closeTo(Math.log(5), 1e-14);
    expect(scoreMetrics["chosen-probability"].of(even)).to.be.closeTo(3 / 5, 1e-15);
    expect(Object.values(scoreMetrics).map((metric) => metric.of(sure))).to.deep.equal([1, 0, 1]);
  });

  it("pass over tokens whose scores have vanished", () => {
    const half = { scores: Float64Array.of(0, 0, 3, 1), choice: assign(1, [none, 0]) };
    expect(scoreMetrics["router-confidence"].of(half)).to.equal(3 / 4);
    const nothing = { scores: new Float64Array(2), choice: assign(1, [none]) };
    for (const metric of Object.values(scoreMetrics)) expect(metric.of(nothing)).to.deep.equal(Number.NaN);
  });
});

describe("domain metrics", () => {
  it("vary by 0 where all use the experts alike, by 1/2 where two domains have experts of their own", () => {
    expect(
      domainVariation([
        [1, 2, 3, 4],
        [2, 4, 6, 8],
      ]),
    ).to.be.closeTo(0, 1e-15);
    expect(
      domainVariation([
        [5, 5, 0, 0],
        [0, 0, 1, 1],
      ]),
    ).to.equal(0.5);
    expect(
      domainVariation([
        [3, 1],
        [1, 3],
      ]),
    ).to.equal(0.25);
  });

  const of = (choice: Assignment, domains: readonly number[], experts = 4) =>
    Object.values(domainMetrics).map((metric: DomainMetric) => metric.of({ choice, domains, experts }));

  it("see 1 bit, all there is to know, when two equal domains share no expert", () => {
    const [bits, share] = of(assign(2, [0, 1, 1, 0, 2, 3, 3, 2]), [0, 0, 1, 1]);
    expect(bits).to.be.closeTo(1, 1e-15);
    expect(share).to.be.closeTo(1, 1e-15);
  });

  it("see nothing when the domains use the experts alike, and what chance would show beside it", () => {
    const [bits, share, chance] = of(assign(2, [0, 1, 2, 3, 0, 2, 1, 3]), [0, 0, 1, 1]);
    expect(bits).to.be.closeTo(0, 1e-15);
    expect(share).to.be.closeTo(0, 1e-15);
    expect(chance).to.be.closeTo((1 * 3) / (2 * 8 * Math.LN2), 1e-15);
  });

  it("are as worked out by hand for [2 1; 0 1]: 0.3113 bits", () => {
    // q = [[1/2 1/4] [0 1/4]]: ½ log(½ / (¾·½)) + ¼ log(¼ / (¾·½)) + ¼ log(¼ / (¼·½))
    const [bits = 0, share] = of(assign(1, [0, 0, 1, 1]), [0, 0, 0, 1], 2);
    const expected = 0.5 * Math.log2(4 / 3) + 0.25 * Math.log2(2 / 3) + 0.25 * Math.log2(2);
    expect(bits).to.be.closeTo(expected, 1e-15);
    expect(bits.toFixed(4)).to.equal("0.3113");
    expect(share).to.be.closeTo(expected / (0.75 * Math.log2(4 / 3) + 0.25 * 2), 1e-15);
  });

  it("have no share of nothing to know, and no value without assignments", () => {
    expect(of(assign(1, [0, 1]), [0, 0])[1]).to.deep.equal(Number.NaN);
    for (const value of of(assign(1, [none, none]), [0, 1])) expect(value).to.deep.equal(Number.NaN);
  });

  it("stay between 0 and what there is to know", () => {
    const cases = fc.record({
      choice: assignmentTo(4, 6, 2),
      domains: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 6, maxLength: 6 }),
    });
    fc.assert(
      fc.property(cases, ({ choice, domains }) => {
        const [bits, share] = of(choice, domains);
        if (!Number.isNaN(bits)) expect(bits).to.be.within(0, Math.log2(3));
        if (!Number.isNaN(share)) expect(share).to.be.within(0, 1 + 1e-12);
      }),
    );
  });

  it("have a table of the experts of each domain, whose rows sum to K", () => {
    const shares = domainShares({ choice: assign(2, [0, 1, 0, 2, 3, 1]), domains: [0, 0, 1], experts: 4 });
    expect(Array.from(shares)).to.deep.equal([1, 0.5, 0.5, 0, 0, 1, 0, 1]);
  });
});

describe("comparison metrics", () => {
  const metrics = Object.entries<ComparisonMetric>(comparisonMetrics);

  it("find a routing the same as itself", () => {
    const one = assign(2, [0, 1, 3, 2]);
    expect(metrics.map(([, metric]) => metric.of(one, one, 4))).to.deep.equal([1, 1, 1, 0]);
  });

  it("find nothing in common where no expert is", () => {
    expect(metrics.map(([, metric]) => metric.of(assign(2, [0, 1]), assign(2, [3, 2]), 4))).to.deep.equal([0, 0, 0, 1]);
  });

  it("by hand: of 0 1 against 1 2 half is there, a third is common, the heaviest differ, half the load moved", () => {
    const [one, two] = [assign(2, [0, 1], [3, 1]), assign(2, [1, 2], [1, 2])];
    expect(metrics.map(([, metric]) => metric.of(one, two, 4))).to.deep.equal([1 / 2, 1 / 3, 0, 1 / 2]);
  });

  it("agree with sets, also of different numbers of experts", () => {
    const pairs = fc.record({ one: assignmentTo(5, 4, 2), other: assignmentTo(5, 4, 3) });
    fc.assert(
      fc.property(pairs, ({ one, other }) => {
        const sets = tokensOf(one).map((t) => {
          const [a, b] = [expertsOf(one, t), expertsOf(other, t)];
          return { b: b.length, both: a.filter((e) => b.includes(e)).length, either: new Set([...a, ...b]).size };
        });
        const saturation = mean(sets.filter(({ b }) => b > 0).map(({ both, b }) => both / b));
        const overlap = mean(sets.filter(({ either }) => either > 0).map(({ both, either }) => both / either));
        expect(isNear(comparisonMetrics["router-saturation"].of(one, other, 5), saturation)).to.equal(true);
        expect(isNear(comparisonMetrics["routing-overlap"].of(one, other, 5), overlap)).to.equal(true);
      }),
    );
  });
});

describe("what a layer did with a batch", () => {
  const assignment = assign(2, [0, 1, 1, none, 3, 0], [0.5, 0.5, 1, 0, 0.25, 0.75]);
  const batch = { assignment, chosen: Int32Array.of(0, 1, 1, 2, 3, 0), deviceOf: Int32Array.of(0, 0, 1, 1) };

  it("gives every cheap metric by its name", () => {
    expect(measureBatch(batch)).to.deep.equal({
      "fan-out": 4 / 3,
      copies: 5 / 3,
      "gate-mass": 1,
      "co-activation": (1 / 2 + 1 / 2 + 1) / 3,
      "same-device-pairs": 1 / 2,
      "temporal-locality": 1 / 3,
      "drop-rate": 1 / 6,
      "tokens-without-expert": 0,
    });
  });

  it("looks at the scores of the last tokens and at the choice before dropping", () => {
    const scores = Float64Array.of(0, 0.5, 0.5, 0, 0.25, 0, 0, 0.75); // of the last two of three tokens
    const seen = inspectBatch({ ...batch, scores, domains: [0, 0, 1] });
    expect(seen["chosen-probability"]).to.equal(1);
    expect(seen["router-confidence"]).to.equal((0.5 + 0.75) / 2);
    const other = { choice: { tokens: 3, slots: 2, experts: batch.chosen }, experts: 4, domains: [0, 0, 1] };
    expect(seen["domain-information"]).to.equal(domainMetrics["domain-information"].of(other));
  });
});
