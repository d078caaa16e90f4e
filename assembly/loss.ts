/**
 * Softmax and cross-entropy over the vocabulary, row by row. The logarithm is left to the caller, who takes it in
 * doubles: loss = log(sum) − shifted, the two numbers that the forward pass leaves for each row.
 */
import { inverseExponentials } from "./elementary";
import { largestOf, loadLanes, storeLanes, sumLanes } from "./lanes";

/**
 * In place: logits become probabilities.
 * @param logits [rows, width]
 * @param targets [rows] bytes
 * @param terms [rows, 2] written: Σ e^(x − max), and x_target − max
 */
export function crossEntropyForward(logits: usize, targets: usize, terms: usize, rows: i32, width: i32): void {
  for (let row: i32 = 0; row < rows; row++, logits += (<usize>width) << 2, terms += 8) {
    const largest = largestOf(logits, width);
    const target = <usize>load<u8>(targets + row);
    store<f32>(terms, load<f32>(logits + (target << 2)) - largest, 4);
    const shift = f32x4.splat(largest);
    let sums = f32x4.splat(0);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      storeLanes(logits + i, f32x4.sub(shift, loadLanes(logits + i, left)), left);
    }
    inverseExponentials(logits, logits, width);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      sums = f32x4.add(sums, loadLanes(logits + i, left));
    }
    const sum = sumLanes(sums);
    store<f32>(terms, sum);
    const inverse = f32x4.splat(1 / sum);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      storeLanes(logits + i, f32x4.mul(loadLanes(logits + i, left), inverse), left);
    }
  }
}

/** In place: probabilities become scale · (probability − 1 at the target), the gradient by the logits. */
export function crossEntropyBackward(probabilities: usize, targets: usize, scale: f32, rows: i32, width: i32): void {
  const factor = f32x4.splat(scale);
  for (let row: i32 = 0; row < rows; row++, probabilities += (<usize>width) << 2) {
    const target = probabilities + ((<usize>load<u8>(targets + row)) << 2);
    store<f32>(target, load<f32>(target) - 1);
    for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
      storeLanes(probabilities + i, f32x4.mul(loadLanes(probabilities + i, left), factor), left);
    }
  }
}
