import { expect } from "chai";
import {
  balancedTokenProbability,
  expectedFanOut,
  expectedImbalanceScore,
  expectedNormalRange,
} from "../../src/metrics/expected-imbalance.ts";

const figure = { experts: 64, topK: 8, devices: 8 };

/** Every choice of K out of N as device sets, the slow way. */
function everyToken(experts: number, topK: number, devices: number, distinct: boolean): number[][] {
  const device = (expert: number) => Math.floor((expert * devices) / experts);
  const extend = (picks: number[]): number[][] =>
    picks.length === topK
      ? [picks.map(device)]
      : Array.from({ length: experts }, (_, expert) => expert)
          .filter((expert) => !distinct || !picks.includes(expert))
          .flatMap((expert) => extend([...picks, expert]));
  return extend([]);
}

describe("expectedNormalRange", () => {
  it("has the values that quality control tabulates as d2", () => {
    const d2 = { 2: 1.128, 3: 1.693, 4: 2.059, 5: 2.326, 8: 2.847, 10: 3.078, 16: 3.532, 25: 3.931, 30: 4.086 };
    for (const [n, range] of Object.entries(d2)) expect(expectedNormalRange(Number(n))).to.be.closeTo(range, 5.1e-4);
    expect(expectedNormalRange(2)).to.be.closeTo(2 / Math.sqrt(Math.PI), 1e-14);
    expect(expectedNormalRange(3)).to.be.closeTo(3 / Math.sqrt(Math.PI), 1e-14);
    expect(expectedNormalRange(1)).to.be.closeTo(0, 1e-14);
  });
});

describe("expectedImbalanceScore", () => {
  it("is d2 · √(K(N−K)/(D(N−1)T)): 0.671 distinct, 0.712 with replacement for figure 2b", () => {
    expect(expectedImbalanceScore(figure, 16, "distinct")).to.be.closeTo(
      2.847 * Math.sqrt((8 * 56) / (8 * 63 * 16)),
      1e-4,
    );
    expect(expectedImbalanceScore(figure, 16, "with-replacement")).to.be.closeTo(2.847 * Math.sqrt(8 / (8 * 16)), 1e-4);
  });

  it("halves when the batch is four times as large, and is 0 when every expert is taken", () => {
    const at = (tokens: number) => expectedImbalanceScore(figure, tokens, "distinct");
    expect(at(256) / at(64)).to.be.closeTo(0.5, 1e-15);
    expect(expectedImbalanceScore({ ...figure, topK: 64 }, 16, "distinct")).to.equal(0);
  });

  it("is 0 for a single expert, which every token takes", () => {
    const single = { experts: 1, topK: 1, devices: 1 };
    for (const mode of ["distinct", "with-replacement"] as const) {
      expect(expectedImbalanceScore(single, 16, mode)).to.be.closeTo(0, 1e-14);
    }
  });
});

describe("balancedTokenProbability", () => {
  it("is 8^8/C(64,8) = 0.003790 for distinct experts and 8!/8^8 = 0.002403 with replacement", () => {
    expect(balancedTokenProbability(figure, "distinct")).to.be.closeTo(8 ** 8 / 4426165368, 1e-17);
    expect(balancedTokenProbability(figure, "with-replacement")).to.be.closeTo(40320 / 8 ** 8, 1e-17);
    expect(balancedTokenProbability(figure, "distinct").toFixed(6)).to.equal("0.003790");
    expect(balancedTokenProbability(figure, "with-replacement").toFixed(6)).to.equal("0.002403");
  });

  it("is 0 when K does not divide among the devices", () => {
    expect(balancedTokenProbability({ experts: 64, topK: 6, devices: 4 }, "distinct")).to.equal(0);
  });
});

for (const [experts, topK, devices] of [
  [6, 2, 2],
  [6, 3, 3],
  [8, 4, 2],
  [8, 4, 4],
] as const) {
  for (const mode of ["distinct", "with-replacement"] as const) {
    it(`counting every choice of ${topK} of ${experts} on ${devices} devices agrees, ${mode}`, () => {
      const tokens = everyToken(experts, topK, devices, mode === "distinct");
      const balanced = tokens.filter((token) =>
        Array.from({ length: devices }, (_, d) => token.filter((device) => device === d).length).every(
          (n) => n === topK / devices,
        ),
      );
      const visits = tokens.reduce((sum, token) => sum + new Set(token).size, 0);
      const setting = { experts, topK, devices };
      expect(balancedTokenProbability(setting, mode)).to.be.closeTo(balanced.length / tokens.length, 1e-14);
      expect(expectedFanOut(setting, mode)).to.be.closeTo(visits / tokens.length, 1e-13);
    });
  }
}

describe("expectedFanOut", () => {
  it("is 8 · (1 − C(56,8)/C(64,8)) = 5.43 for top-8 of 64 on 8 devices", () => {
    expect(expectedFanOut(figure, "distinct")).to.be.closeTo(8 * (1 - 1420494075 / 4426165368), 1e-13);
    expect(expectedFanOut(figure, "distinct").toFixed(2)).to.equal("5.43");
  });
});
