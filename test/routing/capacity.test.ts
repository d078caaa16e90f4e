import { expect } from "chai";
import fc from "fast-check";
import { randomStream } from "../../src/core/random.ts";
import { sum } from "../../src/core/statistics.ts";
import { type Assignment, countLoad, emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import {
  type CapacityRuleName,
  type CapacitySettings,
  capacityLevels,
  capacityRules,
  computedRows,
  type DropOrder,
  dropOrders,
  expertCapacity,
  type TokenPriority,
  tokenPriorities,
} from "../../src/routing/capacity.ts";
import { dispatchOrder, paddingTokens } from "../../src/routing/dispatch.ts";
import { countDropped, newRouting, type Routing, type RoutingCapacity, route } from "../../src/routing/route.ts";
import { normalLogits } from "./small-batch.ts";

const plain: CapacitySettings = {
  rule: "megatron",
  factor: 1,
  minimum: 0,
  alignment: 1,
  level: "expert",
  order: "token",
  priority: "position",
  renormalise: false,
  pad: false,
};

describe("expertCapacity", () => {
  const of = (tokens: number, experts: number, topK: number, settings: Partial<CapacitySettings>, needed?: number) =>
    expertCapacity(tokens, { experts, topK }, { ...plain, ...settings }, needed);

  it("rounds as each source does: 50 · 1.1 is 56 in Megatron's doubles and 55 in DeepSpeed's singles", () => {
    expect(of(200, 4, 1, { rule: "megatron", factor: 1.1 })).to.equal(56);
    expect(of(200, 4, 1, { rule: "deepspeed", factor: 1.1 })).to.equal(55);
    expect(of(100, 4, 1, { rule: "megatron", factor: 1.2 })).to.equal(30);
    expect(of(100, 4, 1, { rule: "deepspeed", factor: 1.2 })).to.equal(31);
  });

  const rules: [CapacityRuleName, number, number, number, number, number][] = [
    // rule, tokens, experts, topK, factor, capacity by hand
    ["megatron", 10, 4, 2, 1.25, 7], // ceil(5 · 1.25)
    ["deepspeed", 10, 4, 2, 1.25, 7],
    ["tutel", 10, 4, 2, 1.25, 6], // 2 · floor(1.25 · 3)
    ["megablocks", 10, 4, 2, 1.25, 6], // floor(1.25 · 5)
    ["nllb", 10, 4, 2, 1, 6], // 2 · ceil(10/4)
    ["flaxformer", 10, 4, 2, 1, 2], // round(2.5), to even
    ["flaxformer", 14, 4, 2, 1, 4], // round(3.5), to even
    ["flaxformer", 10, 4, 1, 1.25, 3], // round(3.125)
    ["fraction", 10, 4, 2, 0.25, 3],
    ["fixed", 10, 4, 2, 3, 3],
  ];
  for (const [rule, tokens, experts, topK, factor, wanted] of rules) {
    it(`${rule}: ${tokens} tokens, top-${topK} of ${experts}, factor ${factor}: ${wanted}`, () => {
      expect(of(tokens, experts, topK, { rule, factor })).to.equal(wanted);
    });
  }

  it("every rule is worked out by hand above", () => {
    expect(new Set(rules.map(([rule]) => rule))).to.deep.equal(new Set(Object.keys(capacityRules)));
  });

  it("tutel: as many as needed for factor 0, at most |factor| for a negative one, then aligned upwards", () => {
    expect(of(10, 4, 2, { rule: "tutel", factor: 0 }, 9)).to.equal(9);
    expect(of(10, 4, 2, { rule: "tutel", factor: -1 }, 9)).to.equal(6);
    expect(of(10, 4, 2, { rule: "tutel", factor: -1 }, 5)).to.equal(5);
    expect(of(10, 4, 2, { rule: "tutel", factor: -1, alignment: 4 }, 5)).to.equal(8);
  });

  it("never falls below the minimum, which is aligned as well", () => {
    expect(of(10, 4, 1, { minimum: 7 })).to.equal(7);
    expect(of(10, 4, 1, { minimum: 7, alignment: 4 })).to.equal(8);
  });
});

/** Every combination of what decides who stays. */
const policies = Object.keys(dropOrders).flatMap((order) =>
  Object.keys(tokenPriorities).flatMap((priority) =>
    Object.keys(capacityLevels).flatMap((level) => [
      { order: order as DropOrder, priority: priority as TokenPriority, level: level as CapacitySettings["level"] },
    ]),
  ),
);

const shape = { experts: 8, topK: 3, groups: 1 };
const tokens = 16;
const deviceOf = Int32Array.from([2, 0, 1, 0, 3, 1, 2, 3]);

function routed(logits: Float64Array, capacity: RoutingCapacity | undefined, seed = 1): Routing {
  const settings = {
    selection: "topk",
    scoreFunction: "softmax",
    normalisation: "chosen",
    scale: 1,
    capacity,
  } as const;
  const routing = newRouting(logits, shape, settings);
  route(routing, { random: randomStream(seed, "drop") });
  return routing;
}

/** The obvious way: write all assignments down, sort them by what the order says, and fill the bins. [T, slots] kept */
function slowKept(
  { chosen, scores }: Routing,
  weights: ArrayLike<number>,
  { order, priority, level }: CapacitySettings,
  most: number,
) {
  const all = Array.from(chosen, (expert, slot) => ({ expert, slot, token: Math.floor(slot / 3), choice: slot % 3 }));
  const confidence = (token: number) => Math.max(...scores.subarray(token * 8, (token + 1) * 8));
  const place = (token: number) => (priority === "confidence" ? -confidence(token) : token);
  const random = randomStream(1, "drop");
  const drawn = all.map(() => random.uniform());
  const keys: Record<DropOrder, (each: (typeof all)[number]) => number[]> = {
    weight: ({ slot }) => [-weights[slot]!],
    score: ({ expert, token }) => [-scores[token * 8 + expert]!],
    token: ({ token, choice }) => [place(token), token, choice],
    choice: ({ token, choice }) => [choice, place(token), token],
    random: ({ slot }) => [-drawn[slot]!],
  };
  const keyOf = keys[order];
  const taken = new Map<number, number>();
  const kept = new Set<number>();
  const compare = (a: number[], b: number[]) => a.map((x, i) => x - b[i]!).find((difference) => difference !== 0) ?? 0;
  for (const { expert, slot } of all.sort((a, b) => compare(keyOf(a), keyOf(b)) || a.slot - b.slot)) {
    const bin = level === "expert" ? expert : deviceOf[expert]!;
    const count = taken.get(bin) ?? 0;
    if (count >= most) continue;
    taken.set(bin, count + 1);
    kept.add(slot);
  }
  return kept;
}

describe("dropping", () => {
  for (const policy of policies) {
    it(`keeps whom a sorted list would keep, and loses nobody: ${Object.values(policy).join(", ")}`, () => {
      const property = fc.property(fc.integer(), fc.constantFrom(0.25, 0.5, 0.75, 1, 1.5), (seed, factor) => {
        const logits = normalLogits(tokens, 8, seed);
        const capacity = { ...plain, ...policy, factor, deviceOf, devices: 4 };
        const routing = routed(logits, capacity);
        const whole = routed(logits, undefined);
        const { experts, weights } = routing.assignment;
        const ofExpert = Math.ceil(6 * factor);
        const most = policy.level === "expert" ? ofExpert : ofExpert * 2;
        const kept = slowKept(routing, whole.assignment.weights, capacity, most);
        experts.forEach((expert, slot) => {
          expect(expert).to.equal(kept.has(slot) ? routing.chosen[slot] : NO_EXPERT);
          expect(weights[slot]).to.equal(kept.has(slot) ? whole.assignment.weights[slot] : 0);
        });
        expect(routing.chosen).to.deep.equal(whole.assignment.experts);
        const load = new Int32Array(8);
        countLoad(routing.assignment, load);
        expect(sum(load) + countDropped(routing)).to.equal(tokens * 3);
        const bins =
          policy.level === "expert" ? load : [0, 1, 2, 3].map((d) => sum(load.filter((_, e) => deviceOf[e] === d)));
        for (const each of bins) expect(each).to.be.at.most(most);
      });
      fc.assert(property, { numRuns: 40 });
    });
  }

  it("drops everything at capacity 0 and nothing at the fullest expert's load", () => {
    const logits = normalLogits(tokens, 8);
    const none = routed(logits, { ...plain, factor: 0 });
    expect(countDropped(none)).to.equal(tokens * 3);
    expect(sum(none.assignment.weights)).to.equal(0);
    const all = routed(logits, { ...plain, rule: "tutel", factor: 0 });
    expect(countDropped(all)).to.equal(0);
  });

  it("shares the weight of a dropped expert among those that are left only where it is told to", () => {
    const logits = normalLogits(tokens, 8);
    const masses = (renormalise: boolean) => {
      const { assignment } = routed(logits, { ...plain, factor: 0.5, renormalise });
      return Array.from({ length: tokens }, (_, t) => ({
        mass: sum(assignment.weights.subarray(t * 3, t * 3 + 3)),
        kept: assignment.experts.subarray(t * 3, t * 3 + 3).filter((expert) => expert !== NO_EXPERT).length,
      }));
    };
    for (const { mass, kept } of masses(true)) expect(mass).to.be.closeTo(kept === 0 ? 0 : 1, 1e-14);
    for (const { mass, kept } of masses(false)) {
      if (kept === 3) expect(mass).to.be.closeTo(1, 1e-14);
      else expect(mass).to.be.below(1 - 1e-6);
    }
  });

  it("is the same for the same stream and another for another, where it is drawn", () => {
    const logits = normalLogits(tokens, 8);
    const drawn = { ...plain, order: "random", factor: 0.5 } as const;
    const experts = (seed: number) => Array.from(routed(logits, drawn, seed).assignment.experts);
    expect(experts(1)).to.deep.equal(experts(1));
    expect(experts(1)).not.to.deep.equal(experts(2));
  });
});

describe("computedRows", () => {
  it("is the load, or the capacity where experts are padded to it", () => {
    expect(Array.from(computedRows([3, 0, 5], 4, false))).to.deep.equal([3, 0, 5]);
    expect(Array.from(computedRows([3, 0, 4], 4, true))).to.deep.equal([4, 4, 4]);
  });
});

describe("dispatchOrder", () => {
  it("is expert after expert, tokens ascending, without empty slots", () => {
    const choice = { ...emptyAssignment(3, 2), experts: Int32Array.of(2, 0, NO_EXPERT, 2, 0, 1) };
    expect(Array.from(dispatchOrder(choice))).to.deep.equal([1, 4, 5, 0, 3]);
  });
});

describe("paddingTokens", () => {
  it("takes the first tokens that an expert did not get, up to a multiple, or all there are", () => {
    const choice: Assignment = { ...emptyAssignment(4, 2), experts: Int32Array.of(0, 1, 0, NO_EXPERT, 0, 1, 1, 2) };
    expect(paddingTokens(choice, 4, 2)).to.deep.equal([[3], [1], [0], []]);
    expect(paddingTokens(choice, 4, 8)).to.deep.equal([[3], [1], [0, 1, 2], []]);
  });
});
