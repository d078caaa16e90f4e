/**
 * Families megatron_topk_routing and megatron_group_limited_topk: `topk_routing_with_score_function` and
 * `group_limited_topk` of Megatron-LM.
 */
import { emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import { groupLimited } from "../../src/routing/group-limited.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import type { Routing, RoutingSettings } from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { type Adapter, type Json, type JsonObject, type Matrix, matrixOf, numberOf, rows } from "./golden-case.ts";
import {
  ascending,
  type BatchFacts,
  chosenRows,
  keptLoad,
  routeBatch,
  scoreFunctionOf,
  weightedSumGradient,
} from "./routed-batch.ts";

/** Group limits apply only when Megatron's `group_topk` is set and not 0. */
const limitsGroups = (params: JsonObject) => Boolean(params["group_topk"]);

/** Megatron's rule in this project's terms. `use_pre_softmax` is off unless set. */
export function megatronSettings(params: JsonObject): RoutingSettings {
  const scoreFunction = scoreFunctionOf(params["score_function"]);
  const before = params["use_pre_softmax"] === true;
  const preset = scoreFunction !== "softmax" ? "megatron-sigmoid" : before ? "megatron-pre-softmax" : "megatron-topk";
  const settings = {
    ...routingPresets[preset].settings,
    scoreFunction,
    scale: numberOf(params, "scaling_factor", 0) || 1,
  };
  if (!limitsGroups(params)) return settings;
  const options = {
    limit: numberOf(params, "group_topk"),
    groupScore: "top-share-sum",
    compare: preset === "megatron-topk" ? "logits" : "scores",
    mask: "exclude",
  };
  return { ...settings, selection: "group-limited", options };
}

export const megatronShape = (params: JsonObject, experts: number): RouterShape => ({
  experts,
  topK: numberOf(params, "topk"),
  groups: limitsGroups(params) ? numberOf(params, "num_groups") : 1,
});

/** Routes as Megatron does: a bias is ignored for softmax. */
export function megatronRoute(
  { values: logits, sizes }: Matrix,
  params: JsonObject,
  facts: BatchFacts = {},
  capacity?: RoutingSettings["capacity"],
): Routing {
  const settings = { ...megatronSettings(params), capacity };
  const bias = settings.scoreFunction === "softmax" ? undefined : facts.bias;
  return routeBatch(logits, megatronShape(params, sizes.at(-1)!), settings, { ...facts, bias });
}

/** Every field of a top-k case. */
export function topkFields(routing: Routing, input: JsonObject) {
  const gradient = input["v"] && weightedSumGradient(routing, matrixOf(input, "v").values);
  const { experts, weights } = ascending(routing);
  const { slots, chosen } = { ...routing.assignment, ...routing };
  const { groups } = routing.shape;
  const groupOf = (expert: number) => Math.floor((expert * groups) / routing.shape.experts);
  return {
    experts,
    weights,
    experts_ranked: chosenRows(routing),
    tokens_per_expert: keptLoad(routing),
    groups_used_per_token: rows(chosen, slots).map((row) => new Set(row.map(groupOf)).size),
    ...(gradient && { grad_sum_probs_v: gradient, grad_sum_weights_v: gradient }),
  };
}

export const biasOf = (input: JsonObject) => {
  const key = ["expert_bias", "bias", "score_bias"].find((name) => Array.isArray(input[name]));
  return key === undefined ? undefined : matrixOf(input, key).values;
};

export const megatronTopkRouting: Adapter = ({ params, input }) => {
  const choice = input["precomputed_indices"]
    ? Int32Array.from(matrixOf(input, "precomputed_indices").values)
    : undefined;
  return {
    fields: topkFields(megatronRoute(matrixOf(input, "logits"), params, { bias: biasOf(input), choice }), input),
  };
};

/** Scores are given; where the groups hold fewer experts than are wanted, the source picks excluded ones at −∞. */
export const megatronGroupLimitedTopk: Adapter = ({ params, input }) => {
  const { values: scores, sizes } = matrixOf(input, "scores");
  const shape = { experts: sizes.at(-1)!, topK: numberOf(params, "topk"), groups: numberOf(params, "num_groups") };
  const limit = numberOf(params, "group_topk");
  const choice = emptyAssignment(scores.length / shape.experts, shape.topK);
  groupLimited.select(
    {
      shape,
      scores,
      options: { limit, groupScore: "top-share-sum", compare: "scores", mask: "exclude" },
      first: 0,
      last: choice.tokens,
    },
    choice,
  );
  const ranked = rows(choice.experts, shape.topK);
  const finite = ranked.map((row) => row.filter((expert) => expert !== NO_EXPERT));
  const scoreOf = (token: number, expert: number) => scores[token * shape.experts + expert]!;
  return {
    fields: {
      experts_ranked: (theirs) => differsBeyondTies(ranked, theirs, scoreOf),
      scores_ranked: ranked.map((row, t) =>
        row.map((expert) => (expert === NO_EXPERT ? Number.NEGATIVE_INFINITY : scoreOf(t, expert))),
      ),
      finite: finite.flat().length,
      first4: finite.map((row) => row.slice(0, 4)),
    },
  };
};

/** Scores of this family are not all different, and the order of equal ones is the machine's own. */
function differsBeyondTies(
  ours: readonly (readonly number[])[],
  theirs: Json,
  scoreOf: (token: number, expert: number) => number,
): string | undefined {
  if (!Array.isArray(theirs) || theirs.length !== ours.length) return "another number of rows";
  for (const [t, row] of ours.entries()) {
    const named = (theirs[t] as Json[]).map(Number);
    if (new Set(named).size !== row.length) return `token ${t}: expected ${named.join(" ")}, got ${row.join(" ")}`;
    const wrong = row.findIndex((expert, j) => expert !== NO_EXPERT && scoreOf(t, expert) !== scoreOf(t, named[j]!));
    if (wrong !== -1) return `token ${t}: expected ${named[wrong]} at ${wrong}, got ${row[wrong]}`;
  }
  return undefined;
}
