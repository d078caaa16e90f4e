/**
 * What a router without any preference gives on average: closed forms that simulated draws are held against.
 *
 * "Without preference" means that every expert is as likely as any other. Devices hold N/D experts each.
 */
import { normalDistribution } from "../core/elementary.ts";

export interface UniformSetting {
  readonly experts: number;
  readonly topK: number;
  readonly devices: number;
}

/** How the K experts of a token are drawn: K distinct ones, or K independent draws as eq. 4 of arXiv:2505.21411 says literally. */
export type DrawMode = "distinct" | "with-replacement";

/**
 * Mean imbalance score of top-k, by the expected range of D independent normal numbers. Loads become normal as the
 * batch grows: within 1 % at 16 tokens of 64 experts, top-8, 8 devices; poor for a single token.
 */
export function expectedImbalanceScore(
  { experts, topK, devices }: UniformSetting,
  tokens: number,
  mode: DrawMode,
): number {
  const left = mode === "distinct" ? (experts - topK) / Math.max(1, experts - 1) : 1; // finite-population correction
  return expectedNormalRange(devices) * Math.sqrt((topK * left) / (devices * tokens));
}

/** Probability that one token loads all devices equally: exact. Zero unless K is a multiple of D. */
export function balancedTokenProbability({ experts, topK, devices }: UniformSetting, mode: DrawMode): number {
  const each = topK / devices;
  if (!Number.isInteger(each)) return 0;
  if (mode === "distinct") {
    let ways = 1;
    for (let device = 0; device < devices; device++) ways *= choose(experts / devices, each);
    return ways / choose(experts, topK);
  }
  let probability = 1;
  for (let device = 0; device < devices; device++) {
    probability *= choose(topK - device * each, each);
    for (let pick = 0; pick < each; pick++) probability /= devices;
  }
  return probability;
}

/** Mean number of distinct devices of a token: exact. */
export function expectedFanOut({ experts, topK, devices }: UniformSetting, mode: DrawMode): number {
  let missed = 1; // probability that a token leaves one given device out
  for (let pick = 0; pick < topK; pick++) {
    const drawn = mode === "distinct" ? pick : 0;
    missed *= Math.max(0, 1 - experts / devices / (experts - drawn));
  }
  return devices * (1 - missed);
}

/** Mean of the largest minus the smallest of n standard normal numbers: ∫ 1 − Φ(x)^n − (1 − Φ(x))^n dx (Tippett 1925). */
export function expectedNormalRange(n: number): number {
  const step = 1 / 64; // the trapezoid rule is exact to the last digits on a smooth function that dies away on both sides
  let sum = 0;
  for (let x = 0; x <= 9; x += step) {
    const below = normalDistribution(x);
    let powerBelow = 1;
    let powerAbove = 1;
    for (let i = 0; i < n; i++) {
      powerBelow *= below;
      powerAbove *= 1 - below;
    }
    sum += (x === 0 ? 1 : 2) * (1 - powerBelow - powerAbove);
  }
  return sum * step;
}

function choose(n: number, k: number): number {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways *= (n - k + i) / i;
  return ways;
}
