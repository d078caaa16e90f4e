/**
 * The exact distribution of the imbalance score of routers without preference, where it has a closed form: loads are
 * independent but for their sum, so the probability that all of them lie in [a, b] is a coefficient of a polynomial's power,
 *
 *   P(a ≤ every load ≤ b) = [xⁿ] (Σ_{j=a..b} w_j xʲ)^c / [xⁿ] (Σ_j w_j xʲ)^c,
 *
 * with w_j = λʲ/j! for n independent draws on c devices and w_j = C(N/c, j) for n distinct ones. From it
 * P(range ≤ v) = Σ_a P(all in [a, a + v]) − P(all in [a + 1, a + v]), each range counted where its smallest load is a.
 */
import { exp } from "../core/elementary.ts";
import type { UniformChoiceName } from "./uniform-choices.ts";

export interface ExactSetting {
  readonly experts: number;
  readonly topK: number;
  readonly groups: number;
  readonly devices: number;
}

export interface ExactImbalance {
  /** E[imbalance score] */
  readonly mean: number;
  /** P(imbalance score = 0) */
  readonly balanced: number;
}

/** Draws whose distribution is still worked out; the polynomials grow with them. */
const MOST_DRAWS = 128;

/** Undefined where there is no closed form, or where it would take minutes. */
export function exactImbalance(
  choice: UniformChoiceName,
  setting: ExactSetting,
  tokens: number,
): ExactImbalance | undefined {
  const { experts, topK, devices } = setting;
  if (choice === "moge") return exactOfGroups(setting, tokens);
  const draws = topK * tokens;
  if (choice === "topk-with-replacement") {
    return draws > MOST_DRAWS
      ? undefined
      : fromRange(independentBlocks(poisson(draws / devices, draws), devices, draws, 1), draws, tokens);
  }
  if (tokens === 1)
    return fromRange(independentBlocks(binomials(experts / devices, topK), devices, topK, 1), topK, tokens);
  return devices === 2 && tokens <= MOST_DRAWS ? onTwoDevices(experts, topK, tokens) : undefined;
}

/** Whole groups on a device: always equal. A group over several: its tokens fall on them independently, for one expert a group. */
function exactOfGroups({ topK, groups, devices }: ExactSetting, tokens: number): ExactImbalance | undefined {
  if (groups % devices === 0) return { mean: 0, balanced: 1 };
  const spread = devices / groups;
  if (!Number.isInteger(spread) || topK !== groups || tokens > MOST_DRAWS / 2) return undefined;
  return fromRange(independentBlocks(poisson(tokens / spread, tokens), spread, tokens, groups), tokens, tokens);
}

/** Probability that every load lies in [a, b]. */
type Within = (a: number, b: number) => number;

/** `blocks` independent sets of `cells` loads, each set with the sum `total`. */
function independentBlocks(weights: Float64Array, cells: number, total: number, blocks: number): Within {
  const whole = coefficient(weights, 0, total, cells, total);
  return (a, b) => {
    const share = coefficient(weights, a, b, cells, total) / whole;
    let all = 1;
    for (let block = 0; block < blocks; block++) all *= share;
    return all;
  };
}

/** [x^total] (Σ_{j=a..b} w_j xʲ)^cells, by repeated squaring. */
function coefficient(weights: Float64Array, a: number, b: number, cells: number, total: number): number {
  if (a > b || cells * a > total || cells * b < total) return 0;
  let square = new Float64Array(total + 1);
  for (let j = a; j <= Math.min(b, weights.length - 1, total); j++) square[j] = weights[j]!;
  let power = new Float64Array(total + 1);
  power[0] = 1;
  for (let left = cells; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = product(power, square);
    if (left > 1) square = product(square, square);
  }
  return power[total]!;
}

/** Up to the degree of its arguments. */
function product(p: Float64Array, q: Float64Array): Float64Array<ArrayBuffer> {
  const result = new Float64Array(p.length);
  for (let i = 0; i < p.length; i++) {
    if (p[i] === 0) continue;
    for (let j = 0; i + j < p.length; j++) result[i + j]! += p[i]! * q[j]!;
  }
  return result;
}

function poisson(rate: number, most: number): Float64Array {
  const weights = new Float64Array(most + 1);
  weights[0] = exp(-rate);
  for (let j = 1; j <= most; j++) weights[j] = (weights[j - 1]! * rate) / j;
  return weights;
}

function binomials(n: number, most: number): Float64Array {
  const weights = new Float64Array(most + 1);
  weights[0] = 1;
  for (let j = 1; j <= most; j++) weights[j] = Math.max(0, (weights[j - 1]! * (n - j + 1)) / j);
  return weights;
}

function fromRange(within: Within, most: number, tokens: number): ExactImbalance {
  let mean = 0;
  let balanced = 0;
  for (let v = 0; v <= most; v++) {
    let atMost = 0;
    for (let a = 0; a <= most; a++)
      atMost += within(a, Math.min(most, a + v)) - (v === 0 ? 0 : within(a + 1, Math.min(most, a + v)));
    if (v === 0) balanced = atMost;
    mean += 1 - atMost;
    if (1 - atMost < 1e-13) break;
  }
  return { mean: mean / tokens, balanced };
}

/** One device has a sum of independent hypergeometric loads, the other the rest. */
function onTwoDevices(experts: number, topK: number, tokens: number): ExactImbalance {
  const half = binomials(experts / 2, topK);
  const one = half.map((ways, j) => ways * half[topK - j]!);
  const all = one.reduce((sum, each) => sum + each, 0);
  const total = topK * tokens;
  let load = new Float64Array(total + 1);
  load[0] = 1;
  const single = new Float64Array(total + 1);
  for (let j = 0; j <= topK; j++) single[j] = one[j]! / all;
  for (let t = 0; t < tokens; t++) load = product(load, single);
  let mean = 0;
  for (let j = 0; j <= total; j++) mean += (load[j]! * Math.abs(2 * j - total)) / tokens;
  return { mean, balanced: total % 2 === 0 ? load[total / 2]! : 0 };
}
