/** The kernels of arithmetic against their twins in plain TypeScript, on random numbers and sizes that fill no register. */
import { expect } from "chai";
import { GEMM_SCRATCH_BYTES } from "../../src/engine/wasm/kernels.ts";
import { expectClose, gaussians, widths } from "./kernel-checks.ts";
import { builds, KernelMemory } from "./kernel-memory.ts";
import * as twin from "./kernel-twins.ts";

describe("kernel exponentials", () => {
  it("is e^-x to two units in the last place where the result is normal", () => {
    const memory = new KernelMemory();
    const x = Float64Array.from({ length: 4001 }, (_, i) => Math.fround(87 - (i * 175) / 4001));
    const y = memory.floats(x);
    memory.kernels.inverseExponentials(memory.floats(x), y, x.length);
    const worst = memory
      .read(y, x.length)
      .reduce((w, value, i) => Math.max(w, Math.abs(value / Math.exp(-x[i]!) - 1)), 0);
    expect(worst).to.be.below(2 ** -22);
  });

  it("keeps NaN, and clamps what is too large or too small", () => {
    const memory = new KernelMemory();
    const y = memory.floats([0, 0, 0, 0, 0]);
    memory.kernels.inverseExponentials(memory.floats([Number.NaN, 1000, -1000, 0, Infinity]), y, 5);
    const [ofNan, tiny, huge, one, none] = memory.read(y, 5);
    expect(ofNan).to.be.NaN;
    expect(one).to.equal(1);
    expect(tiny).to.equal(none).and.be.within(0, 1e-37);
    expect(huge).to.be.above(1e38).and.below(Infinity);
  });
});

describe("kernel gemm", () => {
  const sizes = [
    [1, 1, 1],
    [4, 8, 16],
    [5, 9, 3],
    [3, 7, 1],
    [64, 64, 64],
    [67, 21, 300],
    [6, 270, 11],
    [130, 5, 513],
  ] as const;

  for (const build of builds) {
    for (const transposed of ["neither", "A", "B", "both"] as const) {
      it(`${build}: C = A·B and C += A·B, ${transposed} transposed`, () => {
        for (const [rows, columns, depth] of sizes) {
          const memory = new KernelMemory(build);
          const [a, b, c] = [gaussians(rows * depth), gaussians(depth * columns), gaussians(rows * columns)];
          const [aRow, aColumn] = transposed === "A" || transposed === "both" ? [1, rows] : [depth, 1];
          const [bRow, bColumn] = transposed === "B" || transposed === "both" ? [1, depth] : [columns, 1];
          const expected = twin.product(
            rows,
            columns,
            depth,
            (i, k) => a[i * aRow + k * aColumn]!,
            (k, j) => b[k * bRow + j * bColumn]!,
          );
          const [atA, atB, atC] = [memory.floats(a), memory.floats(b), memory.floats(c)];
          const multiply = (accumulate: 0 | 1) =>
            memory.kernels.gemm(
              atA,
              aRow,
              aColumn,
              atB,
              bRow,
              bColumn,
              atC,
              columns,
              rows,
              columns,
              depth,
              accumulate,
              memory.scratch,
            );
          multiply(0);
          expectClose(memory.read(atC, rows * columns), expected, `${rows}×${columns}×${depth}`);
          multiply(1);
          expectClose(
            memory.read(atC, rows * columns),
            expected.map((x) => 2 * x),
            `${rows}×${columns}×${depth}, twice`,
          );
        }
      });
    }
  }

  it("gives the same bits for a part of the rows or columns as for the whole", () => {
    const [rows, columns, depth] = [37, 45, 300];
    const memory = new KernelMemory();
    const [a, b] = [memory.floats(gaussians(rows * depth)), memory.floats(gaussians(depth * columns))];
    const whole = memory.floats(new Float64Array(rows * columns));
    const parts = memory.floats(new Float64Array(rows * columns));
    const multiply = (c: number, i: number, height: number, j: number, width: number) =>
      memory.kernels.gemm(
        a + 4 * i * depth,
        depth,
        1,
        b + 4 * j,
        columns,
        1,
        c + 4 * (i * columns + j),
        columns,
        height,
        width,
        depth,
        0,
        memory.scratch,
      );
    multiply(whole, 0, rows, 0, columns);
    multiply(parts, 0, 11, 0, columns);
    multiply(parts, 11, rows - 11, 0, 16);
    multiply(parts, 11, rows - 11, 16, columns - 16);
    expect(memory.read(parts, rows * columns)).to.deep.equal(memory.read(whole, rows * columns));
  });

  it("needs as much scratch memory as the engine gives it", () => {
    expect(new KernelMemory().kernels.scratchBytes()).to.equal(GEMM_SCRATCH_BYTES);
  });
});

describe("kernel norm", () => {
  for (const width of widths) {
    it(`equals its twin, forward and backward, width ${width}`, () => {
      const rows = 5;
      const memory = new KernelMemory();
      const [x, dy, residual] = [gaussians(rows * width), gaussians(rows * width), gaussians(rows * width)];
      const gain = gaussians(width);
      const [atX, atGain, inverse] = [memory.floats(x), memory.floats(gain), memory.floats(new Float64Array(rows))];
      const y = memory.floats(new Float64Array(rows * width));
      memory.kernels.normForward(atX, atGain, y, inverse, rows, width);
      expectClose(memory.read(y, rows * width), twin.norm(x, gain, rows, width));
      expectClose(memory.read(inverse, rows), twin.inverseRoots(x, rows, width));
      const [dx, dGain] = [memory.floats(gaussians(rows * width)), memory.floats(gaussians(width))];
      memory.kernels.normBackward(
        memory.floats(dy),
        atX,
        atGain,
        inverse,
        memory.floats(residual),
        dx,
        dGain,
        rows,
        width,
      );
      const expected = twin.normBackward(dy, x, gain, rows, width);
      expectClose(
        memory.read(dx, rows * width),
        expected.dx.map((value, i) => value + residual[i]!),
        "dx",
      );
      expectClose(memory.read(dGain, width), expected.dGain, "gain");
    });

    it(`addRows adds rows to what is there, width ${width}`, () => {
      const memory = new KernelMemory();
      const [x, start] = [gaussians(3 * width), gaussians(width)];
      const sum = memory.floats(start);
      memory.kernels.addRows(memory.floats(x), sum, 3, width);
      expectClose(
        memory.read(sum, width),
        start.map((s, i) => s + x[i]! + x[width + i]! + x[2 * width + i]!),
      );
    });
  }
});

describe("kernels copy and clear", () => {
  it("move and clear the bytes they are told to and no others", () => {
    const memory = new KernelMemory();
    const x = gaussians(9);
    const [from, to] = [memory.floats(x), memory.floats(new Float64Array(9))];
    memory.kernels.copy(from + 8, to + 4, 4 * 5);
    expect([...memory.read(to, 9)]).to.deep.equal([0, ...x.subarray(2, 7), 0, 0, 0]);
    memory.kernels.clear(from + 4, 4 * 3);
    expect([...memory.read(from, 9)]).to.deep.equal([x[0], 0, 0, 0, ...x.subarray(4)]);
  });
});

describe("kernel swiglu", () => {
  for (const width of widths) {
    it(`equals its twin, forward and backward, width ${width}`, () => {
      const rows = 3;
      const memory = new KernelMemory();
      const [gateUp, dy] = [gaussians(rows * 2 * width), gaussians(rows * width)];
      const [at, y] = [memory.floats(gateUp), memory.floats(new Float64Array(rows * width))];
      memory.kernels.swigluForward(at, y, rows, width);
      expectClose(memory.read(y, rows * width), twin.swiglu(gateUp, rows, width));
      memory.kernels.swigluBackward(at, memory.floats(dy), rows, width, memory.scratch);
      expectClose(memory.read(at, rows * 2 * width), twin.swigluBackward(gateUp, dy, rows, width));
    });
  }
});

describe("kernel adamw", () => {
  for (const count of [1, 3, 4, 11]) {
    it(`makes the published step, ${count} numbers`, () => {
      const memory = new KernelMemory();
      const settings = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, weightDecay: 0.1, step: 3 };
      const [p, g, m] = [gaussians(count), gaussians(count), gaussians(count)];
      const v = gaussians(count).map((x) => Math.fround(x * x));
      const [atP, atM, atV] = [memory.floats(p), memory.floats(m), memory.floats(v)];
      const rate = settings.learningRate / (1 - 0.9 ** 3);
      const keep = 1 - settings.learningRate * settings.weightDecay;
      memory.kernels.adamw(
        atP,
        memory.floats(g),
        atM,
        atV,
        count,
        0.5,
        0.9,
        0.95,
        rate,
        1 / Math.sqrt(1 - 0.95 ** 3),
        keep,
        1e-8,
      );
      const expected = [...p].map((_, i) => twin.adamw(p[i]!, 0.5 * g[i]!, m[i]!, v[i]!, settings));
      expectClose(
        memory.read(atP, count),
        expected.map(({ parameter }) => parameter),
        "parameters",
      );
      expectClose(
        memory.read(atM, count),
        expected.map(({ first }) => first),
        "first moment",
      );
      expectClose(
        memory.read(atV, count),
        expected.map(({ second }) => second),
        "second moment",
      );
    });

    it(`sums squares in doubles, ${count} numbers`, () => {
      const memory = new KernelMemory();
      const x = gaussians(count);
      const expected = x.reduce((sum, value) => sum + value * value, 0);
      expect(memory.kernels.sumOfSquares(memory.floats(x), count)).to.be.closeTo(expected, 1e-14 * expected);
    });
  }
});
