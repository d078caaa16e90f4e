import { expect } from "chai";
import fc from "fast-check";
import { type LoadSeriesMetric, loadSeriesMetrics } from "../../src/metrics/load-series-metrics.ts";
import { loadMetrics } from "../../src/metrics/metrics.ts";

type Name = keyof typeof loadSeriesMetrics;

/** Two loads of the same size that are unequal in opposite ways, and one three times as large that is even. */
const opposite = [
  [3, 1],
  [1, 3],
];
const withLargeEven = [
  [3, 1],
  [6, 6],
];

const byHand: Record<Name, readonly [opposite: number, withLargeEven: number]> = {
  "max-violation-global": [0, 1 / 8],
  "max-violation-batch-mean": [1 / 2, 1 / 4],
  "max-violation-batch-max": [1 / 2, 1 / 2],
  "balancedness-mean-of-ratios": [2 / 3, (2 / 3 + 1) / 2],
  "balancedness-ratio-of-sums": [4 / 6, 8 / 9],
};

const metrics = Object.entries<LoadSeriesMetric>(loadSeriesMetrics) as [Name, LoadSeriesMetric][];
const loads = fc
  .array(fc.integer({ min: 0, max: 20 }), { minLength: 3, maxLength: 3 })
  .filter((load) => load.some((each) => each > 0));
const series = fc.array(loads, { minLength: 1, maxLength: 6 });

for (const [name, metric] of metrics) {
  describe(`load series metric ${name}`, () => {
    it("has the values worked out by hand: the two balancednesses differ when one load is larger", () => {
      expect(metric.of(opposite)).to.be.closeTo(byHand[name][0], 1e-15);
      expect(metric.of(withLargeEven)).to.be.closeTo(byHand[name][1], 1e-15);
    });

    it("leaves out loads without assignments, and is not a number when there are no others", () => {
      expect(metric.of([[0, 0], ...opposite])).to.equal(metric.of(opposite));
      expect(metric.of([[0, 0]])).to.deep.equal(Number.NaN);
      expect(metric.of([])).to.deep.equal(Number.NaN);
    });

    it("of a single load is the load metric", () => {
      const single = name.startsWith("max-violation") ? "max-violation" : "mean-over-max";
      fc.assert(
        fc.property(loads, (load) => {
          expect(metric.of([load])).to.be.closeTo(loadMetrics[single].of(load, { tokens: 1, topK: 1 }), 1e-12);
        }),
      );
    });

    it("does not depend on the order of the loads", () => {
      fc.assert(
        fc.property(series, (each) => {
          expect(metric.of([...each].reverse())).to.be.closeTo(metric.of(each), 1e-12);
        }),
      );
    });
  });
}

describe("MaxVio", () => {
  it("over a validation set is never above the mean of the batches, if these are of one size", () => {
    const even = series.map((each) => each.map((load) => load.map((value) => value / load.reduce((a, b) => a + b))));
    fc.assert(
      fc.property(even, (each) => {
        const batches = loadSeriesMetrics["max-violation-batch-mean"].of(each);
        expect(loadSeriesMetrics["max-violation-global"].of(each)).to.be.at.most(batches + 1e-12);
        expect(batches).to.be.at.most(loadSeriesMetrics["max-violation-batch-max"].of(each) + 1e-12);
      }),
    );
  });
});
