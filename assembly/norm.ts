/**
 * RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467): y = gain · x / √(mean x² + ε), row by row.
 *
 * A row is two passes over contiguous floats that stay in the first-level cache; nothing is blocked.
 */
import { loadLanes, storeLanes, sumLanes } from "./lanes";

const EPSILON: f32 = 1e-5;

/** @param x,y [rows, width] @param gain [width] @param inverse [rows] written: 1 / √(mean x² + ε) */
export function normForward(x: usize, gain: usize, y: usize, inverse: usize, rows: i32, width: i32): void {
  const bytes = (<usize>width) << 2;
  for (let row: i32 = 0; row < rows; row++, x += bytes, y += bytes, inverse += 4) {
    let squares = f32x4.splat(0);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      const value = loadLanes(x + i, left);
      squares = f32x4.add(squares, f32x4.mul(value, value));
    }
    const scale: f32 = 1 / sqrt<f32>(sumLanes(squares) / <f32>width + EPSILON);
    store<f32>(inverse, scale);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      const scaled = f32x4.mul(loadLanes(x + i, left), f32x4.splat(scale));
      storeLanes(y + i, f32x4.mul(scaled, loadLanes(gain + i, left)), left);
    }
  }
}

/**
 * dx = residual + what comes through the norm; a block's input also goes round the block.
 * @param dy,x,residual,dx [rows, width]
 * @param inverse [rows] from `normForward`
 * @param gainGradient [width] written: the sum over these rows
 */
export function normBackward(
  dy: usize,
  x: usize,
  gain: usize,
  inverse: usize,
  residual: usize,
  dx: usize,
  gainGradient: usize,
  rows: i32,
  width: i32,
): void {
  const bytes = (<usize>width) << 2;
  memory.fill(gainGradient, 0, bytes);
  for (let row: i32 = 0; row < rows; row++) {
    const scale = load<f32>(inverse);
    let dot = f32x4.splat(0);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      const scaled = f32x4.mul(loadLanes(dy + i, left), loadLanes(gain + i, left));
      dot = f32x4.add(dot, f32x4.mul(scaled, loadLanes(x + i, left)));
    }
    const shrink = f32x4.splat((sumLanes(dot) * scale * scale * scale) / <f32>width);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      const value = loadLanes(x + i, left);
      const scaled = f32x4.mul(loadLanes(dy + i, left), f32x4.splat(scale));
      const ofGain = f32x4.add(loadLanes(gainGradient + i, left), f32x4.mul(scaled, value));
      storeLanes(gainGradient + i, ofGain, left);
      const through = f32x4.sub(f32x4.mul(scaled, loadLanes(gain + i, left)), f32x4.mul(value, shrink));
      storeLanes(dx + i, f32x4.add(loadLanes(residual + i, left), through), left);
    }
    dy += bytes;
    x += bytes;
    residual += bytes;
    dx += bytes;
    inverse += 4;
  }
}

/** Adds the rows of a matrix to a vector, first row first. @param x [rows, width] @param sum [width] added to */
export function addRows(x: usize, sum: usize, rows: i32, width: i32): void {
  for (let row: i32 = 0; row < rows; row++, x += (<usize>width) << 2) {
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      storeLanes(sum + i, f32x4.add(loadLanes(sum + i, left), loadLanes(x + i, left)), left);
    }
  }
}
