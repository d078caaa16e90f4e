import { expect } from "chai";
import fc from "fast-check";
import { assignmentMetrics, measureAssignment } from "../../src/metrics/assignment-metrics.ts";
import { type Assignment, NO_EXPERT } from "../../src/routing/assignment.ts";

const { "fan-out": fanOut, "gate-mass": gateMass } = assignmentMetrics;

/** Every slot of the same weight. */
function assign(slots: number, experts: readonly number[], weight = 1): Assignment {
  const weights = new Float64Array(experts.length).fill(weight);
  return { tokens: experts.length / slots, slots, experts: Int32Array.from(experts), weights };
}

describe("fan-out", () => {
  const deviceOf = Int32Array.of(0, 0, 1, 1, 2, 2);

  it("counts the distinct devices of each token: 1, 2 and 3 make 2 on average", () => {
    expect(fanOut.of(assign(3, [0, 1, 0, 2, 3, 1, 1, 3, 5]), { deviceOf })).to.equal((1 + 2 + 3) / 3);
  });

  it("is 1 on one device and K when no two experts share one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 9 }), (topK, tokens) => {
        const assignment = assign(
          topK,
          Array.from({ length: tokens * topK }, (_, j) => j % topK),
        );
        const apart = Int32Array.from({ length: topK }, (_, i) => i);
        expect(fanOut.of(assignment, { deviceOf: new Int32Array(topK) })).to.equal(1);
        expect(fanOut.of(assignment, { deviceOf: apart })).to.equal(topK);
      }),
    );
  });

  it("goes nowhere for an empty slot", () => {
    const none = NO_EXPERT;
    expect(fanOut.of(assign(3, [none, 1, none, none, none, none, 0, none, 5]), { deviceOf })).to.equal((1 + 0 + 2) / 3);
  });
});

describe("gate mass", () => {
  const deviceOf = Int32Array.of(0);

  it("is the mean sum of weights of a token", () => {
    const assignment = { ...assign(2, [0, 0, 0, 0]), weights: Float64Array.of(0.5, 0.25, 0.125, 0.125) };
    expect(gateMass.of(assignment, { deviceOf })).to.equal(0.5);
  });

  it("does not weigh an empty slot, whatever was left there", () => {
    expect(gateMass.of(assign(2, [0, NO_EXPERT, NO_EXPERT, NO_EXPERT], 0.25), { deviceOf })).to.equal(0.125);
  });
});

describe("measureAssignment", () => {
  it("gives every metric of the table by its name", () => {
    const assignment = { ...assign(2, [0, 1, 1, 3]), weights: Float64Array.of(0.5, 0.5, 0.25, 0.25) };
    const values = measureAssignment(assignment, { deviceOf: Int32Array.of(0, 0, 1, 1) });
    expect(values).to.deep.equal({ "fan-out": 1.5, "gate-mass": 0.75 });
  });
});
