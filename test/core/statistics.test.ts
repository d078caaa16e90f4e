import { expect } from "chai";
import { mean, sum } from "../../src/core/statistics.ts";

describe("sum and mean", () => {
  it("add up in doubles, in the order of the values", () => {
    expect(sum([1e16, 1, -1e16])).to.equal(0); // 1e16 + 1 rounds to 1e16
    expect(sum([1e16, -1e16, 1])).to.equal(1);
    expect(sum(Float32Array.of(16777216, 1))).to.equal(16777217); // not in singles
    expect(mean([1, 2, 6])).to.equal(3);
  });

  it("of nothing are 0 and NaN", () => {
    expect(sum([])).to.equal(0);
    expect(mean([])).to.be.NaN;
  });
});
