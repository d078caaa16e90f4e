/** Capacities, priorities and padding that the given cases do not show. */
import { normalLogits } from "../routing/small-batch.ts";
import {
  best,
  counts,
  dot,
  expectAgreement,
  gradientOf,
  logSum,
  nested,
  padding,
  type Rows,
  sigmoid,
  softmax,
  total,
} from "./by-hand.ts";
import { rows } from "./golden-case.ts";

describe("dropping in golden cases, variants", () => {
  const experts = 6;

  /** Places in the queues, choice after choice, tokens in an order. [T, K] */
  function queue(picks: Rows, order: readonly number[]): number[][] {
    const next = new Map<number, number>();
    const places = picks.map((row) => row.map(() => -1));
    for (let j = 0; j < picks[0]!.length; j++) {
      for (const t of order) {
        const expert = picks[t]![j];
        if (expert === undefined) continue;
        places[t]![j] = next.get(expert) ?? 0;
        next.set(expert, places[t]![j]! + 1);
      }
    }
    return places;
  }

  for (const [capacity_factor, alignment, batch_prioritized_routing] of [
    [0, 1, false],
    [0, 4, true],
    [-0.5, 1, false],
    [-3, 4, true],
    [1.3, 4, true],
  ] as const) {
    it(`Tutel's top-3: factor ${capacity_factor}, alignment ${alignment}, priority ${batch_prioritized_routing}`, () => {
      const tokens = 13;
      const p = rows(normalLogits(tokens, experts, "tutel"), experts).map(softmax);
      const picks = p.map((row) => best(row, 3));
      const order = [...p.keys()];
      if (batch_prioritized_routing) order.sort((a, b) => Math.max(...p[b]!) - Math.max(...p[a]!));
      const slots = queue(picks, order);
      const most = 3 * Math.floor(Math.abs(capacity_factor) * Math.ceil(tokens / experts));
      const needed = Math.max(...slots.flat()) + 1;
      const plain = capacity_factor > 0 ? most : capacity_factor === 0 ? needed : Math.min(needed, most);
      const capacity = Math.ceil(plain / alignment) * alignment;
      expectAgreement("gshard_top2", {
        source: "microsoft/Tutel::extract_critical",
        params: { top_k: 3, capacity_factor, alignment, batch_prioritized_routing, normalize_gate: true },
        input: { logits: rows(normalLogits(tokens, experts, "tutel"), experts) },
        expected: {
          capacity,
          experts: picks,
          slots,
          kept: slots.map((row) => row.map((slot) => slot < capacity)),
          gates: picks.map((row, t) => row.map((e) => p[t]![e]! / total(row.map((each) => p[t]![each]!)))),
        },
      });
    });
  }

  it("flaxformer's masked and scatter routers with padding and batch priority", () => {
    const [tokens, k, capacity] = [12, 2, 3];
    const logits = rows(normalLogits(tokens, experts, "flax"), experts);
    const valid = padding(tokens).map((each) => !each);
    const p = logits.map(softmax);
    const zeroed = p.map((row, t) => (valid[t] ? row : row.map(() => 0)));
    const picks = p.map((row, t) => (valid[t] ? best(row, k) : []));
    const byTop = [...p.keys()].sort((a, b) => Math.max(...zeroed[b]!) - Math.max(...zeroed[a]!) || a - b);
    const slots = queue(
      picks.map((row) => (row.length > 0 ? row : new Array<number>(k))),
      byTop,
    );
    const kept = picks.map((row, t) => row.filter((_, j) => slots[t]![j]! < capacity).sort((a, b) => a - b));
    const scatterPicks = zeroed.map((row) => best(row, k));
    const scatterSlots = queue(scatterPicks, byTop);
    expectAgreement("tokens_choose_flaxformer", {
      source: "google/flaxformer",
      params: { num_selected_experts: k, expert_capacity: capacity, batch_prioritized_routing: true },
      input: { logits: [logits], padding_mask: [valid.map(Number)] },
      expected: {
        experts_kept: [kept],
        weights: [kept.map((row, t) => row.map((e) => p[t]![e]!))],
        auxiliary_loss: (experts * dot(counts(picks, experts), zeroed)) / tokens ** 2,
        router_z_loss: total(logits.map((row) => logSum(row) ** 2)) / tokens,
        scatter_dispatch_indices: [scatterPicks.map((row, t) => row.map((e, j) => [e, scatterSlots[t]![j]!]))],
        scatter_combine_weights: [
          scatterPicks.map((row, t) => row.map((e, j) => (scatterSlots[t]![j]! < capacity ? zeroed[t]![e]! : 0))),
        ],
      },
    });
  });

  for (const training of [true, false]) {
    for (const before of [true, false]) {
      it(`NLLB with padding and priority, ${training ? "training" : "evaluating"}, normalised ${before ? "before" : "after"} dropping`, () => {
        const tokens = 11;
        const logits = rows(normalLogits(tokens, experts, "nllb"), experts);
        const p = logits.map(softmax);
        const padded = padding(tokens);
        const picks = p.map((row, t) => (padded[t] ? [] : best(row, 2)));
        const order = [...p.keys()].sort((a, b) => Math.max(...p[b]!) - Math.max(...p[a]!));
        const slots = queue(
          picks.map((row) => (row.length > 0 ? row : new Array<number>(2))),
          order,
        );
        const capacity = training ? 2 * Math.ceil(tokens / experts) : Math.ceil(0.2 * tokens);
        const kept = picks.map((row, t) => row.filter((_, j) => slots[t]![j]! < capacity));
        const weight = (t: number, e: number) =>
          p[t]![e]! / total((before ? picks : kept)[t]!.map((each) => p[t]![each]!));
        const sorted = kept.map((row) => [...row].sort((a, b) => a - b));
        expectAgreement("gshard_top2", {
          source: "NllbMoeTop2Router.route_tokens",
          params: {
            expert_capacity: null,
            training,
            moe_eval_capacity_token_fraction: 0.2,
            batch_prioritized_routing: true,
            normalize_router_prob_before_dropping: before,
          },
          input: { logits, padding_mask: padded },
          expected: {
            capacity,
            experts_kept: sorted,
            weights: sorted.map((row, t) => row.map((e) => weight(t, e))),
            top1_kept: picks.map((row, t) => (row.length > 0 && slots[t]![0]! < capacity ? row[0]! : -1)),
          },
        });
      });
    }
  }

  it("Megatron's whole router: sigmoid, bias, groups, capacity, padding, three losses, each scaled by the real tokens", () => {
    const [length, batch, topk, scale] = [4, 2, 2, 2];
    const tokens = length * batch;
    const logits = normalLogits(tokens, experts, "router");
    const v = rows(normalLogits(tokens, experts, "v"), experts);
    const bias = [0.3, -0.2, 0.1, 0, -0.4, 0.2];
    const mask = padding(tokens);
    const real = mask.filter((each) => !each).length;
    const all = rows(logits, experts);
    // Three groups of two; the best one expert of each decides which two groups stay.
    const picks = all.map((row) => {
      const biased = row.map((x, i) => sigmoid(x) + bias[i]!);
      const groups = best(
        [0, 2, 4].map((first) => Math.max(biased[first]!, biased[first + 1]!)),
        2,
      );
      const open = biased.map((each, i) => (groups.includes(Math.floor(i / 2)) ? each : Number.NEGATIVE_INFINITY));
      return best(open, topk);
    });
    const weightsOf = (x: Rows) =>
      x.map((row, t) => picks[t]!.map((e) => sigmoid(row[e]!) / total(picks[t]!.map((each) => sigmoid(row[each]!)))));
    const capacity = Math.ceil(((tokens * topk) / experts) * 0.8);
    const weights = weightsOf(all);
    const kept = picks.map((row, t) =>
      row.map((e, j) => {
        const larger = picks.flatMap((other, s) => other.flatMap((each, i) => (each === e ? [weights[s]![i]!] : [])));
        return larger.filter((each) => each > weights[t]![j]!).length < capacity;
      }),
    );
    const normalised = (row: readonly number[]) => row.map((x) => sigmoid(x) / total(row.map(sigmoid)));
    const switchLoss = (x: Rows, divisor: number) => {
      const p = x.map(normalised);
      return (
        (experts / (topk * divisor ** 2)) *
        dot(
          counts(
            p.map((row) => best(row, topk)),
            experts,
          ),
          p,
        )
      );
    };
    const ofSequence = (x: Rows, b: number) => x.filter((_, t) => t % batch === b && !mask[t]);
    const aux = (x: Rows) =>
      switchLoss(
        x.filter((_, t) => !mask[t]),
        real,
      );
    const seq = (x: Rows) => total([0, 1].map((b) => switchLoss(ofSequence(x, b), real / batch) / batch));
    const z = (x: Rows) => total(x.map((row, t) => (mask[t] ? 0 : logSum(row) ** 2))) / real;
    const objective = (x: Rows) =>
      total(weightsOf(x).flatMap((row, t) => row.map((w, j) => (kept[t]![j] ? w * v[t]![picks[t]![j]!]! : 0)))) +
      scale * real * (0.1 * aux(x) + 0.2 * seq(x) + 0.01 * z(x));
    const sorted = picks.map((row, t) => row.filter((_, j) => kept[t]![j]).sort((a, b) => a - b));
    expectAgreement("megatron_router_end_to_end", {
      source: "router.py::TopKRouter.routing",
      params: {
        topk,
        routing_type: ["aux_loss", "seq_aux_loss"],
        moe_aux_loss_coeff: [0.1, 0.2],
        moe_z_loss_coeff: 0.01,
        moe_router_score_function: "sigmoid",
        moe_router_enable_expert_bias: true,
        moe_router_num_groups: 3,
        moe_router_group_topk: 2,
        moe_expert_capacity_factor: 0.8,
        calculate_per_token_loss: true,
        main_loss_backward_scale: scale,
      },
      input: { logits: nested(all, length), v, expert_bias: bias, padding_mask: nested(mask, length) },
      expected: {
        experts: sorted,
        tokens_per_expert: counts(sorted, experts),
        local_tokens_per_expert: counts(
          sorted.filter((_, t) => !mask[t]),
          experts,
        ),
        logged: { z_loss: z(all), load_balancing_loss: aux(all), seq_load_balancing_loss: seq(all) },
        grad_total: nested(gradientOf(objective, logits, experts), length),
      },
    });
  });
});
