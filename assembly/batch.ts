/**
 * The routing pass of a batch in doubles, as the page runs it: softmax scores, the K/M best of each of M groups (plain
 * top-k is one group), and weights that are the softmax over the chosen.
 *
 * It is a twin of src/routing/, operation for operation, so that the bits are those of the TypeScript, which all other
 * routers go through. What lies behind the rows is spoiled for up to 64 bytes.
 */
import { below, below2, double, exponentials, setDouble } from "./doubles";
import { expertAt, takeLargest } from "./largest";

const DOUBLE: usize = 8;
const ID: usize = 4;

/** @param logits [tokens, N] @param scores [tokens, N] written, row by row: what spoils the next row comes before it */
export function softmax(logits: usize, scores: usize, tokens: i32, experts: i32): void {
  const row = <usize>experts * DOUBLE;
  for (let t: i32 = 0; t < tokens; t++, logits += row, scores += row) {
    const largest = f64x2.splat(largestOf(logits, experts));
    for (let i: usize = 0; i < row; i += 16) {
      v128.store(scores + i, below2(v128.load(logits + i), largest));
    }
    exponentials(scores, experts);
    let sum: f64 = 0;
    for (let i: i32 = 0; i < experts; i++) sum += double(scores, i);
    const divisor = f64x2.splat(sum);
    for (let i: usize = 0; i < row; i += 16) v128.store(scores + i, f64x2.div(v128.load(scores + i), divisor));
  }
}

/** −∞ of none; what is no number does not count. */
function largestOf(row: usize, count: i32): f64 {
  let pair = f64x2.splat(-Infinity);
  const whole = count & ~1;
  for (let i: i32 = 0; i < whole; i += 2) pair = f64x2.pmax(pair, v128.load(row + ((<usize>i) << 3)));
  let largest = f64x2.extract_lane(pair, 0);
  if (f64x2.extract_lane(pair, 1) > largest) largest = f64x2.extract_lane(pair, 1);
  if (whole < count && double(row, whole) > largest) largest = double(row, whole);
  return largest;
}

/**
 * The `topK / groups` best of each group, best first, equal ones by lower id.
 * @param ranked [tokens, N] scores if there is a bias, or else logits
 * @param bias [N] added for the choice; 0: none
 * @param chosen [tokens, K] i32 written
 * @param best [K] scratch
 */
export function choose(
  ranked: usize,
  bias: usize,
  tokens: i32,
  experts: i32,
  topK: i32,
  groups: i32,
  chosen: usize,
  best: usize,
): void {
  const size = experts / groups;
  const count = topK / groups;
  for (let t: i32 = 0; t < tokens; t++, ranked += <usize>experts * DOUBLE) {
    for (let from: i32 = 0; from < experts; from += size, chosen += <usize>count * ID) {
      takeLargest<f64>(ranked, bias, from, from + size, count, chosen, best);
    }
  }
}

/**
 * The softmax over each token's chosen logits, times the scale.
 * @param logits [tokens, N]
 * @param chosen [tokens, K] i32
 * @param weights [tokens, K] written
 */
export function weigh(
  logits: usize,
  chosen: usize,
  weights: usize,
  tokens: i32,
  experts: i32,
  topK: i32,
  scale: f64,
): void {
  for (let t: i32 = 0; t < tokens; t++) {
    let largest: f64 = -Infinity;
    for (let j: i32 = 0; j < topK; j++) largest = max(largest, double(logits, expertAt(chosen, j)));
    for (let j: i32 = 0; j < topK; j++) {
      setDouble(weights, j, below(double(logits, expertAt(chosen, j)), largest));
    }
    exponentials(weights, topK);
    let sum: f64 = 0;
    for (let j: i32 = 0; j < topK; j++) sum += double(weights, j);
    for (let j: i32 = 0; j < topK; j++) setDouble(weights, j, (double(weights, j) / sum) * scale);
    logits += <usize>experts * DOUBLE;
    chosen += <usize>topK * ID;
    weights += <usize>topK * DOUBLE;
  }
}
