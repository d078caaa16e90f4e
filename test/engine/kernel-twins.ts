/**
 * The kernels of assembly/ once more, in plain TypeScript and doubles: slow, obvious, and the readable statement of
 * what each computes. Matrices are row-major arrays; nothing is in place.
 */

export type Matrix = Float64Array;

const zeros = (count: number): Matrix => new Float64Array(count);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** C[i, j] = Σ_k A(i, k) · B(k, j) @returns [rows, columns] */
export function product(
  rows: number,
  columns: number,
  depth: number,
  a: (i: number, k: number) => number,
  b: (k: number, j: number) => number,
): Matrix {
  const c = zeros(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      for (let k = 0; k < depth; k++) c[i * columns + j]! += a(i, k) * b(k, j);
    }
  }
  return c;
}

/** 1 / √(mean x² + ε) of each row */
export function inverseRoots(x: Matrix, rows: number, width: number): Matrix {
  return zeros(rows).map((_, row) => {
    const squares = x.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value * value, 0);
    return 1 / Math.sqrt(squares / width + 1e-5);
  });
}

export function norm(x: Matrix, gain: Matrix, rows: number, width: number): Matrix {
  const inverse = inverseRoots(x, rows, width);
  return x.map((value, i) => value * inverse[Math.floor(i / width)]! * gain[i % width]!);
}

export function normBackward(dy: Matrix, x: Matrix, gain: Matrix, rows: number, width: number) {
  const inverse = inverseRoots(x, rows, width);
  const dx = zeros(rows * width);
  const dGain = zeros(width);
  for (let row = 0; row < rows; row++) {
    const r = inverse[row]!;
    let dot = 0;
    for (let i = 0; i < width; i++) dot += dy[row * width + i]! * gain[i]! * x[row * width + i]!;
    for (let i = 0; i < width; i++) {
      const at = row * width + i;
      dx[at] = r * dy[at]! * gain[i]! - (x[at]! * r ** 3 * dot) / width;
      dGain[i]! += dy[at]! * x[at]! * r;
    }
  }
  return { dx, dGain };
}

/** @param gateUp [rows, gate width | up width] */
export function swiglu(gateUp: Matrix, rows: number, width: number): Matrix {
  return zeros(rows * width).map((_, at) => {
    const from = Math.floor(at / width) * 2 * width + (at % width);
    const gate = gateUp[from]!;
    return gate * sigmoid(gate) * gateUp[from + width]!;
  });
}

export function swigluBackward(gateUp: Matrix, dy: Matrix, rows: number, width: number): Matrix {
  const gradient = zeros(rows * 2 * width);
  for (let at = 0; at < rows * width; at++) {
    const from = Math.floor(at / width) * 2 * width + (at % width);
    const gate = gateUp[from]!;
    const s = sigmoid(gate);
    gradient[from] = dy[at]! * gateUp[from + width]! * (s + gate * s * (1 - s));
    gradient[from + width] = dy[at]! * gate * s;
  }
  return gradient;
}

export interface Heads {
  readonly length: number;
  readonly heads: number;
  readonly size: number;
}

/** What one head of one sequence reads: query, key and value of token t, dimension i. */
function head(qkv: Matrix, { heads, size }: Heads, h: number) {
  const width = heads * size;
  const part = (which: number) => (t: number, i: number) => qkv[t * 3 * width + which * width + h * size + i]!;
  return { q: part(0), k: part(1), v: part(2) };
}

/** Causal softmax(scale · q kᵀ). @returns [heads, length, length] */
export function attentionProbabilities(qkv: Matrix, shape: Heads, scale: number): Matrix {
  const { length, heads, size } = shape;
  const probabilities = zeros(heads * length * length);
  for (let h = 0; h < heads; h++) {
    const { q, k } = head(qkv, shape, h);
    for (let t = 0; t < length; t++) {
      const scores = Array.from({ length: t + 1 }, (_, s) => {
        let dot = 0;
        for (let i = 0; i < size; i++) dot += q(t, i) * k(s, i);
        return Math.exp(scale * dot);
      });
      const sum = scores.reduce((a, b) => a + b, 0);
      for (const [s, score] of scores.entries()) probabilities[(h * length + t) * length + s] = score / sum;
    }
  }
  return probabilities;
}

/** @returns [length, heads · size] */
export function attention(qkv: Matrix, shape: Heads, scale: number): Matrix {
  const { length, heads, size } = shape;
  const p = attentionProbabilities(qkv, shape, scale);
  const output = zeros(length * heads * size);
  for (let h = 0; h < heads; h++) {
    const { v } = head(qkv, shape, h);
    for (let t = 0; t < length; t++) {
      for (let i = 0; i < size; i++) {
        for (let s = 0; s <= t; s++) output[(t * heads + h) * size + i]! += p[(h * length + t) * length + s]! * v(s, i);
      }
    }
  }
  return output;
}

/** @returns the gradient by qkv, [length, 3 · heads · size] */
export function attentionBackward(qkv: Matrix, dOutput: Matrix, shape: Heads, scale: number): Matrix {
  const { length, heads, size } = shape;
  const width = heads * size;
  const p = attentionProbabilities(qkv, shape, scale);
  const gradient = zeros(length * 3 * width);
  for (let h = 0; h < heads; h++) {
    const { q, k, v } = head(qkv, shape, h);
    const add = (which: number, t: number, i: number, value: number) => {
      gradient[t * 3 * width + which * width + h * size + i]! += value;
    };
    for (let t = 0; t < length; t++) {
      const row = p.subarray((h * length + t) * length, (h * length + t) * length + t + 1);
      const dy = (i: number) => dOutput[t * width + h * size + i]!;
      const dRow = row.map((_, s) => {
        let dot = 0;
        for (let i = 0; i < size; i++) dot += dy(i) * v(s, i);
        return dot;
      });
      const mean = row.reduce((sum, value, s) => sum + value * dRow[s]!, 0);
      for (const [s, probability] of row.entries()) {
        const dScore = scale * probability * (dRow[s]! - mean);
        for (let i = 0; i < size; i++) {
          add(0, t, i, dScore * k(s, i));
          add(1, s, i, dScore * q(t, i));
          add(2, s, i, probability * dy(i));
        }
      }
    }
  }
  return gradient;
}

/** Softmax of one row. */
export function softmax(row: ArrayLike<number>): number[] {
  const values = Array.from(row);
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

export interface AdamwSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  /** From 1. */
  readonly step: number;
}

/** One number's AdamW step, as Loshchilov and Hutter's algorithm 2 states it. */
export function adamw(p: number, g: number, m: number, v: number, settings: AdamwSettings) {
  const { learningRate, beta1, beta2, weightDecay, step } = settings;
  const first = beta1 * m + (1 - beta1) * g;
  const second = beta2 * v + (1 - beta2) * g * g;
  const firstUnbiased = first / (1 - beta1 ** step);
  const secondUnbiased = second / (1 - beta2 ** step);
  const move = firstUnbiased / (Math.sqrt(secondUnbiased) + 1e-8) + weightDecay * p;
  return { parameter: p - learningRate * move, first, second };
}
