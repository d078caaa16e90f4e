/** Family megatron_topk_routing: `topk_routing_with_score_function` of Megatron-LM without groups. */
import type { Floats } from "../../src/core/floats.ts";
import { emptyAssignment } from "../../src/routing/assignment.ts";
import type { Routing, RoutingSettings } from "../../src/routing/route.ts";
import { routers } from "../../src/routing/routers.ts";
import { type Adapter, type GoldenCase, type JsonObject, type Matrix, matrixOf, numberOf } from "./golden-case.ts";
import { ascending, chosenRows, expertLoad, routeBatch, scoreFunctionOf, weightedSumGradient } from "./routed-batch.ts";

/** Group limits apply only when Megatron's `group_topk` is set and not 0. */
export const limitsGroups = (params: JsonObject) => Boolean(params["group_topk"]);

/** Megatron's rule in this project's terms. `use_pre_softmax` is off unless set. */
function settingsOf(params: JsonObject, topK: number): RoutingSettings {
  const scoreFunction = scoreFunctionOf(params["score_function"]);
  const normalised = scoreFunction === "softmax" ? params["use_pre_softmax"] !== true : topK > 1;
  return {
    selection: "topk",
    scoreFunction,
    normalisation: normalised ? "chosen" : "none",
    scale: numberOf(params, "scaling_factor", 0) || 1,
  };
}

/**
 * Routes as Megatron does: a bias is ignored for softmax, and softmax after the choice chooses by the logits themselves.
 * @param choice [T, K] picks of the caller
 */
export function megatronRoute(
  { values: logits, sizes }: Matrix,
  params: JsonObject,
  bias?: Floats,
  choice?: Int32Array,
): Routing {
  const experts = sizes.at(-1)!;
  const topK = numberOf(params, "topk");
  const shape = { experts, topK, groups: 1 };
  const settings = settingsOf(params, topK);
  if (settings.scoreFunction !== "softmax") return routeBatch(logits, shape, settings, { bias, choice });
  if (choice === undefined && settings.normalisation === "chosen") {
    const byLogits = emptyAssignment(logits.length / experts, topK);
    routers.topk.select({ shape, scores: logits, first: 0, last: byLogits.tokens }, byLogits);
    choice = byLogits.experts;
  }
  return routeBatch(logits, shape, settings, { choice });
}

/** Every field of a top-k case that the project computes. */
export function topkFields(batch: Routing, input: JsonObject) {
  const gradient = input["v"] && weightedSumGradient(batch, matrixOf(input, "v").values);
  return {
    ...ascending(batch),
    experts_ranked: chosenRows(batch),
    tokens_per_expert: expertLoad(batch),
    ...(gradient && { grad_sum_probs_v: gradient, grad_sum_weights_v: gradient }),
  };
}

export const megatronTopkRouting: Adapter = ({ params, input }: GoldenCase) => {
  if (limitsGroups(params)) return { skip: "group-limited routing" };
  const bias = input["expert_bias"] ? matrixOf(input, "expert_bias").values : undefined;
  const choice = input["precomputed_indices"]
    ? Int32Array.from(matrixOf(input, "precomputed_indices").values)
    : undefined;
  return { fields: topkFields(megatronRoute(matrixOf(input, "logits"), params, bias, choice), input) };
};
