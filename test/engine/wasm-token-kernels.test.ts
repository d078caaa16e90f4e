/** The kernels that move tokens and let them meet, against their twins: attention, dispatch, loss, embedding. */
import { expect } from "chai";
import { expectClose, gaussians, integersBelow, widths } from "./kernel-checks.ts";
import { KernelMemory } from "./kernel-memory.ts";
import * as twin from "./kernel-twins.ts";

describe("kernel attention", () => {
  const shapes = [
    { length: 1, heads: 1, size: 1 },
    { length: 7, heads: 3, size: 5 },
    { length: 32, heads: 2, size: 8 },
    { length: 45, heads: 2, size: 6 },
    { length: 70, heads: 1, size: 16 },
  ];
  for (const shape of shapes) {
    it(`equals its twin, forward and backward, ${JSON.stringify(shape)}`, () => {
      const { length, heads, size } = shape;
      const width = heads * size;
      const scale = 1 / Math.sqrt(size);
      const memory = new KernelMemory();
      const [qkv, dOutput] = [gaussians(length * 3 * width), gaussians(length * width)];
      const at = memory.floats(qkv);
      // NaN where the kernels have not written: what causality masks must never be read.
      const probabilities = memory.floats(new Float64Array(heads * length * length).fill(Number.NaN));
      const scores = memory.floats(new Float64Array(length * length).fill(Number.NaN));
      const output = memory.floats(new Float64Array(length * width));
      memory.kernels.attentionForward(at, probabilities, output, length, heads, size, scale, memory.scratch);
      expectClose(memory.read(output, length * width), twin.attention(qkv, shape, scale));
      const dQkv = memory.floats(new Float64Array(length * 3 * width));
      const dy = memory.floats(dOutput);
      memory.kernels.attentionBackward(at, probabilities, dy, scores, dQkv, length, heads, size, scale, memory.scratch);
      const expected = twin.attentionBackward(qkv, dOutput, shape, scale);
      expectClose(memory.read(dQkv, length * 3 * width), expected, "dQkv", 4e-6);
    });
  }
});

describe("kernels dispatch and combine", () => {
  for (const width of widths) {
    it(`move rows and their gradients as the positions say and pass empty slots by, width ${width}`, () => {
      const [tokens, topK] = [5, 3];
      const rows = tokens * topK;
      const memory = new KernelMemory();
      const { kernels } = memory;
      const isEmpty = (slot: number) => [2, 3, 4, 5, 10].includes(slot); // one of a token's slots, and all
      const order = Int32Array.from({ length: rows }, (_, i) => (isEmpty(i) ? -1 : (i * 7) % rows)); // 7 and 15 share no factor
      const positions = memory.integers(order);
      const row = (matrix: Float64Array, i: number) => matrix.subarray(i * width, (i + 1) * width);
      const slotsOf = (t: number) =>
        Array.from({ length: topK }, (_, j) => t * topK + j).filter((slot) => !isEmpty(slot));

      const x = gaussians(tokens * width);
      const permuted = memory.floats(new Float64Array(rows * width));
      kernels.dispatch(memory.floats(x), positions, permuted, tokens, topK, width);
      const copies = memory.read(permuted, rows * width);
      for (let t = 0; t < tokens; t++)
        for (const s of slotsOf(t)) expect(row(copies, order[s]!)).to.deep.equal(row(x, t));

      const [dCopies, dStart] = [gaussians(rows * width), gaussians(tokens * width)];
      const dx = memory.floats(dStart);
      kernels.dispatchBackward(memory.floats(dCopies), positions, dx, tokens, topK, width);
      const sums = dStart.map((start, at) => {
        const [t, i] = [Math.floor(at / width), at % width];
        return slotsOf(t).reduce((sum, s) => sum + dCopies[order[s]! * width + i]!, start);
      });
      expectClose(memory.read(dx, tokens * width), sums, "dispatch backward");

      const [outputs, weights, start, dy] = [
        gaussians(rows * width),
        gaussians(rows),
        gaussians(tokens * width),
        gaussians(tokens * width),
      ];
      const [y, atOutputs, atWeights] = [memory.floats(start), memory.floats(outputs), memory.floats(weights)];
      kernels.combine(atOutputs, positions, atWeights, y, tokens, topK, width);
      const combined = start.map((value, at) => {
        const [t, i] = [Math.floor(at / width), at % width];
        return slotsOf(t).reduce((sum, s) => sum + weights[s]! * outputs[order[s]! * width + i]!, value);
      });
      expectClose(memory.read(y, tokens * width), combined, "combine");

      const dWeights = memory.floats(new Float64Array(rows).fill(7));
      kernels.combineBackward(memory.floats(dy), atOutputs, positions, atWeights, dWeights, tokens, topK, width);
      const dOutputs = outputs.slice(); // rows that no slot points at stay as they are
      const dots = weights.map((weight, s) => {
        if (isEmpty(s)) return 0;
        const t = Math.floor(s / topK);
        row(dy, t).forEach((value, i) => {
          dOutputs[order[s]! * width + i] = weight * value;
        });
        return row(outputs, order[s]!).reduce((sum, value, i) => sum + value * row(dy, t)[i]!, 0);
      });
      expectClose(memory.read(dWeights, rows), dots, "weights");
      expectClose(memory.read(atOutputs, rows * width), dOutputs, "outputs");
    });
  }
});

describe("kernel cross-entropy", () => {
  for (const width of [1, 3, 10, 256]) {
    it(`equals its twin, forward and backward, ${width} classes`, () => {
      const rows = 6;
      const memory = new KernelMemory();
      const logits = gaussians(rows * width).map((x) => Math.fround(10 * x));
      const targets = integersBelow(width, rows);
      const [at, atTargets, terms] = [
        memory.floats(logits),
        memory.bytes(targets),
        memory.floats(new Float64Array(2 * rows)),
      ];
      memory.kernels.crossEntropyForward(at, atTargets, terms, rows, width);
      const probabilities = Array.from({ length: rows }, (_, r) =>
        twin.softmax(logits.subarray(r * width, (r + 1) * width)),
      );
      expectClose(memory.read(at, rows * width), probabilities.flat());
      const pairs = memory.read(terms, 2 * rows);
      const losses = probabilities.map((p, r) => -Math.log(p[targets[r]!]!));
      for (const [r, loss] of losses.entries()) {
        expect(Math.log(pairs[2 * r]!) - pairs[2 * r + 1]!).to.be.closeTo(loss, 1e-5);
      }
      memory.kernels.crossEntropyBackward(at, atTargets, 0.25, rows, width);
      const gradient = probabilities.flatMap((p, r) =>
        p.map((value, i) => 0.25 * (value - (i === targets[r] ? 1 : 0))),
      );
      const error = memory
        .read(at, rows * width)
        .reduce((worst, value, i) => Math.max(worst, Math.abs(value - gradient[i]!)), 0);
      expect(error).to.be.below(1e-6);
    });
  }
});

describe("kernel embedding", () => {
  for (const width of [1, 5, 8]) {
    it(`adds the two tables, and its gradients' parts make the whole, width ${width}`, () => {
      const length = 6;
      const memory = new KernelMemory();
      const tokens = [3, 200, 3, 0, 255, 3];
      const [embedding, position, dx] = [gaussians(256 * width), gaussians(length * width), gaussians(length * width)];
      const [atTokens, atDx, x] = [
        memory.bytes(tokens),
        memory.floats(dx),
        memory.floats(new Float64Array(length * width)),
      ];
      memory.kernels.embeddingForward(atTokens, memory.floats(embedding), memory.floats(position), x, length, width);
      const column = (at: number) => at % width;
      const token = (at: number) => tokens[Math.floor(at / width)]!;
      expectClose(
        memory.read(x, length * width),
        position.map((p, at) => p + embedding[token(at) * width + column(at)]!),
      );

      const dEmbedding = memory.floats(new Float64Array(256 * width));
      for (const thread of [0, 1, 2])
        memory.kernels.embeddingBackward(atTokens, atDx, dEmbedding, length, width, thread, 3);
      const expected = new Float64Array(256 * width);
      dx.forEach((value, at) => {
        expected[token(at) * width + column(at)]! += value;
      });
      expectClose(memory.read(dEmbedding, 256 * width), expected);

      const dPosition = memory.floats(new Float64Array(3 * width)); // two sequences of three
      memory.kernels.positionBackward(atDx, dPosition, 2, 3, width, 0, 1);
      memory.kernels.positionBackward(atDx, dPosition, 2, 3, width, 1, 3);
      expectClose(
        memory.read(dPosition, 3 * width),
        dx.subarray(0, 3 * width).map((value, at) => value + dx[3 * width + at]!),
      );
    });
  }
});
