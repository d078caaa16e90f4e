/**
 * SwiGLU between the two projections of a feed-forward (Shazeer 2020, arXiv:2002.05202): silu(gate) · up, where
 * silu(a) = a · sigmoid(a). Gate and up lie side by side in a row, as one product wrote them.
 */
import { inverseExponentials, sigmoidOf } from "./elementary";
import { loadLanes, storeLanes } from "./lanes";

/** @param gateUp [rows, gate width | up width] @param y [rows, width] written */
export function swigluForward(gateUp: usize, y: usize, rows: i32, width: i32): void {
  const bytes = (<usize>width) << 2;
  for (let row: i32 = 0; row < rows; row++, gateUp += 2 * bytes, y += bytes) {
    inverseExponentials(gateUp, y, width);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      const gate = loadLanes(gateUp + i, left);
      const up = loadLanes(gateUp + bytes + i, left);
      storeLanes(y + i, f32x4.mul(f32x4.mul(gate, sigmoidOf(loadLanes(y + i, left))), up), left);
    }
  }
}

/** In place: gate and up become the gradients by them. @param dy [rows, width] @param scratch [width] */
export function swigluBackward(gateUp: usize, dy: usize, rows: i32, width: i32, scratch: usize): void {
  const bytes = (<usize>width) << 2;
  const one = f32x4.splat(1);
  for (let row: i32 = 0; row < rows; row++, gateUp += 2 * bytes, dy += bytes) {
    inverseExponentials(gateUp, scratch, width);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      const gate = loadLanes(gateUp + i, left);
      const up = loadLanes(gateUp + bytes + i, left);
      const gradient = loadLanes(dy + i, left);
      const sigmoid = sigmoidOf(loadLanes(scratch + i, left));
      const silu = f32x4.mul(gate, sigmoid);
      const slope = f32x4.add(sigmoid, f32x4.mul(silu, f32x4.sub(one, sigmoid)));
      storeLanes(gateUp + i, f32x4.mul(f32x4.mul(gradient, up), slope), left);
      storeLanes(gateUp + bytes + i, f32x4.mul(gradient, silu), left);
    }
  }
}
