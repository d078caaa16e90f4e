/**
 * Family megatron_aux_losses: the switch loss of Megatron-LM over a micro-batch, over ranks, over the step so far and
 * over sequences. Padding is expressed by leaving the padded tokens out; a sequence is a rank of its own.
 */
import { newStepLoad } from "../../src/balance/balance.ts";
import type { LossContext } from "../../src/balance/rule.ts";
import { switchLoss } from "../../src/balance/switch-loss.ts";
import type { Routing } from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { type Adapter, type GoldenCase, MalformedCase, matrixOf, numberOf, rows } from "./golden-case.ts";
import { megatronRoute } from "./megatron-topk-routing.ts";
import { type BalancedBatch, balance, expertLoad } from "./routed-batch.ts";

export const megatronAuxLosses: Adapter = (golden) => {
  const { source, input } = golden;
  if (source.includes("z_loss")) return { skip: "router z-loss" };
  const padded = Object.keys(input).some((key) => key.includes("padding") && input[key] !== null);
  if (padded && source.includes("TopKRouter._apply")) return { skip: "padding mask over ranks or sequences" };
  if (source.includes("_apply_seq_aux_loss")) return sequences(golden);
  if (source.includes("_apply_global_aux_loss")) return globalBatch(golden);
  if (input["logits_per_rank"]) return tensorRanks(golden);
  return input["logits"] ? microBatch(golden) : givenProbabilities(golden);
};

/** Counts come from plain top-k of the scores, without bias, so the routing pass itself gives them. */
function routed(values: Float64Array, experts: number, { params }: GoldenCase): Routing {
  return megatronRoute(
    { values, sizes: [experts] },
    { topk: params["topk"]!, score_function: params["score_function"] ?? "softmax" },
  );
}

const coefficientOf = ({ params }: GoldenCase) => numberOf(params, "coeff");

/** True where a token is real. */
function validTokens({ input }: GoldenCase, tokens: number): boolean[] {
  const mask = input["padding_mask"];
  if (mask === undefined || mask === null) return new Array<boolean>(tokens).fill(true);
  if (!Array.isArray(mask)) throw new MalformedCase("'padding_mask' is no array");
  const flat = mask.flat().map((padding) => !padding);
  if (flat.length !== tokens) throw new MalformedCase(`'padding_mask' has ${flat.length} entries for ${tokens} tokens`);
  return flat;
}

function microBatch(golden: GoldenCase) {
  const logits = matrixOf(golden.input, "logits");
  const experts = logits.sizes.at(-1)!;
  const all = rows(logits.values, experts);
  const valid = validTokens(golden, all.length);
  const batch = routed(Float64Array.from(all.filter((_, t) => valid[t]).flat()), experts, golden);
  const { loss, load, probability, gradient } = balance(batch, coefficientOf(golden));
  let next = 0;
  const everyToken = valid.map((real) => (real ? gradient[next++]! : new Array<number>(experts).fill(0)));
  return {
    fields: { tokens_per_expert: load, sum_scores_per_expert: probability, aux_loss: loss, grad_aux_loss: everyToken },
  };
}

/** The loss without its coefficient, which Megatron applies outside. */
const unweighted = (context: LossContext) =>
  switchLoss.evaluate(context, new Float64Array(context.shape.experts), { coefficient: 1, scope: "micro-batch" });

/** The loss that one rank reports: counts of all, its own probabilities, divided by the tokens of all. */
function lossOfRank(
  shape: RouterShape,
  load: Float64Array,
  loadTokens: number,
  batch: BalancedBatch,
  rank: number,
  tokens: number,
) {
  const { experts } = shape;
  const probabilitySum = batch.probability.slice(rank * experts, (rank + 1) * experts);
  return unweighted({ shape, load, loadTokens, probabilitySum, tokens });
}

function tensorRanks(golden: GoldenCase) {
  const { values, sizes } = matrixOf(golden.input, "logits_per_rank");
  const [ranks, local, experts] = sizes as [number, number, number];
  const batch = routed(values, experts, golden);
  const coefficient = coefficientOf(golden);
  const balanced = balance(batch, coefficient, "global-batch", ranks);
  const load = expertLoad(batch);
  const perRank = Array.from({ length: ranks }, (_, rank) => ({
    aux_loss: coefficient * lossOfRank(batch.shape, load, ranks * local, balanced, rank, ranks * local),
    grad_aux_loss: balanced.gradient.slice(rank * local, (rank + 1) * local),
    local_tokens: local,
  }));
  return {
    fields: {
      ...Object.fromEntries(perRank.map((fields, rank) => [`rank${rank}`, fields])),
      sum_over_ranks: balanced.loss,
      tokens_per_expert_global: load,
    },
  };
}

function globalBatch(golden: GoldenCase) {
  const { values, sizes } = matrixOf(golden.input, "logits");
  const [steps, ranks, local, experts] = sizes as [number, number, number, number];
  const coefficient = coefficientOf(golden);
  const stepLoad = newStepLoad(experts);
  const size = ranks * local * experts;
  const microbatches = Array.from({ length: steps }, (_, step) => {
    const batch = routed(values.subarray(step * size, (step + 1) * size), experts, golden);
    const balanced = balance(batch, coefficient, "global-batch", ranks, stepLoad);
    return {
      per_rank: Array.from({ length: ranks }, (_, rank) => ({
        loss: coefficient * lossOfRank(batch.shape, stepLoad.load, stepLoad.tokens, balanced, rank, ranks * local),
        grad: balanced.gradient.slice(rank * local, (rank + 1) * local),
      })),
      accumulated_tokens_per_expert: stepLoad.load.slice(),
      ga_steps: step + 1,
    };
  });
  return { fields: { microbatches } };
}

/** Logits come sequence-major, [S, B, N]; here every sequence is a rank, one after the other. */
function sequences(golden: GoldenCase) {
  const { values, sizes } = matrixOf(golden.input, "logits");
  const [length, batchSize, experts] = sizes as [number, number, number];
  const all = rows(values, experts);
  const at = (b: number, s: number) => s * batchSize + b;
  const order = Array.from({ length: length * batchSize }, (_, t) => at(Math.floor(t / length), t % length));
  const batch = routed(Float64Array.from(order.flatMap((t) => all[t]!)), experts, golden);
  const coefficient = coefficientOf(golden);
  const perSequence = balance(batch, coefficient, "micro-batch", batchSize);
  const { gradient, load } = perSequence;
  return {
    fields: {
      seq_aux_loss: perSequence.loss,
      grad_seq_aux_loss: Array.from({ length }, (_, s) =>
        Array.from({ length: batchSize }, (_, b) => gradient[b * length + s]!),
      ),
      micro_batch_aux_loss: balance(batch, coefficient).loss,
      tokens_per_seq_expert: rows(load, experts),
      valid_token_count: length * batchSize,
    },
  };
}

/** No logits: probabilities as numbers, or in words. */
function givenProbabilities(golden: GoldenCase) {
  const { params, input } = golden;
  const load = matrixOf(input, "tokens_per_expert").values;
  const experts = load.length;
  const shape = { experts, topK: numberOf(params, "topk"), groups: 1 };
  const words = input["probs"];
  const tokens = load.reduce((sum, count) => sum + count, 0) / shape.topK;
  const sum = new Float64Array(experts);
  if (Array.isArray(words)) {
    const { values } = matrixOf(input, "probs");
    for (let i = 0; i < values.length; i++) sum[i % experts] = sum[i % experts]! + values[i]!;
  } else {
    const one = /all mass on expert (\d+)/.exec(String(words));
    if (one) sum[Number(one[1])] = tokens;
    else if (/uniform|1\/E|1\/\d/.test(String(words))) sum.fill(tokens / experts);
    else return { skip: `probabilities in words ('${String(words)}')` };
  }
  const loss = unweighted({ shape, load, loadTokens: tokens, probabilitySum: sum, tokens });
  return { fields: { aux_loss: coefficientOf(golden) * loss } };
}
