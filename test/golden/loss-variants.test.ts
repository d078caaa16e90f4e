/** Losses that the given cases do not show. */
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

describe("losses of golden cases, variants", () => {
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
});
