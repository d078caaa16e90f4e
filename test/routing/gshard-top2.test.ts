import { expect } from "chai";
import { NO_EXPERT } from "../../src/routing/assignment.ts";
import { newRouting, route } from "../../src/routing/route.ts";
import { capacity, facts } from "./combinations.ts";

describe("GShard's second expert", () => {
  const shape = { experts: 4, topK: 2, groups: 1 };
  const many = 20000;
  const shares = [0.5, 0.2, 0.2, 0.1]; // softmax scores; of equal ones the lower id is second
  const x = Float64Array.from({ length: many * 4 }, (_, i) => Math.log(shares[i % 4]!));
  const seconds = (second: string) => {
    const routing = newRouting(x, shape, {
      selection: "gshard-top2",
      options: { second },
      scoreFunction: "softmax",
      normalisation: "chosen",
      scale: 1,
    });
    route(routing, facts());
    const taken = new Map<number, number>();
    for (let t = 0; t < many; t++) {
      expect(routing.assignment.experts[2 * t]).to.equal(0);
      const expert = routing.assignment.experts[2 * t + 1]!;
      taken.set(expert, (taken.get(expert) ?? 0) + 1 / many);
    }
    return taken;
  };
  const error = (p: number) => 4 * Math.sqrt((p * (1 - p)) / many);

  it("is taken with probability 2 g₂, g₂ its share of the two: 4/7", () => {
    expect(seconds("random").get(1)).to.be.closeTo(4 / 7, error(4 / 7));
  });

  it("is taken with probability 2 p₂ of its score as it is: 0.4", () => {
    expect(seconds("random-raw").get(1)).to.be.closeTo(0.4, error(0.4));
  });

  it("sampled, is each of the others in proportion to its score: 2/5, 2/5, 1/5", () => {
    const taken = seconds("sampled");
    for (const [expert, p] of [
      [1, 0.4],
      [2, 0.4],
      [3, 0.2],
    ] as const) {
      expect(taken.get(expert)).to.be.closeTo(p, error(p));
    }
  });

  it("refused, leaves the first its own share of the two, 5/7; all of the weight where sums go over those that are left", () => {
    for (const [renormalise, left] of [
      [undefined, 5 / 7],
      [false, 5 / 7],
      [true, 1],
    ] as const) {
      const room = { ...capacity, rule: "fixed", factor: many, order: "choice" } as const;
      const routing = newRouting(x, shape, {
        selection: "gshard-top2",
        options: { second: "random" },
        scoreFunction: "softmax",
        normalisation: "chosen",
        scale: 1,
        ...(renormalise !== undefined && { capacity: { ...room, renormalise } }),
      });
      route(routing, facts());
      const { experts, weights } = routing.assignment;
      for (let t = 0; t < many; t++) {
        const isAlone = experts[2 * t + 1] === NO_EXPERT;
        expect(weights[2 * t]).to.be.closeTo(isAlone ? left : 5 / 7, 1e-12);
      }
    }
  });

  it("is always the second best otherwise", () => {
    expect(seconds("all").get(1)).to.be.closeTo(1, 1e-9);
  });
});
