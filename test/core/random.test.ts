import { expect } from "chai";
import { Random, randomStream } from "../../src/core/random.ts";

/** Pearson's χ² against equal shares, in standard deviations from its mean. */
function chiSquareScore(counts: ArrayLike<number>): number {
  const bins = counts.length;
  let total = 0;
  for (let i = 0; i < bins; i++) total += counts[i]!;
  let chiSquare = 0;
  for (let i = 0; i < bins; i++) chiSquare += (counts[i]! - total / bins) ** 2 / (total / bins);
  return (chiSquare - (bins - 1)) / Math.sqrt(2 * (bins - 1));
}

function correlation(a: Random, b: Random, draws: number): number {
  let sum = 0;
  for (let i = 0; i < draws; i++) sum += (a.uniform() - 0.5) * (b.uniform() - 0.5) * 12;
  return sum / draws;
}

describe("Random", () => {
  it("is xoshiro128++: the first ten words from state 1, 2, 3, 4 are those of the reference implementation", () => {
    const random = new Random(1, 2, 3, 4);
    const words = Array.from({ length: 10 }, () => random.uint32());
    expect(words).to.deep.equal([
      641, 1573767, 3222811527, 3517856514, 836907274, 4247214768, 3867114732, 1355841295, 495546011, 621204420,
    ]);
  });

  for (const [what, bin] of [
    ["highest", (word: number) => word >>> 24],
    ["lowest", (word: number) => word & 255],
  ] as const) {
    it(`is uniform in its ${what} eight bits`, () => {
      const random = randomStream(1, "uniformity");
      const counts = new Int32Array(256);
      for (let i = 0; i < 1 << 18; i++) counts[bin(random.uint32())]!++;
      expect(Math.abs(chiSquareScore(counts))).to.be.below(4);
    });
  }

  it("uniform numbers have mean 1/2, variance 1/12 and stay in [0, 1)", () => {
    const random = randomStream(2, "moments");
    const draws = 200_000;
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < draws; i++) {
      const x = random.uniform();
      if (!(x >= 0 && x < 1)) expect.fail(`${x} is outside [0, 1)`);
      sum += x;
      squares += (x - 0.5) ** 2;
    }
    expect(sum / draws).to.be.closeTo(0.5, 4 * Math.sqrt(1 / 12 / draws));
    expect(squares / draws).to.be.closeTo(1 / 12, 4 * Math.sqrt(1 / 180 / draws));
  });

  for (const bound of [1, 2, 6, 64, 1000]) {
    it(`below(${bound}) draws every number equally often`, () => {
      const random = randomStream(3, "below", bound);
      const counts = new Int32Array(bound);
      for (let i = 0; i < 200 * bound + 10_000; i++) counts[random.below(bound)]!++;
      if (bound > 1) expect(Math.abs(chiSquareScore(counts))).to.be.below(4);
      else expect(counts[0]).to.equal(10_200);
    });
  }

  it("below has no bias where a plain remainder would double the low third", () => {
    const random = randomStream(4, "below, large");
    const third = 2 ** 30;
    const counts = new Int32Array(3);
    for (let i = 0; i < 30_000; i++) counts[Math.floor(random.below(3 * third) / third)]!++;
    expect(Math.abs(chiSquareScore(counts))).to.be.below(4);
  });

  it("Gaussian numbers have the moments and the tails of the normal distribution", () => {
    const random = randomStream(5, "gaussian");
    const draws = 200_000;
    const moments = [0, 0, 0, 0, 0];
    let outside = 0;
    for (let i = 0; i < draws; i++) {
      const x = random.gaussian();
      for (let power = 1; power <= 4; power++) moments[power]! += x ** power / draws;
      if (Math.abs(x) > 1.959963984540054) outside++;
    }
    const error = 4 / Math.sqrt(draws);
    expect(moments[1]).to.be.closeTo(0, error);
    expect(moments[2]).to.be.closeTo(1, error * Math.sqrt(2));
    expect(moments[3]).to.be.closeTo(0, error * Math.sqrt(15));
    expect(moments[4]).to.be.closeTo(3, error * Math.sqrt(96));
    expect(outside / draws).to.be.closeTo(0.05, error * Math.sqrt(0.05 * 0.95));
  });
});

describe("randomStream", () => {
  const words = (random: Random) => Array.from({ length: 4 }, () => random.uint32());

  it("gives the same draws for the same name", () => {
    expect(words(randomStream(1, "batches", 42))).to.deep.equal(words(randomStream(1, "batches", 42)));
  });

  it("gives other draws for another seed, purpose or step, and does not run the parts of a name together", () => {
    const names: (string | number)[][] = [["a"], ["b"], ["a", 1], ["a", 2], ["a", 12], ["a", 1, 2]];
    const firsts = names.flatMap((name) => [1, 2, "1x"].map((seed) => words(randomStream(seed, ...name)).join()));
    expect(new Set(firsts).size).to.equal(firsts.length);
  });

  it("gives streams that do not correlate, for neighbouring seeds, purposes and steps", () => {
    const draws = 100_000;
    const pairs = [
      [randomStream(1, "a"), randomStream(2, "a")],
      [randomStream(1, "a"), randomStream(1, "b")],
      [randomStream(1, "a", 1), randomStream(1, "a", 2)],
    ] as const;
    for (const [a, b] of pairs) expect(Math.abs(correlation(a, b, draws))).to.be.below(4 / Math.sqrt(draws));
    expect(correlation(randomStream(1, "a"), randomStream(1, "a"), draws)).to.be.closeTo(1, 0.02);
  });
});
