/**
 * Tokens to experts and back. `positions` says, for each token and each of its slots, in which row of the permuted
 * matrix (by expert, then token, then choice) its copy lies; -1 marks an empty slot. Each of the two passes has its
 * backward.
 */
import { loadLanes, storeLanes, sumLanes } from "./lanes";

/** The row of a slot, or 0 of an empty one. */
function rowOf(matrix: usize, positions: usize, slot: usize, width: i32): usize {
  const row = load<i32>(positions + (slot << 2));
  return row < 0 ? 0 : matrix + ((<usize>row * <usize>width) << 2);
}

/** Copies every token to its rows. @param x [tokens, width] @param positions [tokens, slots] @param permuted written */
export function dispatch(x: usize, positions: usize, permuted: usize, tokens: i32, slots: i32, width: i32): void {
  const bytes = (<usize>width) << 2;
  for (let t: i32 = 0; t < tokens; t++, x += bytes) {
    for (let j: i32 = 0; j < slots; j++) {
      const row = rowOf(permuted, positions, t * slots + j, width);
      if (row != 0) memory.copy(row, x, bytes);
    }
  }
}

/** dx += the sum of the rows of a token. */
export function dispatchBackward(
  dPermuted: usize,
  positions: usize,
  dx: usize,
  tokens: i32,
  slots: i32,
  width: i32,
): void {
  for (let t: i32 = 0; t < tokens; t++, dx += (<usize>width) << 2) {
    for (let j: i32 = 0; j < slots; j++) {
      const row = rowOf(dPermuted, positions, t * slots + j, width);
      if (row == 0) continue;
      for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
        storeLanes(dx + i, f32x4.add(loadLanes(dx + i, left), loadLanes(row + i, left)), left);
      }
    }
  }
}

/** y += Σ_j weight_j · the token's row of choice j. @param weights [tokens, slots] @param y [tokens, width] */
export function combine(
  permuted: usize,
  positions: usize,
  weights: usize,
  y: usize,
  tokens: i32,
  slots: i32,
  width: i32,
): void {
  for (let t: i32 = 0; t < tokens; t++, y += (<usize>width) << 2) {
    for (let j: i32 = 0; j < slots; j++) {
      const slot = <usize>(t * slots + j);
      const row = rowOf(permuted, positions, slot, width);
      if (row == 0) continue;
      const weight = v128.load32_splat(weights + (slot << 2));
      for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
        storeLanes(y + i, f32x4.add(loadLanes(y + i, left), f32x4.mul(weight, loadLanes(row + i, left))), left);
      }
    }
  }
}

/** In place: the rows become the gradients by them. @param dWeights [tokens, slots] written */
export function combineBackward(
  dy: usize,
  permuted: usize,
  positions: usize,
  weights: usize,
  dWeights: usize,
  tokens: i32,
  slots: i32,
  width: i32,
): void {
  for (let t: i32 = 0; t < tokens; t++, dy += (<usize>width) << 2) {
    for (let j: i32 = 0; j < slots; j++) {
      const slot = <usize>(t * slots + j);
      const row = rowOf(permuted, positions, slot, width);
      if (row == 0) {
        store<f32>(dWeights + (slot << 2), 0);
        continue;
      }
      const weight = v128.load32_splat(weights + (slot << 2));
      let dots = f32x4.splat(0);
      for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
        const gradient = loadLanes(dy + i, left);
        dots = f32x4.add(dots, f32x4.mul(gradient, loadLanes(row + i, left)));
        storeLanes(row + i, f32x4.mul(weight, gradient), left);
      }
      store<f32>(dWeights + (slot << 2), sumLanes(dots));
    }
  }
}
