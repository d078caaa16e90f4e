import { expect } from "chai";
import fc from "fast-check";
import {
  type AssignmentMetric,
  type AssignmentMetricName,
  assignmentMetrics,
} from "../../src/metrics/assignment-metrics.ts";
import { coActivation, strongestCompanion, togetherOnDevice } from "../../src/metrics/co-activation.ts";
import { type Assignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { type Batch, batches, expertsOf, isNear, tokensOf } from "./slow-batch.ts";

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

/** The definitions, read literally. */
const slowly: Record<AssignmentMetricName, (batch: Batch) => number> = {
  "fan-out": ({ assignment, deviceOf }) =>
    mean(tokensOf(assignment).map((t) => new Set(expertsOf(assignment, t).map((expert) => deviceOf[expert])).size)),
  copies: ({ assignment }) => mean(tokensOf(assignment).map((t) => expertsOf(assignment, t).length)),
  "gate-mass": ({ assignment: { tokens, weights } }) => total(Array.from(weights)) / tokens,
  "co-activation": ({ assignment, experts }) => {
    const with_ = (...wanted: number[]) =>
      tokensOf(assignment).filter((t) => wanted.every((expert) => expertsOf(assignment, t).includes(expert))).length;
    const all = Array.from({ length: experts }, (_, i) => i);
    const used = all.filter((i) => with_(i) > 0);
    return mean(used.map((i) => Math.max(0, ...all.filter((j) => j !== i).map((j) => with_(i, j) / with_(i)))));
  },
  "same-device-pairs": ({ assignment, deviceOf }) => {
    const pairs = tokensOf(assignment).flatMap((t) => {
      const experts = expertsOf(assignment, t);
      return experts.flatMap((a) => experts.filter((b) => a < b).map((b) => deviceOf[a] === deviceOf[b]));
    });
    return pairs.filter((together) => together).length / pairs.length;
  },
  "temporal-locality": ({ assignment }) => {
    const later = tokensOf(assignment).slice(1);
    const kept = later.map((t) => expertsOf(assignment, t).filter((e) => expertsOf(assignment, t - 1).includes(e)));
    return total(kept.map(({ length }) => length)) / total(later.map((t) => expertsOf(assignment, t).length));
  },
};

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const mean = (values: readonly number[]) => total(values) / values.length;

for (const [name, metric] of Object.entries<AssignmentMetric>(assignmentMetrics)) {
  it(`${name} is what its definition says, whatever the assignment`, () => {
    fc.assert(
      fc.property(batches, (batch) => {
        const value = metric.of(batch.assignment, batch);
        const expected = slowly[name as AssignmentMetricName](batch);
        if (!isNear(value, expected)) expect(value).to.equal(expected);
      }),
    );
  });
  it("is summed up from the counts of pairs", () => {
    const together = Float64Array.from([4, 3, 1, 0, 3, 4, 0, 1, 1, 0, 2, 1, 0, 1, 1, 2]);
    expect(togetherOnDevice(together, [0, 0, 1, 1])).to.be.closeTo(4 / 6, 1e-15); // (3 + 1) of 3 + 1 + 0 + 0 + 1 + 1
    expect(strongestCompanion(together, 4)).to.be.closeTo((3 / 4 + 3 / 4 + 1 / 2 + 1 / 2) / 4, 1e-15);
  });
}

describe("co-activation", () => {
  const context = { deviceOf: new Int32Array(4) };

  it("is 1 when experts come in fixed pairs, though (K−1)/(N−1) is 1/3", () => {
    expect(assignmentMetrics["co-activation"].of(assign(2, [0, 1, 2, 3, 1, 0]), context)).to.equal(1);
  });

  it("is (K−1)/(N−1) when every pair comes equally often", () => {
    const pairs = [0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3];
    expect(assignmentMetrics["co-activation"].of(assign(2, pairs), context)).to.be.closeTo(1 / 3, 1e-15);
  });

  it("has a matrix whose rows off the diagonal sum to K − 1", () => {
    const matrix = coActivation(assign(2, [0, 1, 0, 2, 3, 1]), 4);
    expect(Array.from(matrix.subarray(0, 4))).to.deep.equal([1, 1 / 2, 1 / 2, 0]);
    expect(Array.from(matrix.subarray(4, 8))).to.deep.equal([1 / 2, 1, 0, 1 / 2]);
  });
});

describe("same-device pairs", () => {
  it("are none when every group lies on a device and gives one expert, as Pangu Pro MoE's figure 8 shows", () => {
    const metric = assignmentMetrics["same-device-pairs"];
    expect(metric.of(assign(2, [0, 2, 1, 3, 0, 3]), { deviceOf: Int32Array.of(0, 0, 1, 1) })).to.equal(0);
    expect(metric.of(assign(2, [0, 2, 1, 3, 0, 3]), { deviceOf: Int32Array.of(0, 1, 0, 1) })).to.equal(2 / 3);
  });
});

describe("temporal locality", () => {
  const locality = assignmentMetrics["temporal-locality"];
  const deviceOf = new Int32Array(4);

  it("is 1 when tokens keep their experts and 0 when they never do", () => {
    expect(locality.of(assign(2, [0, 1, 1, 0, 0, 1]), { deviceOf })).to.equal(1);
    expect(locality.of(assign(2, [0, 1, 2, 3, 0, 1]), { deviceOf })).to.equal(0);
  });

  it("does not look across the border of two sequences, where [0 1][0 2 | 0 2][3 1] keeps 1 of 4", () => {
    const assignment = assign(2, [0, 1, 0, 2, 0, 2, 3, 1]);
    expect(locality.of(assignment, { deviceOf, sequenceStarts: [0, 2] })).to.equal(1 / 4);
    expect(locality.of(assignment, { deviceOf })).to.equal((1 + 2 + 0) / 6);
  });
});
