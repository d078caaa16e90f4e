import { expect } from "chai";
import fc from "fast-check";
import { randomStream } from "../../src/core/random.ts";
import { emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { newRouting, type RouteFacts, route, slotsOf } from "../../src/routing/route.ts";
import type { Router, RouterPromises, RouterShape } from "../../src/routing/router.ts";
import { type RouterName, routers } from "../../src/routing/routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { choicesOf, nameOf } from "./option-values.ts";

/** A router with values of its knobs. */
interface Entry {
  readonly name: RouterName;
  readonly router: Router;
  readonly options: Record<string, unknown>;
}

const entries: Entry[] = Object.entries<Router>(routers).flatMap(([name, router]) =>
  choicesOf(router.knobs).map((options) => ({ name: name as RouterName, router, options })),
);

/** Sizes of all kinds; those that a router refuses are left out. */
const anyShape = fc
  .record({ groups: fc.integer({ min: 1, max: 5 }), size: fc.integer({ min: 1, max: 7 }), share: fc.nat(1000) })
  .map(({ groups, size, share }) => {
    const experts = groups * size;
    const multiple = groups * (1 + (share % size));
    return { experts, topK: share % 3 === 0 ? 1 + (share % experts) : multiple, groups };
  });

/** Sizes for routers that are defined for few numbers of experts a token. */
const shapesOf = ({
  router,
  options,
}: Entry): fc.Arbitrary<{ shape: RouterShape; options: Record<string, unknown> }> => {
  const few = fc.record({
    groups: fc.constantFrom(1, 2),
    size: fc.integer({ min: 2, max: 6 }),
    topK: fc.constantFrom(1, 2),
  });
  const fewExperts = few.map(({ groups, size, topK }) => ({ experts: groups * size, topK, groups }));
  return fc
    .oneof(anyShape, fewExperts)
    .map((shape) => ({
      shape,
      options: "limit" in options ? { ...options, limit: Math.ceil(shape.groups / 2) } : options,
    }))
    .filter((drawn) => router.contradiction(drawn.shape, drawn.options as never) === undefined);
};

/** Few different values, so that ties are common. */
const tied = (length: number) =>
  fc.array(fc.integer({ min: 0, max: 3 }), { minLength: length, maxLength: length }).map((v) => Float64Array.from(v));

/** All different. */
const distinct = (length: number) =>
  fc
    .shuffledSubarray(
      Array.from({ length }, (_, i) => i),
      { minLength: length, maxLength: length },
    )
    .map((values) => Float64Array.from(values, (v) => Math.sqrt(v + 1)));

const TOKENS = 6;

const batchOf = (entry: Entry, scores: (length: number) => fc.Arbitrary<Float64Array>) =>
  shapesOf(entry).chain(({ shape, options }) =>
    fc.record({
      shape: fc.constant(shape),
      options: fc.constant(options),
      scores: scores(TOKENS * shape.experts),
      ids: fc.array(fc.nat(20), { minLength: TOKENS, maxLength: TOKENS }),
    }),
  );

interface Batch {
  readonly shape: RouterShape;
  readonly options: Record<string, unknown>;
  readonly scores: Float64Array;
  readonly ids?: readonly number[];
}

/** The experts of each token, empty slots left out. */
function select(
  { router }: Entry,
  { shape, options, scores, ids = [] }: Batch,
  facts: RouteFacts & { seed?: number } = {},
) {
  const { seed = 1, ...more } = facts;
  const choice = emptyAssignment(scores.length / shape.experts, router.slots?.(shape) ?? shape.topK);
  const input = { shape, options, scores, first: 0, last: choice.tokens, tokenIds: ids, domains: ids };
  router.select({ ...input, random: randomStream(seed, "select"), ...more } as never, choice);
  return rowsOf(choice);
}

const rowsOf = ({ tokens, slots, experts }: { tokens: number; slots: number; experts: Int32Array }) =>
  Array.from({ length: tokens }, (_, t) =>
    Array.from(experts.subarray(t * slots, (t + 1) * slots)).filter((expert) => expert !== NO_EXPERT),
  );

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const sorted = (row: readonly number[]) => [...row].sort((a, b) => a - b);

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
            groupOrder: distinct(batch.shape.groups),
            order: distinct(batch.shape.experts / batch.shape.groups),
          }),
        );
        const property = fc.property(renumberings, ({ batch, groupOrder, order }) => {
          const { experts } = batch.shape;
          const size = order.length;
          const rank = (values: Float64Array, i: number) => Math.round(values[i]! ** 2) - 1;
          const renumbered = (expert: number) =>
            rank(groupOrder, Math.floor(expert / size)) * size + rank(order, expert % size);
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
          const routing = newRouting(logits, shape, complete, raw);
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
    const routing = newRouting(logits, shape, settings, new Float64Array(logits.length));
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

describe("topk", () => {
  const entry = entries.find(({ name }) => name === "topk")!;

  it("chooses what sorting all scores chooses, best first", () => {
    fc.assert(
      fc.property(batchOf(entry, tied), (batch) => {
        const { experts, topK } = batch.shape;
        const wanted = range(0, TOKENS).map((t) =>
          bestOf(batch.scores.subarray(t * experts, (t + 1) * experts), range(0, experts), topK),
        );
        expect(select(entry, batch)).to.deep.equal(wanted);
      }),
    );
  });
});

/** The obvious way: sort, equal scores by lower id. */
function bestOf(scores: ArrayLike<number>, candidates: number[], count: number): number[] {
  return [...candidates].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count);
}

describe("moge", () => {
  const entry = entries.find(({ name }) => name === "moge")!;
  const topk = entries.find(({ name }) => name === "topk")!;

  it("chooses what sorting each group chooses, K' = K/M of every group, group after group", () => {
    fc.assert(
      fc.property(batchOf(entry, tied), (batch) => {
        const { experts, topK, groups } = batch.shape;
        const size = experts / groups;
        const wanted = range(0, TOKENS).map((t) =>
          range(0, groups).flatMap((g) =>
            bestOf(
              batch.scores.subarray(t * experts, (t + 1) * experts),
              range(g * size, (g + 1) * size),
              topK / groups,
            ),
          ),
        );
        expect(select(entry, batch)).to.deep.equal(wanted);
      }),
    );
  });

  it("counts the group by experts per group, not by K: 24 experts in 4 groups have 6 each", () => {
    const scores = new Float64Array(24);
    for (const best of [5, 7, 17, 19]) scores[best] = 1;
    const shape = { experts: 24, topK: 4, groups: 4 };
    expect(select(entry, { shape, options: {}, scores })).to.deep.equal([[5, 7, 17, 19]]);
  });

  it("is top-k when there is one group", () => {
    fc.assert(
      fc.property(batchOf(entry, tied), (batch) => {
        const one = { ...batch, shape: { ...batch.shape, groups: 1 } };
        expect(select(entry, one)).to.deep.equal(select(topk, one));
      }),
    );
  });

  it("says what is wrong with sizes that do not divide, with the numbers", () => {
    const { moge } = routers;
    expect(moge.contradiction({ experts: 10, topK: 4, groups: 4 }, {})).to.match(/10 experts.*4 groups/);
    expect(moge.contradiction({ experts: 16, topK: 6, groups: 4 }, {})).to.match(/topK 6.*groups 4/);
  });
});

describe("moge-voted", () => {
  const entry = entries.find(({ name }) => name === "moge-voted")!;
  const shape = { experts: 6, topK: 2, groups: 2 };

  it("keeps the V experts of a group with the most votes: who voted for another takes the best that stays", () => {
    const scores = Float64Array.from(
      [
        [9, 1, 2, 7, 1, 1],
        [9, 1, 2, 1, 7, 1],
        [1, 9, 2, 1, 7, 1],
      ].flat(),
    );
    const batch = { shape, options: { voted: 1 }, scores };
    expect(select(entry, batch)).to.deep.equal([
      [0, 4],
      [0, 4],
      [0, 4],
    ]);
    expect(select(entry, { ...batch, options: { voted: 2 } })).to.deep.equal([
      [0, 3],
      [0, 4],
      [1, 4],
    ]);
  });

  it("is plain moge when all experts of a group stay", () => {
    const moge = entries.find(({ name }) => name === "moge")!;
    fc.assert(
      fc.property(batchOf(entry, distinct), (batch) => {
        const all = { ...batch, options: { voted: batch.shape.experts } };
        expect(select(entry, all)).to.deep.equal(select(moge, { ...batch, options: {} }));
      }),
    );
  });
});

describe("expert-choice", () => {
  const entry = entries.find(({ name }) => name === "expert-choice")!;

  it("gives every expert its best tokens, equal ones by position, and so the same load", () => {
    fc.assert(
      fc.property(batchOf(entry, tied), fc.integer({ min: 1, max: TOKENS }), (batch, tokensPerExpert) => {
        const { experts } = batch.shape;
        const rows = select(entry, { ...batch, options: { tokensPerExpert } });
        for (let expert = 0; expert < experts; expert++) {
          const column = range(0, TOKENS).map((t) => batch.scores[t * experts + expert]!);
          const got = range(0, TOKENS).filter((t) => rows[t]!.includes(expert));
          expect(got).to.deep.equal(sorted(bestOf(column, range(0, TOKENS), tokensPerExpert)));
        }
      }),
    );
  });

  it("takes T·K/N tokens an expert unless told otherwise", () => {
    const scores = Float64Array.from({ length: 12 * 8 }, (_, i) => Math.sin(i));
    const rows = select(entry, { shape: { experts: 8, topK: 2, groups: 1 }, options: { tokensPerExpert: 0 }, scores });
    const load = new Array<number>(8).fill(0);
    for (const expert of rows.flat()) load[expert]!++;
    expect(load).to.deep.equal(new Array<number>(8).fill(3));
  });
});

describe("hash", () => {
  const entry = entries.find(({ name, options }) => name === "hash" && options["hash"] === "random")!;
  const shape = { experts: 16, topK: 2, groups: 1 };
  const experts = (ids: number[], salt = 0) =>
    select(entry, { shape, options: { hash: "random", salt }, scores: new Float64Array(16 * ids.length), ids });

  it("depends on the id alone, and another salt is another table", () => {
    const ids = range(0, 64);
    const first = experts(ids);
    const turned = experts([...ids].reverse());
    expect([...turned].reverse()).to.deep.equal(first);
    expect(experts(ids, 1)).not.to.deep.equal(first);
  });

  it("spreads ids over the experts as evenly as chance does: χ² of 4,096 ids within five deviations", () => {
    const load = new Array<number>(16).fill(0);
    for (const row of experts(range(0, 4096))) load[row[0]!]!++;
    const chiSquared = load.reduce((all, each) => all + (each - 256) ** 2 / 256, 0);
    expect(chiSquared).to.be.below(15 + 5 * Math.sqrt(30));
  });
});
