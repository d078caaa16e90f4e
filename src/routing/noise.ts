/**
 * Noise on the logits of a training batch, so that an expert which just misses the choice is tried now and then.
 *
 * `learned` is Shazeer et al. 2017, arXiv:1701.06538, eq. 4: h_i = x_i + ε_i · (softplus(r_i) + scale), where r is a
 * second projection of the token and ε standard normal; FastMoE's NoisyGate has the floor of 0.01. `gaussian` has a
 * fixed deviation, h_i = x_i + ε_i · scale; Tutel's gate noise is of this kind with scale = gate_noise / N.
 */
import { sigmoid, softplus } from "../core/elementary.ts";
import type { Floats } from "../core/floats.ts";
import type { Random } from "../core/random.ts";
import type { TokenRange } from "./assignment.ts";

export const noiseKinds = {
  learned: "standard deviation softplus(x · W_noise) + scale",
  gaussian: "standard deviation `scale`",
} as const;

export type NoiseKind = keyof typeof noiseKinds;

export interface NoiseSettings {
  readonly kind: NoiseKind;
  /** Of `learned` what the deviation never falls below, of `gaussian` the deviation; in logits. */
  readonly scale: number;
}

/** A batch of noise, and what it falls on. Rows are tokens. */
export interface Noise {
  readonly settings: NoiseSettings;
  /** [T, N] logits before the noise */
  readonly clean: Floats;
  /** [T, N] r of `learned`; absent otherwise */
  readonly raw?: Floats | undefined;
  /** [T, N] standard normal numbers; zeros where nothing is learned */
  readonly draws: Floats;
}

/** New standard normal numbers for the tokens of a range. */
export function drawNoise({ draws }: Noise, random: Random, { first, last }: TokenRange, experts: number): void {
  for (let i = first * experts; i < last * experts; i++) draws[i] = random.gaussian();
}

/** The standard deviation of one logit. @param at its place in [T, N] */
export function deviationAt({ settings, raw }: Noise, at: number): number {
  return settings.kind === "learned" ? softplus(raw![at]!) + settings.scale : settings.scale;
}

/** noisy = clean + draws · deviation. @param noisy [T, N] */
export function addNoise(noise: Noise, noisy: Floats, { first, last }: TokenRange, experts: number): void {
  for (let i = first * experts; i < last * experts; i++) {
    const draw = noise.draws[i]!;
    noisy[i] = draw === 0 ? noise.clean[i]! : noise.clean[i]! + draw * deviationAt(noise, i);
  }
}

/**
 * The gradient by r: what comes through the noisy logit and what a loss asks of the deviation itself.
 * @param at its place in [T, N]
 */
export function rawGradient(noise: Noise, at: number, byNoisy: number, byDeviation: number): number {
  return (byNoisy * noise.draws[at]! + byDeviation) * sigmoid(noise.raw![at]!);
}
