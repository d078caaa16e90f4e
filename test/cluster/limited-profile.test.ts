import { expect } from "chai";
import fc from "fast-check";
import { limitedProfileOfLoads, profileOfModel } from "../../src/cluster/limited-profile.ts";
import { profileOfLoads, profileOfTokens } from "../../src/cluster/routing-profile.ts";
import { randomStream } from "../../src/core/random.ts";

const [EXPERTS, TOP_K, GROUPS, LIMIT] = [64, 8, 8, 4];

const unitsOf = (units: number) => Int32Array.from({ length: EXPERTS }, (_, e) => Math.floor((e * units) / EXPERTS));
const sum = (values: Float64Array) => values.reduce((total, each) => total + each, 0);
const uniform = new Float64Array(EXPERTS).fill(1);
const anyWeights = fc.array(fc.double({ min: 0.2, max: 5, noNaN: true }), { minLength: EXPERTS, maxLength: EXPERTS });

/** n over k */
const choose = (n: number, k: number): number => (k === 0 ? 1 : k > n ? 0 : (n * choose(n - 1, k - 1)) / k);

describe("a profile of a group-limited router", () => {
  it("sends an even token to exactly `limit` groups", () => {
    const profile = limitedProfileOfLoads("", uniform, TOP_K, GROUPS, LIMIT);
    expect(sum(profile.hits(unitsOf(GROUPS), GROUPS))).to.be.closeTo(LIMIT, 1e-9);
  });

  it("counts units of several groups and parts of one by drawing groups without replacement", () => {
    const profile = limitedProfileOfLoads("", uniform, TOP_K, GROUPS, LIMIT);
    // Two groups a unit: a token misses both if its 4 are among the other 6.
    const both = choose(6, 4) / choose(8, 4);
    for (const hit of profile.hits(unitsOf(4), 4)) expect(hit).to.be.closeTo(1 - both, 1e-12);
    // Half a group a unit: in half of the cases the group is used, by two experts that both lie in the other half in 1/4.
    for (const hit of profile.hits(unitsOf(16), 16)) expect(hit).to.be.closeTo(0.5 * (1 - 0.25), 1e-12);
  });

  it("keeps the loads that it is given, and every token to `limit` groups, however uneven they are", () => {
    fc.assert(
      fc.property(anyWeights, (weights) => {
        const total = weights.reduce((all, each) => all + each, 0);
        const profile = limitedProfileOfLoads("", weights, TOP_K, GROUPS, LIMIT);
        expect(sum(profile.picks)).to.be.closeTo(TOP_K, 1e-9);
        const groupTotals = Array.from({ length: GROUPS }, (_, g) =>
          weights.slice(8 * g, 8 * g + 8).reduce((all, each) => all + each, 0),
        );
        // Unless a group is used by all tokens, or an expert by all that use its group.
        const isFull = groupTotals.some(
          (own, g) => LIMIT * own > total || weights.slice(8 * g, 8 * g + 8).some((weight) => 2 * weight > own),
        );
        for (const [e, weight] of weights.entries()) {
          if (!isFull) expect(profile.picks[e]).to.be.closeTo((TOP_K * weight) / total, 1e-9);
        }
        const groups = profile.hits(unitsOf(GROUPS), GROUPS);
        for (const hit of groups) expect(hit).to.be.within(0, 1);
        // A group that is used is used for K/limit experts, of which at least one is there.
        const used = Float64Array.from(groups, (_, g) => sum(profile.picks.subarray(8 * g, 8 * g + 8)) / 2);
        for (const [g, hit] of groups.entries()) expect(hit).to.be.closeTo(used[g]!, 1e-9);
      }),
    );
  });

  it("of the loads of drawn tokens says which devices and nodes they need", () => {
    const random = randomStream(1, "limited");
    const weights = Float64Array.from({ length: EXPERTS }, () => 0.5 + random.uniform());
    const odds = Float64Array.from({ length: GROUPS }, () => 0.3 + 0.5 * random.uniform());
    const pick = (group: number) => {
      const own = weights.subarray(8 * group, 8 * group + 8);
      let left = random.uniform() * sum(own);
      for (let i = 0; i < 7; i++) {
        left -= own[i]!;
        if (left < 0) return 8 * group + i;
      }
      return 8 * group + 7;
    };
    const tokens = 40_000;
    const chosen = new Int32Array(tokens * TOP_K);
    for (let t = 0; t < tokens; ) {
      // Each group by itself, until it happens to be 4 of them.
      const open = [...odds.keys()].filter((g) => random.uniform() < odds[g]!);
      if (open.length !== LIMIT) continue;
      for (const [i, g] of open.entries()) {
        for (let j = 0; j < 2; j++) chosen[t * TOP_K + 2 * i + j] = pick(g);
      }
      t++;
    }
    const drawn = profileOfTokens("", chosen, TOP_K, EXPERTS, -1);
    const derived = limitedProfileOfLoads("", drawn.picks, TOP_K, GROUPS, LIMIT);
    for (const units of [4, 8, 16]) {
      const expected = derived.hits(unitsOf(units), units);
      for (const [unit, hit] of drawn.hits(unitsOf(units), units).entries()) {
        expect(hit, `${unit} of ${units}`).to.be.closeTo(expected[unit]!, 0.01);
      }
    }
  });

  it("is ordinary top-k with all groups allowed, and the grouped one without a limit", () => {
    const weights = Float64Array.from({ length: EXPERTS }, (_, e) => 1 + (e % 7));
    const whole = limitedProfileOfLoads("", uniform, TOP_K, GROUPS, GROUPS).hits(unitsOf(4), 4);
    const grouped = profileOfLoads("", uniform, TOP_K, GROUPS).hits(unitsOf(4), 4);
    expect([...whole]).to.deep.equal([...grouped]); // one of each group is what both come to
    const model = { topK: TOP_K, groups: GROUPS };
    expect([...profileOfModel("", weights, model).picks]).to.deep.equal([
      ...profileOfLoads("", weights, TOP_K, GROUPS).picks,
    ]);
    expect(sum(profileOfModel("", weights, { ...model, limit: 2 }).hits(unitsOf(8), 8))).to.be.closeTo(2, 1e-9);
  });

  it("refuses loads that add up to nothing", () => {
    expect(() => limitedProfileOfLoads("", new Float64Array(EXPERTS), TOP_K, GROUPS, LIMIT)).to.throw(/add up to 0/);
  });
});
