/**
 * Causal multi-head attention of one sequence, between the query-key-value projection and the output projection.
 *
 * For each head: scores = scale · q·kᵀ, probabilities = softmax over the keys up to the query, output =
 * probabilities · v. Queries are taken BLOCK at a time with the keys up to the end of their block, which leaves out
 * most of what causality masks; between a query and the end of its block the probabilities are zeros, further
 * right they are never written and never read. The products are those of gemm.ts.
 */
import { inverseExponentials } from "./elementary";
import { gemm } from "./gemm";
import { largestOf, loadLanes, storeLanes, sumLanes } from "./lanes";

const BLOCK: i32 = 32;

function at(base: usize, row: i32, width: i32, column: i32): usize {
  return base + ((<usize>row * <usize>width + <usize>column) << 2);
}

/**
 * @param qkv [length, q heads·size | k heads·size | v heads·size]
 * @param probabilities [heads, length, length] written
 * @param output [length, heads·size] written
 * @param scratch for `gemm`
 */
export function attentionForward(
  qkv: usize,
  probabilities: usize,
  output: usize,
  length: i32,
  heads: i32,
  size: i32,
  scale: f32,
  scratch: usize,
): void {
  const width = heads * size;
  for (let head: i32 = 0; head < heads; head++) {
    const q = at(qkv, 0, 0, head * size);
    const k = at(q, 0, 0, width);
    const v = at(k, 0, 0, width);
    const p = at(probabilities, head * length, length, 0);
    for (let i: i32 = 0; i < length; i += BLOCK) {
      const rows = min(BLOCK, length - i);
      const keys = i + rows;
      const block = at(p, i, length, 0);
      gemm(at(q, i, 3 * width, 0), 3 * width, 1, k, 1, 3 * width, block, length, rows, keys, size, 0, scratch);
      for (let r: i32 = 0; r < rows; r++) softmaxRow(at(block, r, length, 0), i + r + 1, keys, scale);
      gemm(block, length, 1, v, 3 * width, 1, at(output, i, width, head * size), width, rows, size, keys, 0, scratch);
    }
  }
}

/**
 * @param dOutput [length, heads·size]
 * @param dScores [length, length] scratch
 * @param dQkv [length, 3·heads·size] written
 */
export function attentionBackward(
  qkv: usize,
  probabilities: usize,
  dOutput: usize,
  dScores: usize,
  dQkv: usize,
  length: i32,
  heads: i32,
  size: i32,
  scale: f32,
  scratch: usize,
): void {
  const width = heads * size;
  for (let head: i32 = 0; head < heads; head++) {
    const q = at(qkv, 0, 0, head * size);
    const k = at(q, 0, 0, width);
    const v = at(k, 0, 0, width);
    const dq = at(dQkv, 0, 0, head * size);
    const dk = at(dq, 0, 0, width);
    const dv = at(dk, 0, 0, width);
    const dy = at(dOutput, 0, 0, head * size);
    const p = at(probabilities, head * length, length, 0);
    for (let i: i32 = 0; i < length; i += BLOCK) {
      const rows = min(BLOCK, length - i);
      const keys = i + rows;
      const ds = at(dScores, i, length, 0);
      gemm(at(dy, i, width, 0), width, 1, v, 1, 3 * width, ds, length, rows, keys, size, 0, scratch);
      for (let r: i32 = 0; r < rows; r++) {
        softmaxBackwardRow(at(p, i + r, length, 0), at(ds, r, length, 0), keys, scale);
      }
      gemm(ds, length, 1, k, 3 * width, 1, at(dq, i, 3 * width, 0), 3 * width, rows, size, keys, 0, scratch);
    }
    // The gradients by keys and values: queries before a block of keys do not see it.
    for (let j: i32 = 0; j < length; j += BLOCK) {
      const rows = min(BLOCK, length - j);
      const queries = length - j;
      const pFrom = at(p, j, length, j);
      const dsFrom = at(dScores, j, length, j);
      gemm(
        pFrom,
        1,
        length,
        at(dy, j, width, 0),
        width,
        1,
        at(dv, j, 3 * width, 0),
        3 * width,
        rows,
        size,
        queries,
        0,
        scratch,
      );
      gemm(
        dsFrom,
        1,
        length,
        at(q, j, 3 * width, 0),
        3 * width,
        1,
        at(dk, j, 3 * width, 0),
        3 * width,
        rows,
        size,
        queries,
        0,
        scratch,
      );
    }
  }
}

/** In place: softmax of scale · the first `seen` scores; zeros from there to `keys`. */
function softmaxRow(row: usize, seen: i32, keys: i32, scale: f32): void {
  const factor = f32x4.splat(scale);
  const shift = f32x4.splat(largestOf(row, seen));
  let sums = f32x4.splat(0);
  for (let left = seen, i: usize = 0; left > 0; left -= 4, i += 16) {
    storeLanes(row + i, f32x4.mul(f32x4.sub(shift, loadLanes(row + i, left)), factor), left);
  }
  inverseExponentials(row, row, seen);
  for (let left = seen, i: usize = 0; left > 0; left -= 4, i += 16) {
    sums = f32x4.add(sums, loadLanes(row + i, left));
  }
  const inverse = f32x4.splat(1 / sumLanes(sums));
  for (let left = seen, i: usize = 0; left > 0; left -= 4, i += 16) {
    storeLanes(row + i, f32x4.mul(loadLanes(row + i, left), inverse), left);
  }
  memory.fill(at(row, 0, 0, seen), 0, (<usize>(keys - seen)) << 2);
}

/** In place: the gradient by the probabilities becomes the gradient by the unscaled scores. Masked ones come out 0. */
function softmaxBackwardRow(p: usize, gradient: usize, keys: i32, scale: f32): void {
  let dots = f32x4.splat(0);
  for (let left = keys, i: usize = 0; left > 0; left -= 4, i += 16) {
    dots = f32x4.add(dots, f32x4.mul(loadLanes(p + i, left), loadLanes(gradient + i, left)));
  }
  const dot = f32x4.splat(sumLanes(dots));
  const factor = f32x4.splat(scale);
  for (let left = keys, i: usize = 0; left > 0; left -= 4, i += 16) {
    const centred = f32x4.sub(loadLanes(gradient + i, left), dot);
    storeLanes(gradient + i, f32x4.mul(f32x4.mul(loadLanes(p + i, left), centred), factor), left);
  }
}
