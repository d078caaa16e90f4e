/** What single routers choose, against the obvious way to choose it. */

import { expect } from "chai";
import fc from "fast-check";
import { routers } from "../../src/routing/routers.ts";
import { megatronSinkhorn, sinkhorn } from "../../src/routing/sinkhorn.ts";
import { batchOf, bestOf, distinct, entries, range, select, sorted, TOKENS, tied } from "./router-batches.ts";
import { normalLogits } from "./small-batch.ts";

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

describe("sinkhorn", () => {
  const entry = entries.find(({ name }) => name === "sinkhorn")!;
  const shape = { experts: 4, topK: 1, groups: 1 };
  const spread = (deviation: number) => normalLogits(8, 4, "sinkhorn").map((x) => deviation * x);

  it("comes to an end where the scaling would not settle for 100,000 passes", () => {
    const logits = spread(12);
    const { iterations } = sinkhorn(logits, 4, { ...megatronSinkhorn, passes: 100_000 });
    expect(iterations).to.equal(100_000);
    const { matrix } = sinkhorn(logits, 4, { ...megatronSinkhorn, passes: 1000 });
    const wanted = range(0, 8).map((t) => bestOf(matrix.subarray(4 * t, 4 * t + 4), range(0, 4), 1));
    expect(select(entry, { shape, options: {}, scores: logits })).to.deep.equal(wanted);
  });
});
