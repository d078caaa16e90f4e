/** Family expert_bias_update: loss-free balancing as Megatron-LM, OLMo-core and torchtitan do it, and quantile balancing. */
import { finishStep, newBalance, observe } from "../../src/balance/balance.ts";
import { loadQuantiles } from "../../src/balance/quantile-balancing.ts";
import type { BiasSetting } from "../../src/balance/rules.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import type { Routing } from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import {
  type Adapter,
  type GoldenCase,
  type Json,
  type JsonObject,
  matrixOf,
  numberOf,
  type Produced,
  rows,
} from "./golden-case.ts";
import { biasOf, megatronRoute } from "./megatron-topk-routing.ts";
import { ascending, chosenRows, expertLoad, routeBatch } from "./routed-batch.ts";

export const expertBiasUpdate: Adapter = (golden) => {
  const { source, input } = golden;
  const isQuantile = /qb_|quantile/i.test(source) || "beta" in input;
  if (input["logits"]) return { fields: { steps: trajectory(golden, isQuantile) } };
  return { fields: isQuantile ? quantiles(golden) : oneUpdate(golden) };
};

/** Megatron-LM and OLMo-core move by the sign alone; torchtitan keeps the sum of the biases. */
function ruleOf({ source, params }: GoldenCase): BiasSetting {
  const rate = numberOf(params, ["update_rate", "load_balance_coeff", "bias_gamma"]);
  const centred = source.includes("torchtitan");
  return { rule: "loss-free-bias", rate, centred, schedule: "constant", until: 1 };
}

/** Moves a bias as the end of a step does. @param load [N] assignments of the step @param routing what the rule may look at */
function move(bias: Float64Array, load: Float64Array, setting: BiasSetting, routing?: Routing): void {
  const shape = { experts: load.length, topK: routing?.shape.topK ?? 1, groups: 1, devices: 1 };
  const balance = newBalance({ settings: [setting], shape, ranks: 1, sequenceLength: 1 }, 1);
  balance.step.sums.load.set(load);
  if (routing !== undefined) observe(balance, routing, bias);
  finishStep([{ balance, bias }], 1, 1);
}

/** OLMo-core calls the counts otherwise. */
const countsOf = (input: JsonObject) =>
  matrixOf(input, "batch_size_per_expert" in input ? "batch_size_per_expert" : "tokens_per_expert");

/** Every layer moves by itself; the counts of several ranks are added first. */
function oneUpdate(golden: GoldenCase) {
  const { input } = golden;
  const counts = countsOf(input);
  const experts = counts.sizes.at(-1)!;
  const starts = biasOf(input) ?? new Float64Array(counts.values.length);
  const moved = (loads: Float64Array) => {
    const bias = starts.slice();
    for (let at = 0; at < bias.length; at += experts) {
      move(bias.subarray(at, at + experts), loads.subarray(at, at + experts), ruleOf(golden));
    }
    return counts.sizes.length === 1 ? bias : rows(bias, experts);
  };
  const alone = moved(counts.values);
  if (!input["tokens_per_expert_other_rank"]) return { bias: alone, bias_single_rank: alone, score_bias: alone };
  const other = matrixOf(input, "tokens_per_expert_other_rank").values;
  return { bias_single_rank: alone, bias_two_ranks: moved(counts.values.map((load, i) => load + other[i]!)) };
}

/** The same logits every step: route with the bias, count, move the bias. */
function trajectory(golden: GoldenCase, isQuantile: boolean) {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const bias = biasOf(input)?.slice() ?? new Float64Array(logits.sizes.at(-1)!);
  const rule: BiasSetting = isQuantile
    ? { rule: "quantile-balancing", ema: numberOf(params, ["ema", "momentum", "qb_ema", "qb_beta_ema"], 0) }
    : ruleOf(golden);
  return Array.from({ length: numberOf(params, "steps") }, () => {
    const routing = megatronRoute(logits, params, { bias });
    const load = expertLoad(routing);
    move(bias, load, rule, routing);
    const beta_after = bias.map((each) => -each);
    const { experts, weights } = ascending(routing);
    return { experts, weights, tokens_per_expert: load, bias_after: bias.slice(), beta_after, beta: beta_after };
  });
}

/** Experts are chosen by score − β; what β would do next, and the loads that would come of it. */
function quantiles({ params, input }: GoldenCase): Record<string, Produced> {
  const scores = matrixOf(input, "scores");
  const beta = matrixOf(input, "beta").values;
  const shape = { experts: scores.sizes.at(-1)!, topK: numberOf(params, "topk"), groups: 1 };
  const routedWith = (taken: Float64Array) =>
    routeBatch(scores.values, shape, routingPresets["megatron-sigmoid"].settings, {
      scored: true,
      bias: taken.map((each) => -each),
    });
  const next = loadQuantiles(scores.values, beta, shape);
  const now = routedWith(beta);
  return {
    experts: ascending(now).experts,
    experts_ranked: chosenRows(now),
    beta_quantile: next,
    tokens_per_expert: expertLoad(now),
    tokens_per_expert_if_routed_with_quantile: (theirs) => differsBeyondTies(scores.values, next, shape, theirs),
  };
}

/**
 * With the quantiles taken off, scores tie at each token's threshold by construction, so a load is only known to lie
 * between the tokens that are above it and those that reach it.
 */
function differsBeyondTies(
  scores: Float64Array,
  taken: Float64Array,
  { experts, topK }: RouterShape,
  theirs: Json,
): string | undefined {
  const [above, reached] = [new Float64Array(experts), new Float64Array(experts)];
  for (let at = 0; at < scores.length; at += experts) {
    const row = taken.map((each, e) => scores[at + e]! - each);
    const threshold = row.toSorted()[experts - topK]!;
    row.forEach((value, e) => {
      if (value > threshold + TIE) above[e] = above[e]! + 1;
      if (value >= threshold - TIE) reached[e] = reached[e]! + 1;
    });
  }
  const load = (theirs as Json[]).map(Number);
  const wrong = load.findIndex((each, e) => each < above[e]! || each > reached[e]!);
  return wrong === -1 ? undefined : `expert ${wrong}: ${load[wrong]} is not within ${above[wrong]} … ${reached[wrong]}`;
}

/** Sums of the cases' fractions of 2^-12 are exact; what differs at all differs by more. */
const TIE = 1e-9;
