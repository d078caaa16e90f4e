import { expect } from "chai";
import fc from "fast-check";
import { type LoadMetric, type LoadMetricName, loadMetrics } from "../../src/metrics/metrics.ts";

/** Four experts, top-1: by hand from the definitions. */
const unequal = [4, 0, 2, 2];
const batch = { tokens: 8, topK: 1 };

interface Values {
  /** of [4, 0, 2, 2] */
  readonly unequal: number;
  /** of equal loads */
  readonly best: number;
  /** of a single one, where it differs */
  readonly single?: number;
  /** of everything on one of 4 */
  readonly worst: number;
  /** of no load at all, from 8 tokens */
  readonly nothing: number;
}

const byHand: Record<LoadMetricName, Values> = {
  "imbalance-score": { unequal: 4 / 8, best: 0, worst: 1, nothing: 0 },
  "max-over-mean": { unequal: 2, best: 1, worst: 4, nothing: Number.NaN },
  "max-violation": { unequal: 1, best: 0, worst: 3, nothing: Number.NaN },
  "mean-over-max": { unequal: 1 / 2, best: 1, worst: 1 / 4, nothing: Number.NaN },
  "coefficient-of-variation": { unequal: Math.SQRT1_2, best: 0, worst: Math.sqrt(3), nothing: Number.NaN },
  "squared-variation": { unequal: 1 / 2, best: 0, worst: 3, nothing: Number.NaN },
  "squared-variation-unbiased": { unequal: 2 / 3, best: 0, worst: 4, nothing: 0 },
  gini: { unequal: 3 / 8, best: 0, worst: 3 / 4, nothing: Number.NaN },
  "normalised-entropy": { unequal: 3 / 4, best: 1, worst: 0, nothing: Number.NaN },
  "effective-number": { unequal: 2 * Math.SQRT2, best: 4, single: 1, worst: 1, nothing: Number.NaN },
  "dead-fraction": { unequal: 1 / 4, best: 0, worst: 3 / 4, nothing: 1 },
  "percentile-50": { unequal: 1, best: 1, worst: 0, nothing: Number.NaN },
  "percentile-95": { unequal: 1.85, best: 1, worst: 3.4, nothing: Number.NaN },
  "percentile-99": { unequal: 1.97, best: 1, worst: 3.88, nothing: Number.NaN },
};

const metrics = Object.entries<LoadMetric>(loadMetrics) as [LoadMetricName, LoadMetric][];

/** At least one assignment; as many tokens as assignments. */
const loads = fc
  .array(fc.integer({ min: 0, max: 50 }), { minLength: 2, maxLength: 20 })
  .filter((load) => load.some((value) => value > 0));
const tokensOf = (load: readonly number[]) => ({ tokens: load.reduce((a, b) => a + b), topK: 1 });

for (const [name, metric] of metrics) {
  describe(`load metric ${name}`, () => {
    const tolerance = 1e-9;

    it("has the values worked out by hand", () => {
      const values = byHand[name];
      expect(metric.of(unequal, batch)).to.be.closeTo(values.unequal, tolerance);
      expect(metric.of([2, 2, 2, 2], batch)).to.be.closeTo(values.best, tolerance);
      expect(metric.of([0, 8, 0, 0], batch)).to.be.closeTo(values.worst, tolerance);
      expect(metric.of([8], batch), "a single one").to.be.closeTo(values.single ?? values.best, tolerance);
      expect(metric.of([0, 0, 0, 0], batch), "no load").to.deep.equal(values.nothing);
    });

    it("takes typed arrays and does not change them", () => {
      const load = Int32Array.from(unequal);
      expect(metric.of(load, batch)).to.equal(metric.of(unequal, batch));
      expect(Array.from(load)).to.deep.equal(unequal);
    });

    const ordered = metric.ofOneRank ? () => undefined : it;

    ordered("stays between equal load and everything on one", () => {
      fc.assert(
        fc.property(loads, (load) => {
          const context = tokensOf(load);
          const one = load.map((_, i) => (i === 0 ? context.tokens : 0));
          const ends = [
            metric.of(
              load.map(() => context.tokens / load.length),
              context,
            ),
            metric.of(one, context),
          ];
          expect(metric.of(load, context)).to.be.within(Math.min(...ends) - tolerance, Math.max(...ends) + tolerance);
        }),
      );
    });

    it("knows no order and no scale: shuffled or doubled, load and batch together, it is the same", () => {
      fc.assert(
        fc.property(loads, (load) => {
          const context = tokensOf(load);
          const value = metric.of(load, context);
          expect(metric.of([...load].reverse(), context)).to.be.closeTo(value, tolerance);
          const doubled = { ...context, tokens: 2 * context.tokens };
          expect(
            metric.of(
              load.map((each) => 2 * each),
              doubled,
            ),
          ).to.be.closeTo(value, 1e-6); // 1e-10 beside the mean²
        }),
      );
    });

    ordered("never gets worse when the hottest gives an assignment to the coldest", () => {
      fc.assert(
        fc.property(loads, (load) => {
          const hottest = load.indexOf(Math.max(...load));
          const coldest = load.indexOf(Math.min(...load));
          fc.pre(load[hottest]! - load[coldest]! >= 2);
          const after = load.map((each, i) => each - (i === hottest ? 1 : 0) + (i === coldest ? 1 : 0));
          const change = metric.of(after, tokensOf(load)) - metric.of(load, tokensOf(load));
          const worse = metric.direction === "lower is better" ? change : -change;
          expect(worse).to.be.at.most(tolerance);
        }),
      );
    });
  });
}

describe("loadMetrics", () => {
  it("max-violation is max-over-mean less 1, and an imbalance score of 0 is a max-over-mean of 1", () => {
    fc.assert(
      fc.property(loads, (load) => {
        const of = (name: LoadMetricName) => loadMetrics[name].of(load, tokensOf(load));
        expect(of("max-violation")).to.be.closeTo(of("max-over-mean") - 1, 1e-12);
        expect(of("mean-over-max")).to.be.closeTo(1 / of("max-over-mean"), 1e-12);
        expect(of("squared-variation")).to.be.closeTo(of("coefficient-of-variation") ** 2, 1e-12);
        expect(of("effective-number")).to.be.closeTo(load.length ** of("normalised-entropy"), 1e-9);
        expect(of("imbalance-score") === 0).to.equal(Math.abs(of("max-over-mean") - 1) < 1e-12);
      }),
    );
  });

  it("the imbalance score counts by tokens, not by assignments: figure 2a's example, 8 of 24 experts on 4 devices", () => {
    expect(loadMetrics["imbalance-score"].of([0, 4, 2, 2], { tokens: 1, topK: 8 })).to.equal(4);
  });

  it("the Gini coefficient is the mean difference of pairs over twice the mean", () => {
    fc.assert(
      fc.property(loads, (load) => {
        let differences = 0;
        for (const a of load) for (const b of load) differences += Math.abs(a - b);
        const { tokens } = tokensOf(load);
        expect(loadMetrics.gini.of(load, { tokens, topK: 1 })).to.be.closeTo(
          differences / (2 * load.length * tokens),
          1e-12,
        );
      }),
    );
  });

  it("has percentiles that split the ordered loads: p50 is the median, and p95 of 0 … 20 is 19", () => {
    fc.assert(
      fc.property(loads, (load) => {
        const ascending = [...load].sort((a, b) => a - b);
        const half = load.length / 2;
        const median = (ascending[Math.ceil(half) - 1]! + ascending[Math.floor(half)]!) / 2;
        const { tokens } = tokensOf(load);
        expect(loadMetrics["percentile-50"].of(load, { tokens, topK: 1 })).to.be.closeTo(
          (median * load.length) / tokens,
          1e-12,
        );
      }),
    );
    const steps = Array.from({ length: 21 }, (_, i) => i);
    expect(loadMetrics["percentile-95"].of(steps, batch)).to.be.closeTo(19 / 10, 1e-15);
    expect(loadMetrics["percentile-99"].of(steps, batch)).to.be.closeTo(19.8 / 10, 1e-15);
  });
});
