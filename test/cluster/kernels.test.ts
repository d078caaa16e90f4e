import { expect } from "chai";
import fc from "fast-check";
import type { Device } from "../../src/cluster/device.ts";
import { devices } from "../../src/cluster/devices.ts";
import { type Gemm, gemmSeconds, groupedGemmSeconds, streamSeconds } from "../../src/cluster/kernels.ts";

const BF16 = 2;
const b2: Device = devices["ascend-910b2"];
const cube = (size: number): Gemm => ({ rows: size, columns: size, depth: size });

/** The same device with other constants. */
function altered(device: Device, change: { memory?: number; peak?: number; cores?: number }): Device {
  const scaled = (sourced: Device["cores"], factor = 1) => ({ ...sourced, value: sourced.value * factor });
  return {
    ...device,
    memoryBytesPerSecond: scaled(device.memoryBytesPerSecond, change.memory),
    peakFlopsPerSecond: scaled(device.peakFlopsPerSecond, change.peak),
    cores: { ...device.cores, value: change.cores ?? device.cores.value },
  };
}

/** Slow twin: lists every tile, deepest first, and deals them out wave by wave. */
function wavesTwin(gemms: readonly Gemm[], device: Device): number {
  const depths: number[] = [];
  for (const { rows, columns, depth } of gemms) {
    for (let row = 0; row < rows; row += device.tile.rows.value) {
      for (let column = 0; column < columns; column += device.tile.columns.value) depths.push(depth);
    }
  }
  depths.sort((a, b) => b - a);
  let cycles = 0;
  for (let wave = 0; wave < depths.length; wave += device.cores.value) cycles += depths[wave]!;
  const flops = cycles * device.cores.value * 2 * device.tile.rows.value * device.tile.columns.value;
  return flops / (device.efficiency.groupedGemm.value * device.peakFlopsPerSecond.value);
}

const anyGemm = fc.record({
  rows: fc.integer({ min: 0, max: 2000 }),
  columns: fc.integer({ min: 1, max: 3000 }),
  depth: fc.integer({ min: 1, max: 3000 }),
});
const anyGemms = fc.array(anyGemm, { minLength: 1, maxLength: 6 });

describe("matrix product", () => {
  // Microseconds of pto-isa gemm_performance (A3, fp16) and gemm_ar (910B); the constants were fitted to the cubes.
  const published: [string, Gemm, number][] = [
    ["1536³, fitted", cube(1536), 38.8],
    ["3072³, fitted", cube(3072), 206.7],
    ["6144³, fitted", cube(6144), 1506],
    ["7680³, fitted", cube(7680), 3168],
    ["5416×1408×6144, held out", { rows: 5416, columns: 1408, depth: 6144 }, 368.1],
  ];
  for (const [name, gemm, microseconds] of published) {
    it(`takes the published time within 5 %: ${name}`, () => {
      for (const device of [devices["ascend-910c-die"], b2]) {
        expect(gemmSeconds(gemm, BF16, device) / (microseconds * 1e-6)).to.be.within(0.95, 1.05);
      }
    });
  }

  it("misses the held-out shape by a tenth without tiles and waves, so they earn their place", () => {
    const flops = 2 * 5416 * 1408 * 6144;
    expect((15e-6 + flops / (0.85 * 353.9e12)) / 368.1e-6).to.be.within(0.87, 0.91);
  });

  it("takes FLOP / peak on the ideal device", () => {
    expect(gemmSeconds({ rows: 37, columns: 1001, depth: 513 }, BF16, devices.ideal)).to.be.closeTo(
      (2 * 37 * 1001 * 513) / 1e14,
      1e-20,
    );
  });

  it("is bound by memory when thin: one row reads the whole weight", () => {
    const bytes = 2 * (4096 + 4096 * 8192 + 8192);
    const seconds = gemmSeconds({ rows: 1, columns: 8192, depth: 4096 }, BF16, b2);
    expect(seconds).to.be.closeTo(15e-6 + bytes / (0.77 * 1.6e12), 1e-12);
  });

  it("steps up by a wave exactly when one more tile is needed", () => {
    const seconds = (rows: number) =>
      gemmSeconds({ rows, columns: 256, depth: 65536 }, BF16, altered(b2, { memory: 1e6 }));
    expect(seconds(1)).to.equal(seconds(128 * 24));
    const wave = (24 * 2 * 128 * 256 * 65536) / (0.85 * 353.9e12);
    expect(seconds(128 * 24 + 1) - seconds(128 * 24)).to.be.closeTo(wave, 1e-12);
  });
});

describe("grouped matrix product", () => {
  it("agrees with the slow twin that deals out every tile", () => {
    const whole = { ...b2.tile, rowStep: { ...b2.tile.rowStep, value: 128 } }; // last tiles padded
    const fastMemory = { ...altered(b2, { memory: 1e9 }), tile: whole };
    fc.assert(
      fc.property(anyGemms, (gemms) => {
        const filled = gemms.filter(({ rows }) => rows > 0);
        const expected = filled.length === 0 ? 0 : 15e-6 + wavesTwin(filled, fastMemory);
        expect(groupedGemmSeconds(gemms, BF16, fastMemory)).to.be.closeTo(expected, 1e-12);
      }),
    );
  });

  it("makes an expert's last tile only as high as its tokens need, in steps of 16 rows", () => {
    const fast = altered(b2, { memory: 1e6 });
    const experts = (count: number, rows: number) =>
      groupedGemmSeconds(
        Array.from({ length: count }, () => ({ rows, columns: 256, depth: 65536 })),
        BF16,
        fast,
      );
    expect(experts(8 * 24, 9)).to.be.closeTo(experts(24, 128), 1e-9); // eight strips of 16 rows make a tile
    expect(experts(8 * 24, 17)).to.be.closeTo(experts(2 * 24, 128), 1e-9);
  });

  it("pools the tiles of all experts before cutting waves", () => {
    // 24 experts with one tile each fill one wave; a kernel an expert would take 24.
    const gemms = Array.from({ length: 24 }, () => ({ rows: 128, columns: 256, depth: 65536 }));
    const oneWave = (24 * 2 * 128 * 256 * 65536) / (0.61 * 353.9e12);
    expect(groupedGemmSeconds(gemms, BF16, altered(b2, { memory: 1e6 }))).to.be.closeTo(15e-6 + oneWave, 1e-12);
  });

  it("charges nothing for experts without tokens, weights included", () => {
    const one = { rows: 3, columns: 2688, depth: 5120 };
    const none = { rows: 0, columns: 2688, depth: 5120 };
    expect(groupedGemmSeconds([one, none, none], BF16, b2)).to.equal(groupedGemmSeconds([one], BF16, b2));
    expect(groupedGemmSeconds([none, none], BF16, b2)).to.equal(0);
    const bytes = 2 * (2 * 5120 * 2688 + 6 * (5120 + 2688)); // two experts hit: both weights are read
    const memory = bytes / (0.77 * 1.6e12);
    const compute = (24 * 2 * 128 * 256 * 5120) / (0.61 * 353.9e12); // 22 tiles, one wave
    expect(groupedGemmSeconds([one, one], BF16, b2)).to.be.closeTo(15e-6 + Math.hypot(compute, memory), 1e-12);
  });

  it("takes the FLOP of all experts / peak on the ideal device, also when they differ in depth", () => {
    fc.assert(
      fc.property(anyGemms, (gemms) => {
        const flops = gemms.reduce((sum, { rows, columns, depth }) => sum + 2 * rows * columns * depth, 0);
        expect(groupedGemmSeconds(gemms, BF16, devices.ideal)).to.be.closeTo(flops / 1e14, 1e-16);
      }),
    );
  });

  it("does not depend on the order of the experts", () => {
    fc.assert(
      fc.property(anyGemms, (gemms) => {
        expect(groupedGemmSeconds(gemms.toReversed(), BF16, b2)).to.equal(groupedGemmSeconds(gemms, BF16, b2));
      }),
    );
  });

  it("is never faster with more rows, columns or depth anywhere", () => {
    const dimension = fc.constantFrom("rows" as const, "columns" as const, "depth" as const);
    fc.assert(
      fc.property(anyGemms, fc.nat(), dimension, fc.integer({ min: 1, max: 300 }), (gemms, pick, which, more) => {
        const grown = gemms.map((gemm, i) =>
          i === pick % gemms.length ? { ...gemm, [which]: gemm[which] + more } : gemm,
        );
        expect(groupedGemmSeconds(grown, BF16, b2)).to.be.at.least(groupedGemmSeconds(gemms, BF16, b2));
      }),
    );
  });

  it("is never slower with more memory bandwidth or a higher peak", () => {
    fc.assert(
      fc.property(anyGemms, fc.double({ min: 1, max: 10, noNaN: true }), (gemms, factor) => {
        const seconds = groupedGemmSeconds(gemms, BF16, b2);
        expect(groupedGemmSeconds(gemms, BF16, altered(b2, { memory: factor }))).to.be.at.most(seconds);
        expect(groupedGemmSeconds(gemms, BF16, altered(b2, { peak: factor }))).to.be.at.most(seconds);
      }),
    );
  });
});

describe("streaming kernel", () => {
  it("moves its bytes at the achieved bandwidth, and costs nothing without any", () => {
    expect(streamSeconds(1.232e12, b2)).to.be.closeTo(1 + 2e-6, 1e-12);
    expect(streamSeconds(0, b2)).to.equal(0);
  });
});
