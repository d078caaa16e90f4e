/** Every router keeps its promises; the table decides what is tested. */

import { expect } from "chai";
import fc from "fast-check";
import { randomStream } from "../../src/core/random.ts";
import { emptyAssignment } from "../../src/routing/assignment.ts";
import { newRouting, route, slotsOf } from "../../src/routing/route.ts";
import type { Router, RouterPromises } from "../../src/routing/router.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { nameOf } from "./option-values.ts";
import {
  type Batch,
  batchOf,
  distinct,
  type Entry,
  entries,
  permutation,
  range,
  rowsOf,
  select,
  shapesOf,
  sorted,
  TOKENS,
  tied,
} from "./router-batches.ts";

for (const entry of entries) {
  const { name, router, options } = entry;
  const { promises } = router;
  const if_ = (promise: boolean | undefined) => (promise === true ? it : () => undefined);
  const holds = (scores: (length: number) => fc.Arbitrary<Float64Array>, check: (batch: Required<Batch>) => void) =>
    fc.assert(fc.property(batchOf(entry, scores), check), { numRuns: 60 });

  describe(`router ${name}${nameOf(options)}`, () => {
    it("gives experts that exist, and no token one twice", () => {
      holds(tied, (batch) => {
        for (const row of select(entry, batch)) {
          expect(new Set(row).size).to.equal(row.length);
          for (const expert of row) expect(expert).to.be.within(0, batch.shape.experts - 1);
        }
      });
    });

    it("stays within its slots and the most assignments that it names", () => {
      holds(tied, (batch) => {
        const rows = select(entry, batch);
        const slots = router.slots?.(batch.shape) ?? batch.shape.topK;
        const most = router.mostAssignments?.(TOKENS, batch.shape, batch.options as never) ?? TOKENS * slots;
        expect(rows.flat().length).to.be.at.most(most);
        for (const row of rows) expect(row.length).to.be.at.most(slots);
      });
    });

    if_(promises.takesK)("gives every token K experts", () => {
      holds(tied, (batch) => {
        for (const row of select(entry, batch)) expect(row).to.have.length(batch.shape.topK);
      });
    });

    if_(promises.perGroup)("gives every token K/M experts of every group", () => {
      holds(tied, (batch) => {
        const { experts, groups, topK } = batch.shape;
        for (const row of select(entry, batch)) {
          const load = new Array<number>(groups).fill(0);
          for (const expert of row) load[Math.floor((expert * groups) / experts)]!++;
          expect(load).to.deep.equal(new Array<number>(groups).fill(topK / groups));
        }
      });
    });

    if_(promises.byScore)("of equal scores in one group takes the lower ids", () => {
      holds(tied, (batch) => {
        const { shape, scores } = batch;
        const size = shape.experts / shape.groups;
        select(entry, batch).forEach((row, t) => {
          const score = (expert: number) => scores[t * shape.experts + expert];
          for (const expert of row) {
            const passedOver = range(expert - (expert % size), expert).filter((lower) => !row.includes(lower));
            for (const lower of passedOver) expect(score(lower)).not.to.equal(score(expert));
          }
        });
      });
    });

    if_(promises.byScore)("with a bias chooses as if the scores were the biased ones", () => {
      holds(tied, (batch) => {
        const bias = Float64Array.from({ length: batch.shape.experts }, (_, i) => (i * 7) % 4);
        const biased = { ...batch, scores: batch.scores.map((score, at) => score + bias[at % bias.length]!) };
        expect(select(entry, batch, { bias })).to.deep.equal(select(entry, biased));
      });
    });

    if_(promises.equivariant)(
      "follows the experts when they are renumbered in the groups, and the groups themselves",
      () => {
        const renumberings = batchOf(entry, distinct).chain((batch) =>
          fc.record({
            batch: fc.constant(batch),
            groupOrder: permutation(batch.shape.groups),
            order: permutation(batch.shape.experts / batch.shape.groups),
          }),
        );
        const property = fc.property(renumberings, ({ batch, groupOrder, order }) => {
          const { experts } = batch.shape;
          const size = order.length;
          const renumbered = (expert: number) => groupOrder[Math.floor(expert / size)]! * size + order[expert % size]!;
          const moved = new Float64Array(batch.scores.length);
          batch.scores.forEach((score, at) => {
            moved[at - (at % experts) + renumbered(at % experts)] = score;
          });
          const before = select(entry, batch).map((row) => sorted(row.map(renumbered)));
          expect(select(entry, { ...batch, scores: moved }).map(sorted)).to.deep.equal(before);
        });
        fc.assert(property, { numRuns: 60 });
      },
    );

    if_(promises.perToken && promises.stochastic !== true)(
      "treats every token by itself: alone it gets the same",
      () => {
        holds(tied, (batch) => {
          const whole = select(entry, batch);
          for (let t = 0; t < TOKENS; t++) {
            const { experts } = batch.shape;
            const alone = {
              ...batch,
              scores: batch.scores.slice(t * experts, (t + 1) * experts),
              ids: [batch.ids[t]!],
            };
            expect(select(entry, alone)[0]).to.deep.equal(whole[t]);
          }
        });
      },
    );

    it("writes the tokens of its range and no others", () => {
      holds(tied, (batch) => {
        const { shape, scores, ids } = batch;
        const choice = emptyAssignment(TOKENS, router.slots?.(shape) ?? shape.topK);
        choice.experts.fill(-7);
        const input = { shape, options: batch.options, scores, first: 2, last: 4, tokenIds: ids, domains: ids };
        router.select({ ...input, random: randomStream(1, "select") } as never, choice);
        choice.experts.forEach((expert, slot) => {
          const token = Math.floor(slot / choice.slots);
          if (token >= 2 && token < 4) expect(expert).not.to.equal(-7);
          else expect(expert).to.equal(-7);
        });
      });
    });

    it(
      promises.stochastic === true
        ? "draws: the same seed gives the same answer, another seed another"
        : "draws nothing: another seed gives the same answer",
      () => {
        const sizes = [2, 1, 4].map((topK) => ({ experts: 16, topK, groups: topK }));
        const shape = sizes.find((each) => router.contradiction(each, { ...options, limit: 1 }) === undefined)!;
        const settings = {
          selection: name,
          options: { ...options, ...("limit" in options && { limit: 1 }) },
          scale: 1,
        };
        const logits = Float64Array.from({ length: 64 * 16 }, (_, i) => Math.sin(i * i));
        const answer = (seed: number) => {
          const raw = new Float64Array(logits.length);
          const complete = { ...settings, scoreFunction: functionsOf(router)[0]!, normalisation: "none" } as const;
          const routing = newRouting(logits, shape, complete, { raw });
          const tokenIds = range(0, 64);
          route(routing, { random: randomStream(seed, "draws"), tokenIds, domains: tokenIds });
          return Array.from(routing.assignment.experts);
        };
        expect(answer(1)).to.deep.equal(answer(1));
        if (draws(promises, options)) expect(answer(2)).not.to.deep.equal(answer(1));
        else expect(answer(2)).to.deep.equal(answer(1));
      },
    );

    it("says what is wrong with more experts a token than there are", () => {
      const shape = { experts: 8, topK: 16, groups: 8 };
      const complaint = router.contradiction(shape, options as never);
      // Where experts or scores decide how many a token gets, K is a mean and may be anything.
      if (router.slots === undefined) expect(complaint).to.match(/16.*\d/);
    });

    for (const scoreFunction of functionsOf(router)) {
      it(`makes no NaN of −∞, huge and equal logits: ${scoreFunction}`, () => noNaN(entry, scoreFunction));
    }
  });
}

/** One option of GShard's draws nothing. */
const draws = (promises: RouterPromises, options: Record<string, unknown>): boolean =>
  promises.stochastic === true && options["second"] !== "all";

function functionsOf({ scoreFunctions: own }: Router): readonly ScoreFunctionName[] {
  return own ?? (Object.keys(scoreFunctions) as ScoreFunctionName[]);
}

/** Rows of extreme logits, whole rows of −∞ among them. */
function noNaN(entry: Entry, scoreFunction: ScoreFunctionName): void {
  const extreme = fc.constantFrom(Number.NEGATIVE_INFINITY, -1e30, -1000, 0, 1, 1000, 1e30);
  const cases = shapesOf(entry).chain(({ shape, options }) =>
    fc.record({
      shape: fc.constant(shape),
      options: fc.constant(options),
      rows: fc.array(fc.oneof(fc.array(extreme, { minLength: shape.experts, maxLength: shape.experts }), extreme), {
        minLength: 3,
        maxLength: 3,
      }),
      normalisation: fc.constantFrom("none", "chosen", "chosen-of-several", "straight-through"),
      factor: fc.constantFrom(undefined, 0.5, 1),
    }),
  );
  const property = fc.property(cases, ({ shape, options, rows, normalisation, factor }) => {
    const logits = Float64Array.from(
      rows.flatMap((row) => (Array.isArray(row) ? row : new Array(shape.experts).fill(row))),
    );
    const capacity = factor === undefined ? undefined : ({ ...plainCapacity, factor } as const);
    const settings = { selection: entry.name, options, scoreFunction, normalisation, scale: 1, capacity } as const;
    const routing = newRouting(logits, shape, settings, { raw: new Float64Array(logits.length) });
    route(routing, { random: randomStream(1, "extreme"), tokenIds: [0, 1, 2], domains: [0, 1, 2] });
    for (const row of rowsOf({ ...routing.assignment, experts: routing.chosen })) {
      expect(new Set(row).size).to.equal(row.length);
      if (entry.router.promises.takesK) expect(row).to.have.length(shape.topK);
      for (const expert of row) expect(expert).to.be.within(0, shape.experts - 1);
    }
    for (const weight of routing.assignment.weights) expect(weight, `${[...logits]}`).not.to.be.NaN;
    expect(routing.assignment.slots).to.equal(slotsOf(settings, shape));
  });
  fc.assert(property, { numRuns: 60 });
}

const plainCapacity = {
  rule: "megatron",
  minimum: 0,
  alignment: 1,
  level: "expert",
  order: "weight",
  priority: "position",
  renormalise: true,
  pad: false,
} as const;
