/** Gates and draws that the given cases do not show. */
import { expect } from "chai";
import { normalLogits } from "../routing/small-batch.ts";
import { best, expectAgreement, ranked, softmax, total } from "./by-hand.ts";
import { rows } from "./golden-case.ts";

describe("gates of golden cases, variants", () => {
  const experts = 6;

  for (const [norm, length] of [
    [null, () => 1],
    [1, (weights: readonly number[]) => total(weights)],
    [2, (weights: readonly number[]) => Math.hypot(...weights)],
  ] as const) {
    it(`OLMo-core's normalize_expert_weights ${norm}`, () => {
      const scores = rows(normalLogits(5, experts, "olmo"), experts).map(softmax);
      const picks = scores.map((row) => best(row, 3).sort((a, b) => a - b));
      const own = picks.map((row, t) => row.map((e) => scores[t]![e]!));
      expectAgreement("deepseek_group_limited_gates", {
        source: "allenai/OLMo-core::MoERouter.get_top_k",
        params: { top_k: 3, bias_gamma: null, normalize_expert_weights: norm },
        input: { scores },
        expected: { experts: picks, weights: own.map((row) => row.map((w) => w / length(row))) },
      });
    });
  }

  for (const before of [true, false]) {
    it(`NLLB's random second expert, normalised ${before ? "before" : "after"} dropping`, () => {
      const p = rows(normalLogits(7, experts, "random"), experts).map(softmax);
      const uniform = p.map((_, t) => ((t * 5) % 7) / 7 + 0.1);
      const pairs = p.map((row) => best(row, 2) as [number, number]);
      const taken = pairs.map(([first, second], t) => (2 * p[t]![second]! > uniform[t]! ? [first, second] : [first]));
      expect(new Set(taken.map((row) => row.length))).to.deep.equal(new Set([1, 2]));
      const sumOf = (t: number, own: readonly number[]) => total(own.map((e) => p[t]![e]!));
      const sorted = taken.map((row) => [...row].sort((a, b) => a - b));
      const weight = (t: number, e: number) => {
        if (!before) return p[t]![e]! / sumOf(t, taken[t]!);
        return e === pairs[t]![0] ? p[t]![e]! / sumOf(t, pairs[t]!) : p[t]![e]!;
      };
      expectAgreement("gshard_top2", {
        source: "NllbMoeTop2Router.route_tokens",
        params: {
          expert_capacity: 7,
          second_expert_policy: "random",
          normalize_router_prob_before_dropping: before,
          training: true,
        },
        input: { logits: p.map((row) => row.map(Math.log)), random_uniform: uniform },
        expected: { experts_kept: sorted, weights: sorted.map((row, t) => row.map((e) => weight(t, e))) },
      });
    });
  }

  it("NLLB's sampled second expert: the best of the others with the Gumbel noise", () => {
    const logits = rows(normalLogits(7, experts, "sampled"), experts);
    const gumbel = rows(normalLogits(7, experts, "gumbel"), experts);
    const noisy = logits.map((row, t) => row.map((x, e) => x + gumbel[t]![e]!));
    const picks = logits.map((row, t) => {
      const [first] = best(row, 1) as [number];
      return [first, ranked(noisy[t]!).find((e) => e !== first)!].sort((a, b) => a - b);
    });
    expect(picks).to.not.deep.equal(logits.map((row) => best(row, 2).sort((a, b) => a - b)));
    expectAgreement("gshard_top2", {
      source: "NllbMoeTop2Router.route_tokens",
      params: { expert_capacity: 7, second_expert_policy: "sampling", training: true },
      input: { logits, gumbel },
      expected: { experts_kept: picks },
    });
  });

  it("refuses a policy that draws what the case does not give", () => {
    const golden = {
      source: "NllbMoeTop2Router",
      params: { second_expert_policy: "random" },
      input: { logits: [[1, 2]] },
    };
    expect(() => expectAgreement("gshard_top2", { ...golden, expected: { capacity: 2 } })).to.throw(/not given/);
  });

  for (const padded of ["left out", "named with weight 0"]) {
    it(`Megatron's whole router padded to capacity, padded tokens ${padded}`, () => {
      const p = [
        [0.1, 0.9],
        [0.2, 0.8],
        [0.7, 0.3],
        [0.4, 0.6],
      ];
      const isNamed = padded !== "left out";
      expectAgreement("megatron_router_end_to_end", {
        source: "TopKRouter.routing",
        params: {
          topk: 1,
          routing_type: "none",
          moe_router_pre_softmax: true,
          moe_expert_capacity_factor: 1,
          moe_pad_expert_input_to_capacity: true,
        },
        input: { logits: p.map((row) => [row.map(Math.log)]) },
        expected: {
          experts: isNamed ? [[1], [0, 1], [0], []] : [[1], [1], [0], []],
          weights: isNamed ? [[0.9], [0, 0.8], [0.7], []] : [[0.9], [0.8], [0.7], []],
          tokens_per_expert: [2, 2],
        },
      });
    });
  }
});
