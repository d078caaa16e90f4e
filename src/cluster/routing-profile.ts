/**
 * How the tokens of a layer choose experts, whatever their number: what the cost of a real layer is worked out from.
 * Profiles come from a trained router, from synthetic skew, from a load table, or are uniform when that is asked for.
 */
import { exp, log } from "../core/elementary.ts";
import type { Random } from "../core/random.ts";

export interface RoutingProfile {
  readonly title: string;
  /** K */
  readonly topK: number;
  /** [N] expected picks of each expert by one token; they add up to K unless tokens are dropped. */
  readonly picks: Float64Array;
  /**
   * Probability that a token needs each unit at least once.
   * @param unitOf [N] unit that holds each expert
   * @returns [units]
   */
  hits(unitOf: Int32Array, units: number): Float64Array;
}

/**
 * A profile known by the load of its experts alone. Picks are taken to be independent within each group; a group of
 * which a token takes k experts misses a unit with probability (1 − the unit's share of the group)^k.
 * @param weights [N] relative popularity, not negative
 * @param groups M; 1 for ordinary top-k. A grouped router takes K/M of each group: popularity counts inside it.
 * @throws RangeError if weights are negative, not finite or all zero
 */
export function profileOfLoads(
  title: string,
  weights: ArrayLike<number>,
  topK: number,
  groups: number,
): RoutingProfile {
  const experts = weights.length;
  const size = experts / groups;
  const perGroup = topK / groups;
  const picks = new Float64Array(experts);
  for (let group = 0; group < groups; group++) {
    let total = 0;
    for (let e = group * size; e < (group + 1) * size; e++) total += weights[e]!;
    if (!(total > 0 && Number.isFinite(total))) {
      throw new RangeError(
        `routing: the loads of ${groups === 1 ? "all experts" : `group ${group}`} add up to ${total}`,
      );
    }
    spread(weights, group * size, size, total, perGroup, picks);
  }
  return {
    title,
    topK,
    picks,
    hits(unitOf, units) {
      const missed = new Float64Array(units).fill(1);
      const share = new Float64Array(units);
      for (let group = 0; group < groups; group++) {
        share.fill(0);
        for (let e = group * size; e < (group + 1) * size; e++) {
          share[unitOf[e]!] = share[unitOf[e]!]! + picks[e]! / perGroup;
        }
        for (let unit = 0; unit < units; unit++) {
          missed[unit] = missed[unit]! * missProbability(share[unit]!, perGroup);
        }
      }
      return missed.map((miss) => 1 - miss);
    },
  };
}

/** Picks in proportion to the weights; an expert that would be picked more than once by every token gives up the rest. */
export function spread(
  weights: ArrayLike<number>,
  from: number,
  size: number,
  total: number,
  picksLeft: number,
  picks: Float64Array,
): void {
  let left = picksLeft;
  let weight = total;
  const full = new Set<number>();
  for (let again = true; again; ) {
    again = false;
    for (let e = from; e < from + size; e++) {
      if (full.has(e) || weight <= 0 || (weights[e]! / weight) * left <= 1) continue;
      full.add(e);
      picks[e] = 1;
      left -= 1;
      weight -= weights[e]!;
      again = true;
    }
  }
  for (let e = from; e < from + size; e++) {
    if (!full.has(e)) picks[e] = weight > 0 ? (weights[e]! / weight) * left : left / (size - full.size);
  }
}

/** (1 − share)^picks, for a real number of picks. */
export function missProbability(share: number, picks: number): number {
  if (share >= 1 - 1e-12) return 0;
  return picks === 1 ? 1 - share : exp(picks * log(1 - share));
}

/**
 * A profile of recorded tokens: loads and fan-out are counted, not derived from one another.
 * @param experts [T, slots] chosen experts; `none` marks an empty slot
 */
export function profileOfTokens(
  title: string,
  chosen: ArrayLike<number>,
  slots: number,
  experts: number,
  none: number,
): RoutingProfile {
  const tokens = chosen.length / slots;
  const picks = new Float64Array(experts);
  for (let i = 0; i < chosen.length; i++) {
    if (chosen[i] !== none) picks[chosen[i]!] = picks[chosen[i]!]! + 1 / tokens;
  }
  return {
    title,
    topK: slots,
    picks,
    hits(unitOf, units) {
      const hits = new Float64Array(units);
      const last = new Int32Array(units).fill(-1);
      for (let token = 0; token < tokens; token++) {
        for (let i = token * slots; i < (token + 1) * slots; i++) {
          if (chosen[i] === none) continue;
          const unit = unitOf[chosen[i]!]!;
          if (last[unit] === token) continue;
          last[unit] = token;
          hits[unit] = hits[unit]! + 1 / tokens;
        }
      }
      return hits;
    },
  };
}

/** Popularity of experts by rank of skew; the tables below say in which order experts come. */
export const skews = {
  uniform: "every expert equally often",
  zipf: "popularity 1/rank^exponent, ranks dealt out to experts at random",
  "log-normal": "popularity e^(sigma · normal), drawn for each expert",
  "hot-rank": "the experts of one device get `factor` times the load of the others",
  "hot-experts": "a few experts, drawn at random, get `factor` times the load of the others",
  "rotating-hotspot": "the hot device moves on by one with every micro-batch, and from layer to layer",
  burst: "one micro-batch in `every` has a hot device, the next one each time; the others are uniform",
} as const;

export type SkewName = keyof typeof skews;

export interface Skew {
  readonly kind: SkewName;
  /** Zipf */
  readonly exponent: number;
  /** Log-normal */
  readonly sigma: number;
  /** How much hotter. */
  readonly factor: number;
  /** Hot experts. */
  readonly count: number;
  /** Burst: micro-batches from one to the next. */
  readonly every: number;
}

/** After how many micro-batches a skew comes round again. @param units devices that share the experts */
export function skewPeriod({ kind, every }: Skew, units: number): number {
  if (kind === "rotating-hotspot") return units;
  return kind === "burst" ? every * units : 1;
}

/**
 * [N] weights of one layer for one micro-batch.
 * @param random of the layer; what is drawn does not change from one micro-batch to the next
 * @param units devices that share the experts, contiguously
 */
export function skewedWeights(
  skew: Skew,
  random: Random,
  experts: number,
  units: number,
  layer: number,
  microBatch = 0,
): Float64Array {
  const weights = new Float64Array(experts).fill(1);
  const heat = (unit: number) => {
    for (let e = 0; e < experts; e++) if (Math.floor((e * units) / experts) === unit) weights[e] = skew.factor;
  };
  switch (skew.kind) {
    case "uniform":
      break;
    case "zipf": {
      const order = shuffled(experts, random);
      order.forEach((expert, rank) => {
        weights[expert] = exp(-skew.exponent * log(rank + 1));
      });
      break;
    }
    case "log-normal":
      for (let e = 0; e < experts; e++) weights[e] = exp(skew.sigma * random.gaussian());
      break;
    case "hot-rank":
      heat(0);
      break;
    case "hot-experts":
      for (const expert of shuffled(experts, random).slice(0, skew.count)) weights[expert] = skew.factor;
      break;
    case "rotating-hotspot":
      heat((layer + microBatch) % units);
      break;
    case "burst":
      if (microBatch % skew.every === 0) heat(Math.floor(microBatch / skew.every) % units);
      break;
  }
  return weights;
}

function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}
