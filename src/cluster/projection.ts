/**
 * From the small model that is trained to the large machine that is priced.
 *
 * Recent tokens of a trained layer are pooled, and the target's tokens are drawn from them with replacement, each
 * with all its K experts. So expert loads, device loads and fan-out belong together, a router's guarantees (MoGE's
 * equal groups) hold as they did in training, and the sampling noise is that of the target's many tokens, not of
 * one small batch. This is a projection, not a measurement: ranks differ by chance alone, though a real rank's text
 * may differ in kind; and the pool is itself a sample, so its own noise of about 1/√(pooled tokens) remains.
 */
import type { Random } from "../core/random.ts";

/** How a token reaches several experts on one device. */
export const dispatchModes = {
  deduplicated: "a token travels once to each device that holds a chosen expert",
  "per-assignment": "a token travels once for each chosen expert",
} as const;

export type DispatchMode = keyof typeof dispatchModes;

export interface ProjectionTarget {
  /** D source ranks, which are also the devices that hold the experts. */
  readonly ranks: number;
  readonly tokensPerRank: number;
  /** N */
  readonly experts: number;
  /** [N] */
  readonly deviceOf: Int32Array;
  readonly dispatch: DispatchMode;
}

export interface ProjectedTraffic {
  /** [N] assignments */
  readonly expertLoad: Float64Array;
  /** [D, D] token vectors that the row sends to the column, the diagonal included */
  readonly vectors: Float64Array;
}

/** Plain data of a pool. */
export interface TokenPoolState {
  readonly window: number;
  readonly topK: number;
  /** Steps ever added. */
  readonly steps: number;
  /** [min(steps, window), T, K] in the order of the ring */
  readonly chosen: Uint16Array;
}

/** Chosen experts of a layer's tokens in the last `window` steps. Expert ids up to 65535. */
export class TokenPool {
  private readonly window: number;
  private readonly topK: number;
  private steps = 0;
  /** [window, T, K], a ring; allocated by the first step. */
  private ring = new Uint16Array(0);
  /** Ids of one step, T · K. */
  private stepLength = 0;

  constructor(window: number, topK: number) {
    this.window = window;
    this.topK = topK;
  }

  /** Copies a step's choices over the oldest. @param chosen [T, K], T > 0 the same in every step */
  add(chosen: ArrayLike<number>): void {
    if (this.steps === 0) this.allocate(chosen.length);
    if (chosen.length !== this.stepLength) {
      throw new RangeError(`token pool: a step of ${chosen.length} ids after steps of ${this.stepLength}`);
    }
    this.ring.set(chosen, (this.steps % this.window) * this.stepLength);
    this.steps++;
  }

  /** Draws the tokens of every rank from the pool, uniformly and with replacement. Throws if nothing was added. */
  project(random: Random, { ranks, tokensPerRank, experts, deviceOf, dispatch }: ProjectionTarget): ProjectedTraffic {
    const { ring, topK } = this;
    const pooled = this.pooledTokens();
    const expertLoad = new Float64Array(experts);
    const vectors = new Float64Array(ranks * ranks);
    const lastToken = new Int32Array(ranks).fill(-1); // the last token sent to each device
    const deduplicate = dispatch === "deduplicated";
    for (let token = 0; token < ranks * tokensPerRank; token++) {
      const row = Math.floor(token / tokensPerRank) * ranks;
      const from = random.below(pooled) * topK;
      for (let j = from; j < from + topK; j++) {
        const expert = ring[j]!;
        const device = deviceOf[expert]!;
        expertLoad[expert] = expertLoad[expert]! + 1;
        if (deduplicate && lastToken[device] === token) continue;
        lastToken[device] = token;
        vectors[row + device] = vectors[row + device]! + 1;
      }
    }
    return { expertLoad, vectors };
  }

  save(): TokenPoolState {
    const { window, topK, steps } = this;
    return { window, topK, steps, chosen: this.ring.slice(0, Math.min(steps, window) * this.stepLength) };
  }

  static restore({ window, topK, steps, chosen }: TokenPoolState): TokenPool {
    const pool = new TokenPool(window, topK);
    if (steps === 0) return pool;
    pool.allocate(chosen.length / Math.min(steps, window));
    pool.ring.set(chosen);
    pool.steps = steps;
    return pool;
  }

  private allocate(stepLength: number): void {
    if (!(stepLength > 0 && stepLength % this.topK === 0)) {
      throw new RangeError(`token pool: ${stepLength} ids a step are not tokens of ${this.topK}`);
    }
    this.stepLength = stepLength;
    this.ring = new Uint16Array(this.window * stepLength);
  }

  private pooledTokens(): number {
    if (this.steps === 0) throw new Error("token pool: nothing to draw from; add a step first");
    return (Math.min(this.steps, this.window) * this.stepLength) / this.topK;
  }
}

/** The trained layer that stands for a target layer, at the same fraction of the depth: ⌊(j + ½)/n · trained⌋. */
export function layerFor(targetLayer: number, targetLayers: number, trainedLayers: number): number {
  return Math.floor(((2 * targetLayer + 1) * trainedLayers) / (2 * targetLayers)); // whole numbers until the division
}
