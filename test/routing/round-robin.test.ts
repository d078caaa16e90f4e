import { expect } from "chai";
import { emptyAssignment } from "../../src/routing/assignment.ts";
import { roundRobin, spreadOrder } from "../../src/routing/round-robin.ts";

const divisors = (n: number) => Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);

/** The largest difference between loads of blocks, over all beginnings and all numbers of equal blocks. */
function worstDifference(order: ArrayLike<number>, experts: number): number {
  let worst = 0;
  for (const blocks of divisors(experts)) {
    const load = new Int32Array(blocks);
    for (let n = 0; n < order.length; n++) {
      load[Math.floor((order[n]! * blocks) / experts)]!++;
      worst = Math.max(worst, Math.max(...load) - Math.min(...load));
    }
  }
  return worst;
}

describe("spreadOrder", () => {
  it("is every expert once", () => {
    for (let experts = 1; experts <= 64; experts++) {
      expect(Array.from(spreadOrder(experts)).sort((a, b) => a - b)).to.deep.equal(
        Array.from({ length: experts }, (_, i) => i),
      );
    }
  });

  it("after any number of assignments loads blocks alike: to one for 119 of the N up to 128, to two for the others", () => {
    const differences = Array.from({ length: 128 }, (_, i) => worstDifference(spreadOrder(i + 1), i + 1));
    const notOne = differences.flatMap((each, i) => (each > 1 ? [i + 1] : []));
    expect(notOne).to.deep.equal([60, 65, 85, 90, 105, 115, 119, 120, 126]);
    expect(Math.max(...differences)).to.equal(2);
  });

  it("is the bit-reversed order for powers of two", () => {
    expect(Array.from(spreadOrder(8))).to.deep.equal([0, 4, 2, 6, 1, 5, 3, 7]);
  });
});

describe("round-robin", () => {
  it("stays as balanced over many rounds, and gives no token an expert twice", () => {
    for (const [experts, topK] of [
      [8, 3],
      [12, 5],
      [24, 7],
      [64, 8],
      [60, 60],
    ] as const) {
      const choice = emptyAssignment(50, topK);
      roundRobin.select(
        { shape: { experts, topK, groups: 1 }, scores: new Float64Array(0), options: {}, first: 0, last: 50 },
        choice,
      );
      expect(worstDifference(choice.experts, experts)).to.be.at.most(experts === 60 ? 2 : 1);
      for (let t = 0; t < 50; t++) {
        expect(new Set(choice.experts.subarray(t * topK, (t + 1) * topK)).size).to.equal(topK);
      }
    }
  });

  it("uses all devices with one token, where experts in the order of their numbers would use one of eight", () => {
    const choice = emptyAssignment(1, 8);
    roundRobin.select(
      { shape: { experts: 64, topK: 8, groups: 1 }, scores: new Float64Array(0), options: {}, first: 0, last: 1 },
      choice,
    );
    expect(new Set(choice.experts.map((expert) => Math.floor(expert / 8))).size).to.equal(8);
  });
});
