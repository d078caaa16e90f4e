/**
 * From the small model that is trained to the large machine that is priced.
 *
 * Recent tokens of a trained layer are pooled, and the target's tokens are drawn from them with replacement, each
 * with all its experts. So expert loads, device loads and fan-out belong together, a router's guarantees (MoGE's
 * equal groups) hold as they did in training, and the sampling noise is that of the target's many tokens, not of
 * one small batch. This is a projection, not a measurement: ranks differ by chance alone, though a real rank's text
 * may differ in kind; and the pool is itself a sample, so its own noise of about 1/√(pooled tokens) remains.
 */
import type { Random } from "../core/random.ts";
import { type Assignment, NO_EXPERT } from "../routing/assignment.ts";

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
  readonly slots: number;
  /** Steps ever added. */
  readonly steps: number;
  /** [min(steps, window), T, slots] in the order of the ring */
  readonly experts: Uint16Array;
}

/** NO_EXPERT as it comes out of 16 bits; real ids stay below it, for there are at most 65,535 experts. */
const NO_EXPERT_16 = NO_EXPERT & 0xffff;

/** Experts that tokens chose, in [tokens, slots]. */
interface ChosenExperts {
  readonly slots: number;
  readonly experts: ArrayLike<number>;
  /** What an empty slot holds. */
  readonly none: number;
}

/** Who sends what to whom, each rank's tokens being picked one after another. @param pick the next token */
export function projectedTraffic(
  { slots, experts: ids, none }: ChosenExperts,
  pick: () => number,
  { ranks, tokensPerRank, experts, deviceOf, dispatch }: ProjectionTarget,
): ProjectedTraffic {
  const expertLoad = new Float64Array(experts);
  const vectors = new Float64Array(ranks * ranks);
  const lastToken = new Int32Array(ranks).fill(-1); // the last token sent to each device
  const deduplicate = dispatch === "deduplicated";
  for (let token = 0; token < ranks * tokensPerRank; token++) {
    const row = Math.floor(token / tokensPerRank) * ranks;
    const from = pick() * slots;
    for (let j = from; j < from + slots; j++) {
      const expert = ids[j]!;
      if (expert === none) continue;
      const device = deviceOf[expert]!;
      expertLoad[expert] = expertLoad[expert]! + 1;
      if (deduplicate && lastToken[device] === token) continue;
      lastToken[device] = token;
      vectors[row + device] = vectors[row + device]! + 1;
    }
  }
  return { expertLoad, vectors };
}

/** Chosen experts of a layer's tokens in the last `window` steps. */
export class TokenPool {
  private readonly window: number;
  private readonly slots: number;
  private steps = 0;
  /** [window, T, slots], a ring; allocated by the first step. */
  private ring = new Uint16Array(0);
  /** Ids of one step, T · slots. */
  private stepLength = 0;

  constructor(window: number, slots: number) {
    this.window = window;
    this.slots = slots;
  }

  /** Copies a step's experts over the oldest. @param assignment T > 0 tokens, the same number in every step */
  add({ slots, experts }: Pick<Assignment, "slots" | "experts">): void {
    if (slots !== this.slots) throw new RangeError(`token pool: tokens of ${slots} slots, not of ${this.slots}`);
    if (this.steps === 0) this.allocate(experts.length);
    if (experts.length !== this.stepLength) {
      throw new RangeError(`token pool: a step of ${experts.length} ids after steps of ${this.stepLength}`);
    }
    this.ring.set(experts, (this.steps % this.window) * this.stepLength);
    this.steps++;
  }

  /**
   * Draws the tokens of every rank from the pool, uniformly and with replacement. Throws if nothing was added.
   */
  project(random: Pick<Random, "below">, target: ProjectionTarget): ProjectedTraffic {
    const pooled = this.pooledTokens();
    return projectedTraffic(
      { slots: this.slots, experts: this.ring, none: NO_EXPERT_16 },
      () => random.below(pooled),
      target,
    );
  }

  save(): TokenPoolState {
    const { window, slots, steps } = this;
    return { window, slots, steps, experts: this.ring.slice(0, Math.min(steps, window) * this.stepLength) };
  }

  static restore({ window, slots, steps, experts }: TokenPoolState): TokenPool {
    const pool = new TokenPool(window, slots);
    if (steps === 0) return pool;
    pool.allocate(experts.length / Math.min(steps, window));
    pool.ring.set(experts);
    pool.steps = steps;
    return pool;
  }

  private allocate(stepLength: number): void {
    if (!(stepLength > 0 && stepLength % this.slots === 0)) {
      throw new RangeError(`token pool: ${stepLength} ids a step are not tokens of ${this.slots}`);
    }
    this.stepLength = stepLength;
    this.ring = new Uint16Array(this.window * stepLength);
  }

  private pooledTokens(): number {
    if (this.steps === 0) throw new Error("token pool: nothing to draw from; add a step first");
    return (Math.min(this.steps, this.window) * this.stepLength) / this.slots;
  }
}

/**
 * The trained layers that stand for a target layer: the one at the same fraction of the depth, ⌊(j + ½)/n · trained⌋;
 * or, of a model with fewer target layers than trained ones, all whose own fraction falls to it.
 */
export function layersFor(targetLayer: number, targetLayers: number, trainedLayers: number): number[] {
  if (targetLayers >= trainedLayers) return [sameDepth(targetLayer, targetLayers, trainedLayers)];
  const all = Array.from({ length: trainedLayers }, (_, layer) => layer);
  return all.filter((layer) => sameDepth(layer, trainedLayers, targetLayers) === targetLayer);
}

/** The layer of the second model at the depth of a layer of the first. */
const sameDepth = (layer: number, layers: number, otherLayers: number): number =>
  Math.floor(((2 * layer + 1) * otherLayers) / (2 * layers)); // whole numbers until the division
