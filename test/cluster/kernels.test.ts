import { expect } from "chai";
import type { Device } from "../../src/cluster/device.ts";
import { devices } from "../../src/cluster/devices.ts";
import { type Gemm, gemmSeconds, streamSeconds } from "../../src/cluster/kernels.ts";
import { altered } from "./altered-device.ts";

const BF16 = 2;
const b2: Device = devices["ascend-910b2"];
const cube = (size: number): Gemm => ({ rows: size, columns: size, depth: size });

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

describe("matrix product in 8 bits", () => {
  it("reads operands of one byte, writes results of two, and computes at the 8-bit peak", () => {
    const { h800 } = devices;
    const gemm = { rows: 4096, columns: 4096, depth: 7168 };
    const waves = Math.ceil((32 * 16) / 132);
    const compute = (waves * 132 * 2 * 128 * 256 * 7168) / (0.709 * 1979e12);
    expect(gemmSeconds(gemm, BF16, h800, "fp8")).to.be.closeTo(10e-6 + compute, 1e-12);
    const shallow = { rows: 131_072, columns: 256, depth: 64 };
    const bytes = 131_072 * 64 + 64 * 256 + 2 * 131_072 * 256;
    expect(gemmSeconds(shallow, BF16, h800, "fp8")).to.be.closeTo(10e-6 + bytes / (0.85 * 3.35e12), 1e-12);
  });

  it("is refused of a device that has integers alone", () => {
    expect(() => gemmSeconds(cube(64), BF16, b2, "fp8")).to.throw("Ascend 910B2 has no products in fp8");
  });
});

describe("streaming kernel", () => {
  it("moves its bytes at the achieved bandwidth, and costs nothing without any", () => {
    expect(streamSeconds(1.232e12, b2)).to.be.closeTo(1 + 2e-6, 1e-12);
    expect(streamSeconds(0, b2)).to.equal(0);
  });
});
