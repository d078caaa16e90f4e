import { expect } from "chai";
import { randomStream } from "../../src/core/random.ts";
import { bootstrap, difference, estimate } from "../../src/experiment/rows.ts";

describe("estimates over rows", () => {
  const rows = [1, 2, 3].flatMap((seed) => [
    { variant: "a", seed, loss: 2 + seed },
    { variant: "b", seed, loss: 2 + seed + 0.1 * seed },
  ]);

  it("take differences by pairs of the same seed", () => {
    const { mean, low, high, count } = difference(rows, "loss", { variant: "b" }, { variant: "a" });
    expect(mean).to.be.closeTo(0.2, 1e-12);
    expect(count).to.equal(3);
    expect(low).to.be.at.least(0.1 - 1e-12);
    expect(high).to.be.at.most(0.3 + 1e-12);
  });

  it("refuse to say anything about nothing", () => {
    expect(() => estimate(rows, "loss", { variant: "c" })).to.throw(/no loss where/);
    expect(() => difference(rows, "loss", { variant: "a" }, { variant: "c" })).to.throw(/no pairs of loss/);
  });

  it("cover the mean about as often as they say, for samples large enough", () => {
    const random = randomStream("coverage");
    let covered = 0;
    for (let trial = 0; trial < 200; trial++) {
      const { low, high } = bootstrap(Array.from({ length: 40 }, () => 5 + random.gaussian()));
      if (low <= 5 && 5 <= high) covered++;
    }
    expect(covered / 200).to.be.within(0.89, 0.99); // nominal 0.95; the percentile interval is a little narrow
  });

  it("are a point for one value, and the same for the same values", () => {
    expect(bootstrap([3])).to.deep.equal({ mean: 3, low: 3, high: 3, count: 1 });
    expect(bootstrap([1, 2, 5])).to.deep.equal(bootstrap([1, 2, 5]));
  });
});
