import { expect } from "chai";
import { type DispatchMode, layersFor, type ProjectedTraffic, TokenPool } from "../../src/cluster/projection.ts";
import { NO_EXPERT } from "../../src/routing/assignment.ts";
import { contiguous, random, randomChoices, skewedPopularity, uniformPopularity } from "./random-routing.ts";

const [EXPERTS, TOP_K, RANKS, TOKENS_PER_RANK] = [64, 8, 8, 4096];

const target = (dispatch: DispatchMode = "deduplicated", ranks = RANKS) => ({
  ranks,
  tokensPerRank: TOKENS_PER_RANK,
  experts: EXPERTS,
  deviceOf: contiguous(EXPERTS, ranks),
  dispatch,
});

const choices = (slots: number, ...experts: number[]) => ({ slots, experts: Int32Array.from(experts) });

function poolOf(...steps: Int32Array[]): TokenPool {
  const pool = new TokenPool(16, TOP_K);
  for (const experts of steps) pool.add({ slots: TOP_K, experts });
  return pool;
}

const topk = (popularity: number[], tokens = 512) => randomChoices(tokens, popularity, 1, TOP_K, random(3));
const moge = (popularity: number[], tokens = 512) => randomChoices(tokens, popularity, 8, 1, random(3));

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, each) => total + each, 0);
const fanOut = ({ vectors }: ProjectedTraffic) => sum(vectors) / (RANKS * TOKENS_PER_RANK);

function deviceLoad({ expertLoad }: ProjectedTraffic, devices: number): number[] {
  const load = new Array<number>(devices).fill(0);
  expertLoad.forEach((count, expert) => {
    load[Math.floor((expert * devices) / EXPERTS)]! += count;
  });
  return load;
}

describe("projection of a trained router", () => {
  it("keeps each expert's share of the tokens, within five binomial deviations", () => {
    const chosen = topk(skewedPopularity(EXPERTS));
    const { expertLoad } = poolOf(chosen).project(random(), target());
    const draws = RANKS * TOKENS_PER_RANK;
    expect(sum(expertLoad)).to.equal(draws * TOP_K);
    for (let expert = 0; expert < EXPERTS; expert++) {
      const share = chosen.filter((id) => id === expert).length / 512;
      const deviation = Math.sqrt(draws * share * (1 - share));
      expect(Math.abs(expertLoad[expert]! - draws * share), `expert ${expert}`).to.be.at.most(5 * deviation);
    }
  });

  it("has the sampling noise of the target's tokens, not of the pool's", () => {
    // Over repeated draws the load of an expert varies as a binomial of 32768 tokens.
    const pool = poolOf(topk(uniformPopularity(EXPERTS)));
    const source = random();
    const loads = Array.from({ length: 60 }, () => pool.project(source, target()).expertLoad);
    const draws = RANKS * TOKENS_PER_RANK;
    let ratio = 0;
    for (let expert = 0; expert < EXPERTS; expert++) {
      const counts = loads.map((load) => load[expert]!);
      const mean = sum(counts) / counts.length;
      const variance = sum(counts.map((each) => (each - mean) ** 2)) / (counts.length - 1);
      ratio += variance / (mean * (1 - mean / draws)) / EXPERTS;
    }
    expect(ratio).to.be.within(0.9, 1.1); // its own standard deviation is about 0.023
  });

  it("keeps MoGE's device loads exactly equal and its traffic exactly even, however skewed inside the groups", () => {
    const projected = poolOf(moge(skewedPopularity(EXPERTS))).project(random(), target());
    expect(deviceLoad(projected, RANKS)).to.deep.equal(new Array(RANKS).fill(RANKS * TOKENS_PER_RANK));
    expect(Array.from(projected.vectors)).to.deep.equal(new Array(RANKS * RANKS).fill(TOKENS_PER_RANK));
    expect(Math.max(...projected.expertLoad)).to.be.above(1.2 * (sum(projected.expertLoad) / EXPERTS));
  });

  it("loses MoGE's balance on 16 devices, where groups are split", () => {
    const load = deviceLoad(poolOf(moge(skewedPopularity(EXPERTS))).project(random(), target("deduplicated", 16)), 16);
    expect(Math.max(...load) / Math.min(...load)).to.be.above(1.1);
  });

  it("finds the fan-out of uniform top-8 of 64 on 8 devices, 8·(1 − C(56,8)/C(64,8)) = 5.43", () => {
    let missed = 1; // C(56,8)/C(64,8)
    for (let i = 0; i < 8; i++) missed *= (56 - i) / (64 - i);
    const exact = 8 * (1 - missed);
    expect(exact).to.be.closeTo(5.43, 0.005);
    const projected = poolOf(topk(uniformPopularity(EXPERTS), 8192)).project(random(), target());
    expect(fanOut(projected)).to.be.closeTo(exact, 0.05); // deviation of a token 0.85: of the pool's mean 0.01
  });

  it("sends a vector an assignment without deduplication, the loads untouched", () => {
    const pool = poolOf(topk(skewedPopularity(EXPERTS)));
    const once = pool.project(random(), target("deduplicated"));
    const each = pool.project(random(), target("per-assignment"));
    expect(each.expertLoad).to.deep.equal(once.expertLoad);
    expect(fanOut(each)).to.equal(TOP_K);
    for (let device = 0; device < RANKS; device++) {
      const received = sum(each.vectors.filter((_, i) => i % RANKS === device));
      expect(received).to.equal(deviceLoad(each, RANKS)[device]);
      expect(sum(once.vectors.slice(device * RANKS, (device + 1) * RANKS))).to.be.below(TOKENS_PER_RANK * TOP_K);
    }
  });

  it("counts a token once at a device also when its experts there are not neighbours in the list", () => {
    const pool = new TokenPool(1, 4);
    pool.add(choices(4, 0, 3, 1, 2)); // devices 0, 1, 0, 1
    const traffic = pool.project(random(), { ...target(), ranks: 2, experts: 4, deviceOf: contiguous(4, 2) });
    expect(Array.from(traffic.vectors)).to.deep.equal(new Array(4).fill(TOKENS_PER_RANK));
    expect(Array.from(traffic.expertLoad)).to.deep.equal(new Array(4).fill(2 * TOKENS_PER_RANK));
  });

  it("sends nothing for an empty slot and counts it nowhere, also after it was saved", () => {
    const pool = new TokenPool(1, 3);
    pool.add(choices(3, NO_EXPERT, 2, NO_EXPERT));
    const two = { ...target(), ranks: 2, experts: 4, deviceOf: contiguous(4, 2) };
    for (const each of [pool, TokenPool.restore(pool.save())]) {
      const { expertLoad, vectors } = each.project(random(), two);
      expect(Array.from(expertLoad)).to.deep.equal([0, 0, 2 * TOKENS_PER_RANK, 0]);
      expect(Array.from(vectors)).to.deep.equal([0, TOKENS_PER_RANK, 0, TOKENS_PER_RANK]);
    }
  });

  it("tells the highest id of 65,535 experts from an empty slot", () => {
    const pool = new TokenPool(1, 1);
    pool.add(choices(1, 65_534));
    const { expertLoad } = pool.project(random(), {
      ...target(),
      ranks: 1,
      experts: 65_535,
      deviceOf: contiguous(65_535, 1),
    });
    expect(expertLoad[65_534]).to.equal(TOKENS_PER_RANK);
  });

  it("gives the same numbers for the same random stream and others for another", () => {
    const pool = poolOf(topk(uniformPopularity(EXPERTS)));
    expect(pool.project(random(1), target())).to.deep.equal(pool.project(random(1), target()));
    expect(pool.project(random(2), target())).to.not.deep.equal(pool.project(random(1), target()));
  });
});

describe("token pool", () => {
  const token = (expert: number) => choices(1, expert);
  const seen = (pool: TokenPool) => {
    const { expertLoad } = pool.project(random(), { ...target(), ranks: 1, deviceOf: contiguous(EXPERTS, 1) });
    return [...expertLoad.keys()].filter((expert) => expertLoad[expert]! > 0);
  };

  it("draws from the last steps of its window alone, each about equally often", () => {
    const pool = new TokenPool(3, 1);
    for (const expert of [5, 6]) pool.add(token(expert));
    expect(seen(pool)).to.deep.equal([5, 6]);
    for (const expert of [7, 8, 9, 10]) pool.add(token(expert));
    expect(seen(pool)).to.deep.equal([8, 9, 10]);
    const { expertLoad } = pool.project(random(), { ...target(), ranks: 1, deviceOf: contiguous(EXPERTS, 1) });
    for (const expert of [8, 9, 10]) expect(expertLoad[expert]).to.be.closeTo(TOKENS_PER_RANK / 3, 150);
  });

  it("copies what it is given", () => {
    const pool = new TokenPool(2, 1);
    const chosen = choices(1, 4);
    pool.add(chosen);
    chosen.experts[0] = 9;
    expect(seen(pool)).to.deep.equal([4]);
  });

  it("goes on after save and restore as if it had never stopped, before and after the ring is full", () => {
    const batches = [1, 2, 3, 4, 5, 6].map((seed) => ({
      slots: TOP_K,
      experts: randomChoices(20, uniformPopularity(EXPERTS), 1, TOP_K, random(seed)),
    }));
    for (const stop of [0, 1, 2, 3, 4, 5]) {
      const straight = new TokenPool(3, TOP_K);
      for (const batch of batches.slice(0, stop)) straight.add(batch);
      const saved = straight.save();
      const resumed = TokenPool.restore(saved);
      for (const batch of batches.slice(stop)) {
        straight.add(batch); // must not reach into the saved copy
        resumed.add(batch);
      }
      expect(resumed.save(), `stopped after ${stop}`).to.deep.equal(straight.save());
      expect(resumed.project(random(), target())).to.deep.equal(straight.project(random(), target()));
    }
  });

  it("refuses steps of another size, ids that are not whole tokens, and drawing from nothing", () => {
    const pool = new TokenPool(2, 2);
    expect(() => pool.project(random(), target())).to.throw("nothing to draw from; add a step first");
    expect(() => pool.add(choices(2, 1, 2, 3))).to.throw(RangeError, "3 ids a step are not tokens of 2");
    expect(() => pool.add(choices(2))).to.throw(RangeError, "0 ids");
    expect(() => pool.add(choices(1, 1, 2))).to.throw(RangeError, "tokens of 1 slots, not of 2");
    pool.add(choices(2, 1, 2));
    expect(() => pool.add(choices(2, 1, 2, 3, 4))).to.throw(RangeError, "a step of 4 ids after steps of 2");
  });
});

describe("layer that stands for a target layer", () => {
  const map = (target: number, trained: number) =>
    Array.from({ length: target }, (_, j) => layersFor(j, target, trained));

  it("lies at the same fraction of the depth", () => {
    expect(map(4, 4)).to.deep.equal([[0], [1], [2], [3]]);
    expect(map(6, 2)).to.deep.equal([[0], [0], [0], [1], [1], [1]]);
    expect(map(5, 3)).to.deep.equal([[0], [0], [1], [2], [2]]);
  });

  it("is every trained layer of its part of the depth where there are more of those, each once", () => {
    expect(map(1, 3)).to.deep.equal([[0, 1, 2]]);
    expect(map(2, 4)).to.deep.equal([
      [0, 1],
      [2, 3],
    ]);
    expect(map(2, 3)).to.deep.equal([[0], [1, 2]]);
    for (let trained = 1; trained <= 12; trained++) {
      for (let target = 1; target < trained; target++) {
        expect(map(target, trained).flat()).to.deep.equal(Array.from({ length: trained }, (_, layer) => layer));
      }
    }
  });

  it("gives trained layers equal parts of a target that is a multiple of them", () => {
    for (let trained = 1; trained <= 12; trained++) {
      const mapped = map(4 * trained, trained).flat();
      for (let layer = 0; layer < trained; layer++) expect(mapped.filter((each) => each === layer)).to.have.length(4);
    }
  });
});
