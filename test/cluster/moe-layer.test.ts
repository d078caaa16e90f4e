import { expect } from "chai";
import fc from "fast-check";
import { type Cluster, type LayerTraffic, priceMoeLayer } from "../../src/cluster/moe-layer.ts";
import { clusterOf } from "../../src/cluster/presets.ts";
import { type DispatchMode, TokenPool } from "../../src/cluster/projection.ts";
import { contiguous, random, randomChoices, skewedPopularity, uniformPopularity } from "./random-routing.ts";

const b2 = clusterOf({ device: "ascend-910b2", topology: "a2-8xhccs-roce" });
const ideal = clusterOf({ device: "ideal", topology: "ideal" });
const pangu = { hiddenSize: 5120, expertHiddenSize: 1344, bytesPerValue: 2 };
const small = { hiddenSize: 384, expertHiddenSize: 160, bytesPerValue: 2 };

const noVectors = (devices: number) => new Float64Array(devices * devices);

/** Traffic of loads alone, for what only concerns compute. */
const loads = (devices: number, expertLoad: number[]): LayerTraffic => ({
  expertLoad,
  deviceOf: contiguous(expertLoad.length, devices),
  vectors: noVectors(devices),
});

/** 64 experts on 8 devices, 4096 tokens a rank. */
function projected(chosen: Int32Array, dispatch: DispatchMode = "deduplicated"): LayerTraffic {
  const pool = new TokenPool(1, 8);
  pool.add({ slots: 8, experts: chosen });
  const deviceOf = contiguous(64, 8);
  return { ...pool.project(random(), { ranks: 8, tokensPerRank: 4096, experts: 64, deviceOf, dispatch }), deviceOf };
}

const topk = (popularity: number[]) => randomChoices(4096, popularity, 1, 8, random(5));
const moge = (popularity: number[]) => randomChoices(4096, popularity, 8, 1, random(5));

const anyTraffic = (devices: number, expertsEach: number) =>
  fc
    .tuple(
      fc.array(fc.integer({ min: 0, max: 1000 }), {
        minLength: devices * expertsEach,
        maxLength: devices * expertsEach,
      }),
      fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: devices ** 2, maxLength: devices ** 2 }),
    )
    .map(
      ([expertLoad, vectors]): LayerTraffic => ({ ...loads(devices, expertLoad), vectors: Float64Array.from(vectors) }),
    );

/** One assignment goes from expert `from` to expert `to`. */
const moved = (expertLoad: ArrayLike<number>, from: number, to: number) =>
  Array.from(expertLoad, (load, i) => load - (i === from ? 1 : 0) + (i === to ? 1 : 0));

describe("MoE layer step", () => {
  it("adds up: mean compute + wait + communication = step, to the bit", () => {
    fc.assert(
      fc.property(anyTraffic(3, 2), fc.constantFrom<Cluster>(b2, ideal), (traffic, cluster) => {
        const time = priceMoeLayer(small, traffic, cluster);
        expect(time.stepSeconds).to.equal(time.meanComputeSeconds + time.waitSeconds + time.communicationSeconds);
        expect(time.communicationSeconds).to.equal(time.dispatchSeconds + time.combineSeconds);
        expect(time.hottestComputeSeconds).to.equal(Math.max(...time.computeSeconds));
        expect(time.waitSeconds).to.be.at.least(0);
        expect(time.meanComputeSeconds + time.waitSeconds).to.be.closeTo(time.hottestComputeSeconds, 1e-15);
      }),
    );
  });

  it("takes 18·H·F FLOP an assignment and 4·H values a vector on ideal devices and links", () => {
    const vectors = Float64Array.from([9, 10, 20, 9]); // what stays on its device is free
    const time = priceMoeLayer(small, { ...loads(2, [100, 0, 30, 20]), vectors }, ideal);
    const flops = 18 * 384 * 160;
    expect(time.computeSeconds[0]).to.be.closeTo((100 * flops) / 1e14, 1e-18);
    expect(time.computeSeconds[1]).to.be.closeTo((50 * flops) / 1e14, 1e-18);
    expect(time.waitSeconds).to.be.closeTo((25 * flops) / 1e14, 1e-18);
    expect(time.dispatchSeconds).to.be.closeTo((2 * 20 * 384 * 2) / 1e11, 1e-18);
    expect(time.combineSeconds).to.equal(time.dispatchSeconds);
    expect(time.sentBytes).to.equal(4 * (10 + 20) * 384 * 2);
  });

  it("prices a device by hand: six grouped products and two SwiGLU kernels", () => {
    // One expert with 3072 = 24·128 assignments, H = 6144, F = 3072: every kernel fills its waves exactly.
    const shape = { hiddenSize: 6144, expertHiddenSize: 3072, bytesPerValue: 2 };
    const time = priceMoeLayer(shape, loads(1, [3072]), b2);
    const swiglu = 8 * 3072 * 3072 * 2; // bytes, forward and backward
    const product = (rows: number, columns: number, depth: number) =>
      Math.hypot(
        (2 * rows * columns * depth) / (0.61 * 353.9e12),
        (2 * (rows * depth + depth * columns + rows * columns)) / (0.77 * 1.6e12),
      );
    const matrix = 3 * product(3072, 6144, 6144) + 3 * product(3072, 6144, 3072);
    const expected = matrix + 6 * 15e-6 + swiglu / (0.77 * 1.6e12) + 2 * 2e-6;
    expect(time.computeSeconds[0]).to.be.closeTo(expected, 1e-10);
    expect(time.stepSeconds).to.equal(time.computeSeconds[0]);
  });

  it("never waits a negative time where the mean of equal devices rounds up", () => {
    let roundedUp = 0;
    for (let load = 1; load <= 300; load++) {
      const time = priceMoeLayer(small, loads(10, new Array(10).fill(load)), b2);
      if (time.meanComputeSeconds > time.hottestComputeSeconds) roundedUp++;
      expect(time.waitSeconds).to.be.at.least(0);
    }
    expect(roundedUp).to.be.above(0);
  });

  it("costs nothing without traffic", () => {
    const time = priceMoeLayer(pangu, loads(8, new Array(64).fill(0)), b2);
    expect(time.stepSeconds).to.equal(0);
    expect(time.sentBytes).to.equal(0);
  });

  it("does not depend on the names of devices or of experts", () => {
    fc.assert(
      fc.property(anyTraffic(4, 2), fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (traffic, order) => {
        const renamed: LayerTraffic = {
          expertLoad: Array.from(traffic.expertLoad).reverse(),
          deviceOf: traffic.deviceOf.map((device) => order.indexOf(device)).reverse(),
          vectors: traffic.vectors.map((_, i) => traffic.vectors[order[Math.floor(i / 4)]! * 4 + order[i % 4]!]!),
        };
        const [before, after] = [priceMoeLayer(small, traffic, b2), priceMoeLayer(small, renamed, b2)];
        expect(after.computeSeconds).to.deep.equal(order.map((device) => before.computeSeconds[device]));
        expect(after.communicationSeconds).to.equal(before.communicationSeconds);
        expect(after.stepSeconds).to.be.closeTo(before.stepSeconds, 1e-15);
      }),
    );
  });

  it("never takes less time for more assignments or vectors", () => {
    fc.assert(
      fc.property(anyTraffic(3, 2), fc.nat(5), fc.nat(8), fc.integer({ min: 1, max: 500 }), (traffic, e, v, more) => {
        const before = priceMoeLayer(small, traffic, b2);
        const expertLoad = Array.from(traffic.expertLoad, (load, i) => (i === e ? load + more : load));
        const vectors = traffic.vectors.map((count, i) => (i === v ? count + more : count));
        const after = priceMoeLayer(small, { ...traffic, expertLoad, vectors }, b2);
        for (let d = 0; d < 3; d++) expect(after.computeSeconds[d]).to.be.at.least(before.computeSeconds[d]!);
        expect(after.communicationSeconds).to.be.at.least(before.communicationSeconds);
        expect(after.stepSeconds).to.be.at.least(before.stepSeconds - 1e-15);
      }),
    );
  });

  it("refuses an expert that lies on no device", () => {
    const astray = { expertLoad: [1, 1], deviceOf: Int32Array.of(0, 2), vectors: noVectors(2) };
    expect(() => priceMoeLayer(small, astray, b2)).to.throw(
      RangeError,
      "expert 1: placed on device 2, but there are 2",
    );
  });
});

describe("moving one assignment from the hottest device to a colder one", () => {
  const anyMove = fc.tuple(anyTraffic(3, 2), fc.nat(5), fc.nat(5));

  it("never makes the giver slower, the receiver faster, or the hottest hotter than the receiver has become", () => {
    fc.assert(
      fc.property(anyMove, ([traffic, from, to]) => {
        const [giver, receiver] = [traffic.deviceOf[from]!, traffic.deviceOf[to]!];
        fc.pre(giver !== receiver && traffic.expertLoad[from]! > 0);
        const before = priceMoeLayer(small, traffic, b2);
        const after = priceMoeLayer(small, { ...traffic, expertLoad: moved(traffic.expertLoad, from, to) }, b2);
        expect(after.computeSeconds[giver]).to.be.at.most(before.computeSeconds[giver]!);
        expect(after.computeSeconds[receiver]).to.be.at.least(before.computeSeconds[receiver]!);
        const bound = Math.max(before.hottestComputeSeconds, after.computeSeconds[receiver]!);
        expect(after.hottestComputeSeconds).to.be.at.most(bound);
      }),
    );
  });

  it("never makes the hottest slower where time goes by assignments, on the ideal device", () => {
    fc.assert(
      fc.property(anyMove, ([traffic, from, to]) => {
        const before = priceMoeLayer(small, traffic, ideal);
        const [giver, receiver] = [traffic.deviceOf[from]!, traffic.deviceOf[to]!];
        fc.pre(before.computeSeconds[giver] === before.hottestComputeSeconds && traffic.expertLoad[from]! > 0);
        fc.pre(before.computeSeconds[receiver]! < before.hottestComputeSeconds * (1 - 1e-9));
        const after = priceMoeLayer(small, { ...traffic, expertLoad: moved(traffic.expertLoad, from, to) }, ideal);
        expect(after.hottestComputeSeconds).to.be.at.most(before.hottestComputeSeconds * (1 + 1e-12));
      }),
    );
  });

  it("can make the hottest slower under tiles and waves: one assignment opens a tile, the tile a wave", () => {
    // Every kernel of the hotter device fills its waves; the colder one goes from 30 to 31 tiles of 128 rows.
    const shape = { hiddenSize: 3072, expertHiddenSize: 1536, bytesPerValue: 2 };
    const first = priceMoeLayer(shape, loads(2, [1280, 1280, 1280, 1280, 1280, 1278]), b2);
    const after = priceMoeLayer(shape, loads(2, [1280, 1280, 1279, 1281, 1280, 1278]), b2);
    expect(first.computeSeconds[0]).to.be.above(first.computeSeconds[1]!);
    expect(after.hottestComputeSeconds).to.be.above(1.01 * first.hottestComputeSeconds);
  });
});

describe("what a routing rule costs a Pangu Pro MoE layer on 910B2", () => {
  const price = (chosen: Int32Array, dispatch?: DispatchMode) => priceMoeLayer(pangu, projected(chosen, dispatch), b2);

  it("MoGE waits little for its noise inside groups, skewed top-k waits for its hottest device", () => {
    const grouped = price(moge(skewedPopularity(64)));
    const plain = price(topk(skewedPopularity(64)));
    expect(grouped.waitSeconds / grouped.meanComputeSeconds).to.be.below(0.02);
    expect(plain.waitSeconds / plain.meanComputeSeconds).to.be.above(0.1);
  });

  it("MoGE pays with all-to-all time, in the ratio of the fan-outs, 8 to 5.43", () => {
    const grouped = price(moge(uniformPopularity(64)));
    const plain = price(topk(uniformPopularity(64)));
    expect(grouped.sentBytes / plain.sentBytes).to.be.closeTo(8 / 5.43, 0.02);
    expect(grouped.communicationSeconds / plain.communicationSeconds).to.be.within(1.3, 1.48);
  });

  it("both pay alike when every assignment travels by itself", () => {
    const grouped = price(moge(uniformPopularity(64)), "per-assignment");
    const plain = price(topk(uniformPopularity(64)), "per-assignment");
    expect(grouped.sentBytes).to.equal(price(moge(uniformPopularity(64))).sentBytes);
    expect(plain.sentBytes / grouped.sentBytes).to.be.closeTo(1, 0.01);
  });
});
