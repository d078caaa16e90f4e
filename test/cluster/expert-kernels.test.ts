import { expect } from "chai";
import fc from "fast-check";
import type { Device } from "../../src/cluster/device.ts";
import { devices } from "../../src/cluster/devices.ts";
import { ExpertKernels, type ExpertSizes } from "../../src/cluster/expert-kernels.ts";
import { streamSeconds } from "../../src/cluster/kernels.ts";
import { altered } from "./altered-device.ts";
import { groupedTwin } from "./grouped-gemm.ts";

const b2: Device = devices["ascend-910b2"];
const h800: Device = devices.h800;

/** Experts of F = `columns` without a gate, so that what goes into them is one product of `columns` by `depth`. */
const sizes = (columns: number, depth: number, device = b2, change: Partial<ExpertSizes> = {}): ExpertSizes => ({
  device,
  hiddenSize: depth,
  expertHiddenSize: columns,
  gated: false,
  format: "bf16",
  bytesPerValue: 2,
  gradientTraffic: 2,
  ...change,
});

function priced(own: ExpertSizes, loads: readonly number[]) {
  const kernels = new ExpertKernels(own);
  const sorted = new Float64Array(loads.length);
  return { kernels, sorted, loads: kernels.sort(loads, 0, sorted) };
}

/** One product an expert. */
function product(loads: readonly number[], columns: number, depth: number, device = b2): number {
  const { kernels, loads: own } = priced(sizes(columns, depth, device), loads);
  return kernels.intoExperts(own);
}

const anyLoads = fc.array(fc.integer({ min: 0, max: 2000 }), { minLength: 1, maxLength: 6 });
const anyWidth = fc.integer({ min: 1, max: 3000 });

describe("grouped products of experts", () => {
  it("agree with the slow twin that deals out every tile, forward and for both gradients, with a gate and without", () => {
    fc.assert(
      fc.property(anyLoads, anyWidth, anyWidth, fc.boolean(), (loads, f, h, gated) => {
        const { kernels, loads: own, sorted } = priced(sizes(f, h, b2, { gated, gradientTraffic: 8 }), loads);
        const up = gated ? 2 * f : f;
        const each = (columns: number, depth: number) =>
          groupedTwin(
            loads.map((rows) => ({ rows, columns, depth })),
            2,
            2,
            b2,
          );
        const gradient = (rows: number, columns: number) =>
          groupedTwin(
            loads.map((depth) => ({ rows, columns, depth })),
            2,
            8,
            b2,
          );
        expect(kernels.intoExperts(own)).to.be.closeTo(each(up, h), 1e-12);
        expect(kernels.outOfExperts(own)).to.be.closeTo(each(h, f), 1e-12);
        expect(kernels.intoExpertsBackward(own)).to.be.closeTo(each(h, up), 1e-12);
        expect(kernels.outOfExpertsBackward(own)).to.be.closeTo(each(f, h), 1e-12);
        expect(kernels.intoExpertsWeights(own, sorted)).to.be.closeTo(gradient(h, up), 1e-12);
        expect(kernels.outOfExpertsWeights(own, sorted)).to.be.closeTo(gradient(f, h), 1e-12);
      }),
      { numRuns: 60 },
    );
  });

  it("make an expert's last tile only as high as its tokens need, in steps of 16 rows", () => {
    const experts = (count: number, rows: number) =>
      product(new Array<number>(count).fill(rows), 256, 65536, altered(b2, { memory: 1e6 }));
    expect(experts(8 * 24, 9)).to.be.closeTo(experts(24, 128), 1e-9); // eight strips of 16 rows make a tile
    expect(experts(8 * 24, 17)).to.be.closeTo(experts(2 * 24, 128), 1e-9);
  });

  it("pool the tiles of all experts before cutting waves", () => {
    // 24 experts with one tile each fill one wave; a kernel an expert would take 24.
    const oneWave = (24 * 2 * 128 * 256 * 65536) / (0.61 * 353.9e12);
    const seconds = product(new Array<number>(24).fill(128), 256, 65536, altered(b2, { memory: 1e6 }));
    expect(seconds).to.be.closeTo(15e-6 + oneWave, 1e-12);
  });

  it("charge nothing for experts without tokens, weights included", () => {
    expect(product([3, 0, 0], 2688, 5120)).to.equal(product([3], 2688, 5120));
    expect(product([0, 0], 2688, 5120)).to.equal(0);
    const bytes = 2 * (2 * 5120 * 2688 + 6 * (5120 + 2688)); // two experts hit: both weights are read
    const memory = bytes / (0.77 * 1.6e12);
    const compute = (24 * 2 * 128 * 256 * 5120) / (0.61 * 353.9e12); // 22 tiles, one wave
    expect(product([3, 3], 2688, 5120)).to.be.closeTo(15e-6 + Math.hypot(compute, memory), 1e-12);
  });

  it("take the FLOP of all experts / peak on the ideal device, for weights as deep as their tokens, too", () => {
    fc.assert(
      fc.property(anyLoads, anyWidth, anyWidth, (loads, f, h) => {
        const { kernels, loads: own, sorted } = priced(sizes(f, h, devices.ideal), loads);
        const seconds = loads.reduce((sum, rows) => sum + 2 * rows * f * h, 0) / 1e14;
        expect(kernels.intoExperts(own)).to.be.closeTo(seconds, 1e-16);
        expect(kernels.intoExpertsWeights(own, sorted)).to.be.closeTo(seconds, 1e-16);
      }),
    );
  });

  it("do not depend on the order of the experts", () => {
    fc.assert(
      fc.property(anyLoads, anyWidth, anyWidth, (loads, f, h) => {
        const seconds = (own: readonly number[]) => {
          const { kernels, loads: sums, sorted } = priced(sizes(f, h), own);
          return kernels.forward(sums) + kernels.weightGradient(sums, sorted);
        };
        expect(seconds(loads.toReversed())).to.equal(seconds(loads));
      }),
    );
  });

  it("are never faster with more tokens or wider experts", () => {
    const all = (loads: readonly number[], f: number, h: number, device = b2) => {
      const { kernels, loads: own, sorted } = priced(sizes(f, h, device), loads);
      return kernels.forward(own) + kernels.inputGradient(own) + kernels.weightGradient(own, sorted);
    };
    fc.assert(
      fc.property(
        anyLoads,
        anyWidth,
        anyWidth,
        fc.nat(),
        fc.integer({ min: 1, max: 300 }),
        (loads, f, h, pick, more) => {
          const grown = loads.map((load, i) => (i === pick % loads.length ? load + more : load));
          expect(all(grown, f, h)).to.be.at.least(all(loads, f, h));
          expect(all(loads, f + more, h)).to.be.at.least(all(loads, f, h));
          expect(all(loads, f, h + more)).to.be.at.least(all(loads, f, h));
        },
      ),
    );
  });

  it("are never slower with more memory bandwidth or a higher peak", () => {
    fc.assert(
      fc.property(anyLoads, anyWidth, anyWidth, fc.double({ min: 1, max: 10, noNaN: true }), (loads, f, h, factor) => {
        const seconds = product(loads, f, h);
        expect(product(loads, f, h, altered(b2, { memory: factor }))).to.be.at.most(seconds);
        expect(product(loads, f, h, altered(b2, { peak: factor }))).to.be.at.most(seconds);
      }),
    );
  });
});

describe("8-bit products of experts", () => {
  const loads = new Array<number>(4).fill(8192);
  const forward = (format: "bf16" | "fp8") => {
    const { kernels, loads: own } = priced(sizes(4096, 7168, h800, { format }), loads);
    return kernels.intoExperts(own);
  };

  it("take waves at the 8-bit peak", () => {
    const waves = Math.ceil((4 * 64 * 16) / 132);
    const compute = (waves * 132 * 2 * 128 * 256 * 7168) / (0.65 * 1979e12);
    const bytes = 4 * (8192 * 7168 + 7168 * 4096 + 2 * 8192 * 4096);
    const memory = bytes / (0.85 * 3.35e12);
    expect(forward("fp8")).to.be.closeTo(10e-6 + Math.hypot(compute, memory), 1e-12);
  });

  it("have their operands cast before: 16 bits of every input are read and 8 written, of gradients twice", () => {
    const { kernels, loads: own, sorted } = priced(sizes(4096, 7168, h800, { format: "fp8" }), loads);
    const rows = 4 * 8192;
    const moving = 2 * streamSeconds(2 * rows * 7168 * 2, h800);
    const cast = (bytes: number) => streamSeconds(bytes * rows * 7168, h800) + streamSeconds(bytes * rows * 4096, h800);
    const into = kernels.intoExperts(own) + kernels.activation(own) + kernels.outOfExperts(own);
    expect(kernels.forward(own) - into - moving).to.be.closeTo(cast(3), 1e-12);
    const backward = kernels.intoExpertsBackward(own) + kernels.outOfExpertsBackward(own);
    const through = backward + kernels.activationBackward(own) + moving;
    expect(kernels.inputGradient(own) - through).to.be.closeTo(cast(4), 1e-12);
    const weights = kernels.intoExpertsWeights(own, sorted) + kernels.outOfExpertsWeights(own, sorted);
    expect(kernels.weightGradient(own, sorted) - weights).to.be.closeTo(cast(2), 1e-12);
  });

  it("are less than twice as fast as bf16", () => {
    expect(forward("bf16") / forward("fp8")).to.be.within(1.3, 2);
  });

  it("are refused of a device that has integers alone", () => {
    expect(() => new ExpertKernels(sizes(8, 8, b2, { format: "fp8" }))).to.throw("Ascend 910B2 has no products in fp8");
  });
});
