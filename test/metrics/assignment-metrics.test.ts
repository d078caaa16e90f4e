import { expect } from "chai";
import fc from "fast-check";
import { assignmentMetrics, fanOut, gateMass } from "../../src/metrics/assignment-metrics.ts";

describe("fanOut", () => {
  const deviceOf = Int32Array.of(0, 0, 1, 1, 2, 2);

  it("counts the distinct devices of each token: 1, 2 and 3 make 2 on average", () => {
    expect(fanOut(Int32Array.of(0, 1, 0, 2, 3, 1, 1, 3, 5), 3, 3, deviceOf)).to.equal((1 + 2 + 3) / 3);
  });

  it("is 1 on one device and K when no two experts share one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 9 }), (topK, tokens) => {
        const chosen = Int32Array.from({ length: tokens * topK }, (_, j) => j % topK);
        expect(fanOut(chosen, tokens, topK, new Int32Array(topK))).to.equal(1);
        expect(
          fanOut(
            chosen,
            tokens,
            topK,
            Int32Array.from({ length: topK }, (_, i) => i),
          ),
        ).to.equal(topK);
      }),
    );
  });
});

describe("gateMass", () => {
  it("is the mean sum of weights of a token", () => {
    expect(gateMass(Float64Array.of(0.5, 0.25, 0.125, 0.125), 2)).to.equal(0.5);
  });
});

describe("assignmentMetrics", () => {
  it("read what they need from an assignment", () => {
    const assignment = {
      tokens: 2,
      topK: 2,
      chosen: Int32Array.of(0, 1, 1, 3),
      weights: Float64Array.of(0.5, 0.5, 0.25, 0.25),
      deviceOf: Int32Array.of(0, 0, 1, 1),
    };
    expect(assignmentMetrics["fan-out"].of(assignment)).to.equal(1.5);
    expect(assignmentMetrics["gate-mass"].of(assignment)).to.equal(0.75);
  });
});
