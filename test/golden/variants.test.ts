/** Variants that the given cases do not show, against the sources' formulas written out slowly. */
import { expect } from "chai";
import { normalLogits, numericalGradient } from "../routing/small-batch.ts";
import { compare, thirteenDigits } from "./compare.ts";
import { families } from "./families.ts";
import { readCase, rows } from "./golden-case.ts";

type Rows = readonly (readonly number[])[];

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

function softmax(row: readonly number[]): number[] {
  const e = row.map((x) => Math.exp(x));
  return e.map((each) => each / total(e));
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const logSum = (row: readonly number[]) => Math.log(total(row.map((x) => Math.exp(x))));

const ranked = (row: readonly number[]) => [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b);
const best = (row: readonly number[], count: number) => ranked(row).slice(0, count);

const counts = (picks: Rows, experts: number) =>
  Array.from({ length: experts }, (_, e) => picks.flat().filter((each) => each === e).length);

/** Σ_i c_i Σ_t p_ti. */
const dot = (load: readonly number[], p: Rows) => total(load.map((c, i) => c * total(p.map((row) => row[i]!))));

/** Cuts a list as the sizes say. */
function nested(values: readonly unknown[], ...sizes: number[]): unknown {
  if (sizes.length === 0) return values;
  const [size, ...inner] = sizes as [number, ...number[]];
  const length = values.length / size;
  const parts = Array.from({ length: size }, (_, i) => values.slice(i * length, (i + 1) * length));
  return inner.length === 0 ? parts : parts.map((part) => nested(part, ...inner));
}

function expectAgreement(
  family: keyof typeof families,
  given: { source: string; params: object; input: object; expected: object },
) {
  const golden = readCase(JSON.parse(JSON.stringify({ name: family, ...given, expected_f64: given.expected })), 0);
  const { fields } = families[family](golden);
  for (const [field, value] of Object.entries(golden.expected)) {
    if (field.startsWith("grad")) expectNear(fields[field], value);
    else expect(compare(field, fields[field], value, value, thirteenDigits)).to.equal(undefined);
  }
}

/** Gradients are finite differences here. */
function expectNear(got: unknown, wanted: unknown): void {
  if (Array.isArray(wanted)) {
    const list = got as ArrayLike<unknown>;
    expect(list.length).to.equal(wanted.length);
    wanted.forEach((each, i) => {
      expectNear(list[i], each);
    });
  } else expect(got).to.be.closeTo(wanted as number, 1e-8);
}

const gradientOf = (loss: (x: Rows) => number, logits: Float64Array, experts: number) =>
  rows(
    numericalGradient((x) => loss(rows(x, experts)), logits),
    experts,
  );

const padding = (count: number) => Array.from({ length: count }, (_, i) => (i * 7) % 5 === 1);

describe("variants of golden cases", () => {
  const experts = 6;

  for (const scoreFunction of ["softmax", "sigmoid"]) {
    const scoresOf = (row: readonly number[]) => {
      if (scoreFunction === "softmax") return softmax(row);
      const s = row.map(sigmoid);
      return s.map((each) => each / total(s));
    };

    it(`Megatron's sequence loss with padding: divided by the mean number of real tokens, ${scoreFunction}`, () => {
      const [length, batch, topk, coeff] = [5, 3, 2, 0.1];
      const logits = normalLogits(length * batch, experts, "seq");
      const mask = padding(length * batch);
      const real = mask.filter((each) => !each).length;
      const loss = (x: Rows) =>
        total(
          Array.from({ length: batch }, (_, b) => {
            const own = x.filter((_, t) => t % batch === b && !mask[t]);
            const p = own.map(scoresOf);
            const load = counts(
              p.map((row) => best(row, topk)),
              experts,
            );
            return ((coeff * experts) / (topk * (real / batch) ** 2) / batch) * dot(load, p);
          }),
        );
      const all = rows(logits, experts);
      expectAgreement("megatron_aux_losses", {
        source: "router.py::TopKRouter._apply_seq_aux_loss",
        params: { score_function: scoreFunction, topk, coeff },
        input: { logits: nested(all, length), padding_mask: nested(mask, length) },
        expected: {
          seq_aux_loss: loss(all),
          valid_token_count: real,
          grad_seq_aux_loss: nested(gradientOf(loss, logits, experts), length),
        },
      });
    });

    it(`Megatron's global loss with padding: counts averaged so far, tokens of the present micro-batch, ${scoreFunction}`, () => {
      const [steps, ranks, local, topk, coeff] = [3, 2, 4, 2, 0.1];
      const logits = rows(normalLogits(steps * ranks * local, experts, "global"), experts);
      const mask = padding(logits.length);
      const accumulated = new Array<number>(experts).fill(0);
      const microbatches = Array.from({ length: steps }, (_, step) => {
        const places = (rank: number) =>
          Array.from({ length: local }, (_, t) => (step * ranks + rank) * local + t).filter((t) => !mask[t]);
        const p = [0, 1].map((rank) => places(rank).map((t) => scoresOf(logits[t]!)));
        const load = counts(
          p.flat().map((row) => best(row, topk)),
          experts,
        );
        load.forEach((each, i) => {
          accumulated[i] = accumulated[i]! + each;
        });
        const tokens = total(load) / topk;
        const mean = accumulated.map((each) => each / (step + 1));
        const per_rank = p.map((own) => ({ loss: ((coeff * experts) / (topk * tokens ** 2)) * dot(mean, own) }));
        return { per_rank, accumulated_tokens_per_expert: [...accumulated], ga_steps: step + 1 };
      });
      expectAgreement("megatron_aux_losses", {
        source: "router.py::TopKRouter._apply_global_aux_loss",
        params: { score_function: scoreFunction, topk, coeff },
        input: { logits: nested(logits, steps, ranks), padding_mask: nested(mask, steps, ranks) },
        expected: { microbatches },
      });
    });
  }

  it("Mixtral's loss over the real tokens of three layers together", () => {
    const [layers, batch, length, k] = [3, 2, 4, 2];
    const logits = normalLogits(layers * batch * length, experts, "mixtral");
    const mask = padding(batch * length).map((each) => (each ? 0 : 1));
    const loss = (x: Rows) => {
      const p = x.filter((_, t) => mask[t % (batch * length)] === 1).map(softmax);
      const load = counts(
        p.map((row) => best(row, k)),
        experts,
      );
      return (experts * dot(load, p)) / p.length ** 2;
    };
    const all = rows(logits, experts);
    expectAgreement("aux_losses_other", {
      source: "huggingface/transformers mixtral load_balancing_loss_func",
      params: { layers, num_experts: experts, top_k: k, batch },
      input: { logits_per_layer: nested(all, layers), attention_mask: nested(mask, batch) },
      expected: { loss: loss(all), grad: nested(gradientOf(loss, logits, experts), layers) },
    });
  });

  for (const granularity of ["local_batch", "instance"]) {
    it(`OLMo-core's losses with a divisor of their own, ${granularity}`, () => {
      const [batch, length, k, div] = [3, 4, 2, 50];
      const logits = normalLogits(batch * length, experts, "olmo");
      const loss = (x: Rows) => {
        const runs = granularity === "instance" ? (nested([...x], batch) as number[][][]) : [x];
        const ofRun = (run: Rows) => {
          const p = run.map(softmax);
          return (
            dot(
              counts(
                p.map((row) => best(row, k)),
                experts,
              ),
              p,
            ) / run.length
          );
        };
        return ((experts / k) * total(runs.map(ofRun))) / div;
      };
      const z = (x: Rows) => total(x.map((row) => logSum(row) ** 2)) / div;
      const all = rows(logits, experts);
      expectAgreement("aux_losses_other", {
        source: "allenai/OLMo-core",
        params: { top_k: k, granularity, loss_div_factor: div },
        input: { logits: nested(all, batch) },
        expected: {
          lb_loss: loss(all),
          z_loss: z(all),
          grad_lb: nested(gradientOf(loss, logits, experts), batch),
          grad_z: nested(gradientOf(z, logits, experts), batch),
        },
      });
    });
  }

  it("MegaBlocks' loss, averaged over three layers", () => {
    const [layers, tokens, k, weight] = [3, 5, 2, 0.1];
    const logits = normalLogits(layers * tokens, experts, "megablocks");
    const loss = (x: Rows) => {
      const perLayer = (nested([...x], layers) as number[][][]).map((layer) => {
        const p = layer.map(softmax);
        return (
          dot(
            counts(
              p.map((row) => best(row, k)),
              experts,
            ),
            p,
          ) / tokens
        );
      });
      return ((experts * weight) / (layers * tokens * k)) * total(perLayer);
    };
    const all = rows(logits, experts);
    expectAgreement("aux_losses_other", {
      source: "databricks/megablocks",
      params: { layers, top_k: k, moe_loss_weight: weight, moe_zloss_weight: 0.01 },
      input: { logits_per_layer: nested(all, layers) },
      expected: { lb_loss: loss(all), grad_lb: nested(gradientOf(loss, logits, experts), layers) },
    });
  });

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
