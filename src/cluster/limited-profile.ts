/**
 * Loads under group-limited routing, where a token takes its experts out of a few groups (DeepSeek-V2 and V3): what they
 * say of how many devices and nodes a token needs. Known loads do not say which groups go together; they are taken to be
 * the least surprising choice of `limit` groups that gives every group its load (conditional Poisson sampling:
 * Chen, Dempster & Liu, Biometrika 81, 1994), with K/limit experts out of each, independently.
 */
import type { Architecture } from "./architecture.ts";
import { missProbability, profileOfLoads, type RoutingProfile, spread } from "./routing-profile.ts";

/**
 * @param weights [N] relative popularity of the experts, not negative
 * @throws RangeError if weights are negative, not finite or all zero
 */
export function limitedProfileOfLoads(
  title: string,
  weights: ArrayLike<number>,
  topK: number,
  groups: number,
  limit: number,
): RoutingProfile {
  const experts = weights.length;
  const size = experts / groups;
  const perGroup = topK / limit;
  const groupOf = (expert: number) => Math.floor(expert / size);
  const totals = new Float64Array(groups);
  let total = 0;
  for (let e = 0; e < experts; e++) {
    totals[groupOf(e)] = totals[groupOf(e)]! + weights[e]!;
    total += weights[e]!;
  }
  if (!(total > 0 && Number.isFinite(total))) {
    throw new RangeError(`routing: the loads of all experts add up to ${total}`);
  }
  /** How often a token uses each group, and each expert once it does. */
  const used = new Float64Array(groups);
  spread(totals, 0, groups, total, limit, used);
  const inside = new Float64Array(experts);
  for (let g = 0; g < groups; g++) spread(weights, g * size, size, totals[g]!, perGroup, inside);
  const choice = new GroupChoice(used, limit);
  return {
    title,
    topK,
    picks: inside.map((each, e) => each * used[groupOf(e)]!),
    hits(unitOf, units) {
      const shares = new Float64Array(units * groups);
      for (let e = 0; e < experts; e++) {
        const at = unitOf[e]! * groups + groupOf(e);
        shares[at] = shares[at]! + inside[e]! / perGroup;
      }
      return Float64Array.from({ length: units }, (_, unit) => {
        const missed = shares
          .subarray(unit * groups, (unit + 1) * groups)
          .map((share) => missProbability(share, perGroup));
        return 1 - choice.mean(missed);
      });
    },
  };
}

/** A choice of some of the groups, each with its own probability of being among them. */
class GroupChoice {
  /** Of the groups that are not always chosen: P(choice) ∝ the product of its odds. */
  private readonly odds: Float64Array;
  private readonly always: readonly number[];
  private readonly open: number;
  private readonly ways: Float64Array;

  /** @param used [M] probabilities, which add up to `limit` */
  constructor(used: Float64Array, limit: number) {
    this.always = [...used.keys()].filter((g) => used[g]! > 1 - 1e-12);
    this.open = limit - this.always.length;
    this.ways = new Float64Array(this.open + 1);
    this.odds = used.map((p) => (p > 1 - 1e-12 ? 0 : p / (1 - p)));
    if (this.open > 0) this.fit(used);
  }

  /** Mean over the choices of the product of the factors of the groups chosen. @param factors [M] */
  mean(factors: Float64Array): number {
    let product = 1;
    for (const g of this.always) product *= factors[g]!;
    return (product * this.sumOfProducts((g) => factors[g]!)) / this.sumOfProducts(() => 1);
  }

  /** Odds whose choice uses every group as often as it should: their ratio is corrected until it does. */
  private fit(used: Float64Array): void {
    const { odds } = this;
    for (let round = 0; round < 200; round++) {
      const all = this.sumOfProducts(() => 1);
      let off = 0;
      const next = odds.map((own, g) => {
        if (own === 0) return 0;
        const without = this.sumOfProducts((other) => (other === g ? 0 : 1)) / all;
        const wanted = used[g]!;
        off = Math.max(off, Math.abs(1 - without - wanted));
        return (own * wanted * without) / ((1 - wanted) * (1 - without));
      });
      if (off < 1e-12) return;
      odds.set(next);
    }
  }

  /** Over all choices of the open groups, the product of odds and factors: an elementary symmetric polynomial. */
  private sumOfProducts(factorOf: (group: number) => number): number {
    const { odds, ways, open } = this;
    ways.fill(0);
    ways[0] = 1;
    for (let g = 0; g < odds.length; g++) {
      const own = odds[g]! * factorOf(g);
      for (let chosen = open; chosen > 0; chosen--) ways[chosen] = ways[chosen]! + own * ways[chosen - 1]!;
    }
    return ways[open]!;
  }
}

/** A profile of a model's router known by the load of its experts alone. @throws RangeError as the two ways do */
export const profileOfModel = (
  title: string,
  weights: ArrayLike<number>,
  { topK, groups, limit }: Pick<Architecture, "topK" | "groups" | "limit">,
): RoutingProfile =>
  limit === undefined || groups === 1
    ? profileOfLoads(title, weights, topK, groups)
    : limitedProfileOfLoads(title, weights, topK, groups, limit);
