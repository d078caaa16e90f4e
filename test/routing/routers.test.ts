import { expect } from "chai";
import fc from "fast-check";
import { type Assignment, emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { moge } from "../../src/routing/moge.ts";
import type { Router, RouterShape } from "../../src/routing/router.ts";
import { routers } from "../../src/routing/routers.ts";
import { topk } from "../../src/routing/topk.ts";

function select(router: Router, scores: Float64Array, shape: RouterShape, bias?: Float64Array): number[][] {
  const assignment = emptyAssignment(scores.length / shape.experts, shape.topK);
  router.select({ shape, scores, bias, first: 0, last: assignment.tokens }, assignment);
  return rowsOf(assignment);
}

const rowsOf = ({ tokens, slots, experts }: Assignment) =>
  Array.from({ length: tokens }, (_, t) => Array.from(experts.subarray(t * slots, (t + 1) * slots)));

/** Sizes that grouped routers take too. */
const shapes = fc
  .record({
    groups: fc.integer({ min: 1, max: 5 }),
    size: fc.integer({ min: 1, max: 7 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ groups, size, share }) => ({
    experts: groups * size,
    topK: groups * (1 + Math.floor(share * (size - 1))),
    groups,
  }));

/** Few different values, so that ties are common. */
const tied = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 3 }), { minLength: length, maxLength: length })
    .map((values) => Float64Array.from(values));
const distinct = (length: number) =>
  fc
    .shuffledSubarray(
      Array.from({ length }, (_, i) => i),
      { minLength: length, maxLength: length },
    )
    .map((values) => Float64Array.from(values, (v) => v / length));
const batch = (scores: (length: number) => fc.Arbitrary<Float64Array>) =>
  shapes.chain((shape) => fc.record({ shape: fc.constant(shape), scores: scores(3 * shape.experts) }));

/** The obvious way: sort, equal scores by lower id. */
function bestOf(scores: ArrayLike<number>, candidates: number[], count: number): number[] {
  return [...candidates].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count);
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

for (const [name, router] of Object.entries<Router>(routers)) {
  const { promises } = router;
  describe(`router ${name}`, () => {
    const promised = (promise: boolean) => (promise ? it : () => undefined);

    promised(promises.distinct)("gives every token K distinct experts that exist", () => {
      fc.assert(
        fc.property(batch(tied), ({ shape, scores }) => {
          expect(router.contradiction(shape)).to.equal(undefined);
          for (const row of select(router, scores, shape)) {
            expect(new Set(row).size).to.equal(shape.topK);
            for (const expert of row) expect(expert).to.be.within(0, shape.experts - 1);
          }
        }),
      );
    });

    promised(promises.byScore)("of equal scores in one group takes the lower ids", () => {
      fc.assert(
        fc.property(batch(tied), ({ shape, scores }) => {
          const size = shape.experts / shape.groups;
          select(router, scores, shape).forEach((row, t) => {
            const score = (expert: number) => scores[t * shape.experts + expert];
            for (const expert of row) {
              const passedOver = range(expert - (expert % size), expert).filter((lower) => !row.includes(lower));
              for (const lower of passedOver) expect(score(lower)).not.to.equal(score(expert));
            }
          });
        }),
      );
    });

    promised(promises.equivariant)(
      "follows the experts when they are renumbered within the groups and the groups among themselves",
      () => {
        const cases = batch(distinct).chain(({ shape, scores }) =>
          fc.record({
            shape: fc.constant(shape),
            scores: fc.constant(scores),
            groupOrder: distinct(shape.groups),
            order: distinct(shape.experts / shape.groups),
          }),
        );
        fc.assert(
          fc.property(cases, ({ shape, scores, groupOrder, order }) => {
            const size = order.length;
            const rank = (values: Float64Array, i: number) => Math.round(values[i]! * values.length);
            const renumbered = (expert: number) =>
              rank(groupOrder, Math.floor(expert / size)) * size + rank(order, expert % size);
            const moved = new Float64Array(scores.length);
            scores.forEach((score, at) => {
              moved[at - (at % shape.experts) + renumbered(at % shape.experts)] = score;
            });
            const before = select(router, scores, shape).map((row) => row.map(renumbered).sort((a, b) => a - b));
            const after = select(router, moved, shape).map((row) => [...row].sort((a, b) => a - b));
            expect(after).to.deep.equal(before);
          }),
        );
      },
    );

    promised(promises.perToken)(
      "treats every token by itself: a part of the batch gives the same choice as the whole",
      () => {
        fc.assert(
          fc.property(batch(tied), ({ shape, scores }) => {
            const whole = select(router, scores, shape);
            const part = emptyAssignment(3, shape.topK);
            router.select({ shape, scores, first: 1, last: 2 }, part);
            const untouched = new Array<number>(shape.topK).fill(NO_EXPERT);
            expect(rowsOf(part)).to.deep.equal([untouched, whole[1], untouched]);
          }),
        );
      },
    );

    promised(promises.byScore)("with a bias chooses as if the scores were the biased ones", () => {
      const cases = batch(tied).chain((drawn) =>
        fc.record({ drawn: fc.constant(drawn), bias: tied(drawn.shape.experts) }),
      );
      fc.assert(
        fc.property(cases, ({ drawn: { shape, scores }, bias }) => {
          const biased = scores.map((score, at) => score + bias[at % shape.experts]!);
          expect(select(router, scores, shape, bias)).to.deep.equal(select(router, biased, shape));
        }),
      );
    });

    it("refuses more experts a token than there are", () => {
      expect(router.contradiction({ experts: 8, topK: 16, groups: 8 })).to.match(/16.*8/);
    });
  });
}

describe("topk", () => {
  it("chooses what sorting all scores chooses, best first", () => {
    fc.assert(
      fc.property(batch(tied), ({ shape, scores }) => {
        const wanted = [0, 1, 2].map((t) =>
          bestOf(scores.subarray(t * shape.experts, (t + 1) * shape.experts), range(0, shape.experts), shape.topK),
        );
        expect(select(topk, scores, shape)).to.deep.equal(wanted);
      }),
    );
  });
});

describe("moge", () => {
  it("chooses what sorting each group chooses, K' = K/M of every group, group after group", () => {
    fc.assert(
      fc.property(batch(tied), ({ shape, scores }) => {
        const { experts, topK, groups } = shape;
        const size = experts / groups;
        const wanted = [0, 1, 2].map((t) =>
          range(0, groups).flatMap((g) =>
            bestOf(scores.subarray(t * experts, (t + 1) * experts), range(g * size, (g + 1) * size), topK / groups),
          ),
        );
        expect(select(moge, scores, shape)).to.deep.equal(wanted);
      }),
    );
  });

  it("counts the group by experts per group, not by K: 24 experts in 4 groups have 6 each", () => {
    const scores = new Float64Array(24);
    for (const best of [5, 7, 17, 19]) scores[best] = 1;
    expect(select(moge, scores, { experts: 24, topK: 4, groups: 4 })).to.deep.equal([[5, 7, 17, 19]]);
  });

  it("is top-k when there is one group", () => {
    fc.assert(
      fc.property(batch(tied), ({ shape, scores }) => {
        const one = { ...shape, groups: 1 };
        expect(select(moge, scores, one)).to.deep.equal(select(topk, scores, one));
      }),
    );
  });

  it("says what is wrong with sizes that do not divide, with the numbers", () => {
    expect(moge.contradiction({ experts: 10, topK: 4, groups: 4 })).to.match(/10 experts.*4 groups/);
    expect(moge.contradiction({ experts: 16, topK: 6, groups: 4 })).to.match(/topK 6.*groups 4/);
    expect(topk.contradiction({ experts: 10, topK: 4, groups: 4 })).to.equal(undefined);
  });
});
