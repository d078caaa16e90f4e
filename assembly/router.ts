/**
 * The routing pass of a layer in training, forwards and backwards, for routers that take the K/M best of each of M
 * groups (plain top-k is one group): scores by softmax or sigmoid, weights as they are or divided by their sum.
 *
 * It is a twin of src/routing/ in doubles, operation for operation, so that the bits are those of the TypeScript, which
 * all other routers go through. Exponentials are taken eight at a time; nothing is blocked: a token's row stays in the
 * first-level cache from its scores to its weights.
 */
import { below, double, exponentials, setDouble, softmaxTerms } from "./doubles";
import { storeLanes } from "./lanes";
import { expertAt, takeLargest } from "./largest";

/** How gates are made; laid out by src/engine/wasm/router-kernel.ts, which writes these words in this order. */
@unmanaged
export class Gate {
  /** Keeps vanished scores from dividing by zero; nothing for softmax. */
  epsilon: f64;
  /** Multiplies every weight. */
  scale: f64;
  /** N */
  experts: i32;
  /** K */
  topK: i32;
  /** M */
  groups: i32;
  /** 0: softmax, 1: sigmoid */
  sigmoid: i32;
  /** 1: weights are divided by their sum. */
  divides: i32;
}

function float(base: usize, i: i32): f64 {
  return <f64>load<f32>(base + ((<usize>i) << 2));
}

function setFloat(base: usize, i: i32, value: f64): void {
  store<f32>(base + ((<usize>i) << 2), <f32>value);
}

/**
 * @param logits [tokens, N]
 * @param bias [N] f64 added to the scores for the choice; 0: none, and the logits say which score is larger
 * @param scores [tokens, N] written
 * @param experts [tokens, K] i32, written
 * @param weights [tokens, K] written
 * @param scratch [N] f64 and eight more
 */
export function routeForward(
  gate: Gate,
  logits: usize,
  bias: usize,
  scores: usize,
  experts: usize,
  weights: usize,
  tokens: i32,
  scratch: usize,
): void {
  const row = (<usize>gate.experts) << 2;
  const slots = (<usize>gate.topK) << 2;
  const size = gate.experts / gate.groups;
  const count = gate.topK / gate.groups;
  for (let t: i32 = 0; t < tokens; t++) {
    if (gate.sigmoid) sigmoids(logits, scores, gate.experts, scratch);
    else softmax(logits, scores, gate.experts, scratch);
    let taken = experts;
    for (let from: i32 = 0; from < gate.experts; from += size, taken += (<usize>count) << 2) {
      takeLargest<f32>(bias == 0 ? logits : scores, bias, from, from + size, count, taken, scratch);
    }
    weigh(gate, logits, scores, experts, weights, scratch);
    logits += row;
    scores += row;
    experts += slots;
    weights += slots;
  }
}

/** @param terms [N] f64 scratch */
function softmax(logits: usize, scores: usize, experts: i32, terms: usize): void {
  const sum = f64x2.splat(softmaxTerms(logits, experts, terms));
  for (let i: i32 = 0; i < experts; i += 2) {
    // The scores are floats before they are divided, too.
    const rounded = f64x2.promote_low_f32x4(f32x4.demote_f64x2_zero(v128.load(terms + ((<usize>i) << 3))));
    storeLanes(scores + ((<usize>i) << 2), f32x4.demote_f64x2_zero(f64x2.div(rounded, sum)), min(experts - i, 2));
  }
}

/** @param terms [N] f64 scratch */
function sigmoids(logits: usize, scores: usize, experts: i32, terms: usize): void {
  for (let i: i32 = 0; i < experts; i++) setDouble(terms, i, -abs(float(logits, i)));
  exponentials(terms, experts);
  for (let i: i32 = 0; i < experts; i++) {
    const e = double(terms, i);
    setFloat(scores, i, (float(logits, i) >= 0 ? 1 : e) / (1 + e));
  }
}

/** @param shares [K] f64 scratch */
function weigh(gate: Gate, logits: usize, scores: usize, experts: usize, weights: usize, shares: usize): void {
  const topK = gate.topK;
  // From the logits: softmax scores that vanish beside an expert not chosen still have their proportions.
  const byLogits = gate.divides && !gate.sigmoid;
  let largest: f64 = -Infinity;
  if (byLogits) for (let j: i32 = 0; j < topK; j++) largest = max(largest, float(logits, expertAt(experts, j)));
  for (let j: i32 = 0; j < topK; j++) {
    const expert = expertAt(experts, j);
    setDouble(shares, j, byLogits ? below(float(logits, expert), largest) : float(scores, expert));
  }
  if (byLogits) exponentials(shares, topK);
  let sum: f64 = 0;
  for (let j: i32 = 0; j < topK; j++) sum += double(shares, j);
  const divisor = gate.divides ? sum + gate.epsilon : 1;
  for (let j: i32 = 0; j < topK; j++) setFloat(weights, j, (double(shares, j) / divisor) * gate.scale);
}

/**
 * The gradient by the logits, the choice held constant. Adding 0 makes a negative zero positive, as it is there.
 * @param scores,experts what `routeForward` wrote
 * @param bySums [N] f64 gradient of the balancing losses by the sums of probabilities; 0: there is none
 * @param dWeights [tokens, K]
 * @param dLogits [tokens, N] written
 * @param scratch [N] f64
 */
export function routeBackward(
  gate: Gate,
  scores: usize,
  experts: usize,
  bySums: usize,
  dWeights: usize,
  dLogits: usize,
  tokens: i32,
  scratch: usize,
): void {
  const count = gate.experts;
  const row = (<usize>count) << 2;
  const slots = (<usize>gate.topK) << 2;
  for (let t: i32 = 0; t < tokens; t++) {
    if (bySums == 0) memory.fill(scratch, 0, (<usize>count) << 3);
    else probabilityBackward(gate, scores, bySums, scratch);
    weighBackward(gate, scores, experts, dWeights, scratch);
    if (gate.sigmoid) {
      for (let i: i32 = 0; i < count; i++) {
        const s = float(scores, i);
        setFloat(dLogits, i, double(scratch, i) * s * (1 - s) + 0);
      }
    } else {
      let dot: f64 = 0;
      for (let i: i32 = 0; i < count; i++) dot += double(scratch, i) * float(scores, i);
      for (let i: i32 = 0; i < count; i++) setFloat(dLogits, i, float(scores, i) * (double(scratch, i) - dot) + 0);
    }
    scores += row;
    dLogits += row;
    experts += slots;
    dWeights += slots;
  }
}

/** Keeps vanished scores from dividing by zero where they become probabilities; DEFAULT_EPSILON of src/routing/gates.ts. */
const EPSILON: f64 = 1e-20;

/** From the gradient by a token's probabilities, its scores divided by their sum, to that by its scores. Both [N] f64. */
function probabilityBackward(gate: Gate, scores: usize, byProbability: usize, gradient: usize): void {
  const count = gate.experts;
  let total: f64 = 1;
  let mean: f64 = 0; // of the gradient, weighted by the probabilities: what dividing by the sum takes back
  if (gate.sigmoid) {
    total = EPSILON;
    for (let i: i32 = 0; i < count; i++) total += float(scores, i);
    for (let i: i32 = 0; i < count; i++) mean += (double(byProbability, i) * float(scores, i)) / total;
  }
  for (let i: i32 = 0; i < count; i++) setDouble(gradient, i, (double(byProbability, i) - mean) / total);
}

/** Adds what comes through the weights of one token. @param gradient [N] f64 by its scores */
function weighBackward(gate: Gate, scores: usize, experts: usize, dWeights: usize, gradient: usize): void {
  const topK = gate.topK;
  let divisor: f64 = 1;
  if (gate.divides) {
    let sum: f64 = 0;
    for (let j: i32 = 0; j < topK; j++) sum += float(scores, expertAt(experts, j));
    divisor = sum + gate.epsilon;
    if (divisor == 0) return; // scores that have vanished move no more
    let mean: f64 = 0; // the weight gradients averaged with the weights: what dividing by the sum takes back
    for (let j: i32 = 0; j < topK; j++) {
      mean += (gate.scale * float(dWeights, j) * float(scores, expertAt(experts, j))) / divisor;
    }
    for (let j: i32 = 0; j < topK; j++) add(gradient, expertAt(experts, j), -(mean / divisor));
  }
  for (let j: i32 = 0; j < topK; j++) add(gradient, expertAt(experts, j), (gate.scale * float(dWeights, j)) / divisor);
}

function add(sums: usize, i: i32, value: f64): void {
  setDouble(sums, i, double(sums, i) + value);
}
