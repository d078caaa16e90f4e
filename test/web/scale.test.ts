import { expect } from "chai";
import fc from "fast-check";
import { extent, linear, tickLabels } from "../../src/web/charts/scale.ts";

/** As a reader takes a label. */
const read = (label: string): number => Number(label.replaceAll(/\s/g, "").replaceAll("−", "-"));

/** Tiny, ordinary and huge, of both signs, and exactly zero. */
const value = fc.oneof(
  fc.constant(0),
  fc
    .double({ min: 1, max: 10, noNaN: true, maxExcluded: true })
    .chain((digits) =>
      fc
        .record({ exponent: fc.integer({ min: -12, max: 12 }), sign: fc.constantFrom(-1, 1) })
        .map(({ exponent, sign }) => sign * digits * 10 ** exponent),
    ),
);

const values = fc.oneof(
  fc.array(value, { maxLength: 5 }),
  value.map((one) => [one]),
  value.map((one) => [one, one, one]),
  fc.tuple(value, fc.double({ min: 0, max: 1e-3, noNaN: true })).map(([one, by]) => [one, one * (1 + by)]),
);

describe("the axes of the page's charts", () => {
  it("have marks that are told apart and mean what they say, of one point, equal, tiny and huge values", () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 2, max: 8 }), (shown, count) => {
        const domain = extent(shown);
        const { ticks } = linear(domain, [0, 100], count);
        const labels = tickLabels(ticks);
        expect(ticks.length, `${domain}`).to.be.above(0);
        expect(new Set(labels).size, labels.join()).to.equal(labels.length);
        expect(ticks.length, `${domain}`).to.be.within(count / 2 - 1, 1.6 * count + 1);
        const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : Math.abs(ticks[0]!);
        for (const [i, label] of labels.entries()) {
          expect(Math.abs(read(label) - ticks[i]!), label).to.be.at.most(1e-5 * step);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("hold every value, none of them outside, and one value in their middle", () => {
    fc.assert(
      fc.property(values, (shown) => {
        const scale = linear(extent(shown), [0, 100]);
        for (const each of shown) expect(scale(each)).to.be.within(-1e-6, 100 + 1e-6);
        const [only] = new Set(shown);
        if (new Set(shown).size === 1 && only !== 0) expect(scale(only!)).to.be.closeTo(50, 1e-6);
      }),
    );
    expect(extent([])).to.deep.equal([0, 1]);
    expect(extent([0, 0])).to.deep.equal([0, 1]);
    expect(extent([Number.NaN, 2, Number.POSITIVE_INFINITY, 4])).to.deep.equal([2, 4]);
  });

  it("write few digits where few do", () => {
    expect(tickLabels([0, 0.5, 1])).to.deep.equal(["0.0", "0.5", "1.0"]);
    expect(linear([0, 1], [0, 100]).ticks).to.deep.equal([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(linear([-0.3, 0.3], [0, 100], 6).ticks).to.deep.equal([-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]);
    expect(linear([0, 44.7], [0, 100], 4).ticks).to.deep.equal([0, 10, 20, 30, 40]);
    expect(tickLabels([0, 20, 40])).to.deep.equal(["0", "20", "40"]);
    expect(tickLabels([5.543, 5.544, 5.545])).to.deep.equal(["5.543", "5.544", "5.545"]);
    expect(tickLabels([0, 5e5, 1e6])).to.deep.equal(["0", "5e5", "1e6"]);
    expect(tickLabels([-2e-7, 0, 2e-7])).to.deep.equal(["−2e−7", "0", "2e−7"]);
  });
});
