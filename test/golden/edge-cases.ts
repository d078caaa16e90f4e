/**
 * Family edge_cases: ties and degenerate inputs of the codes of the other families.
 *
 * Where a case is tagged implementation-defined, the experts are checked to be a best set, and the weights to be those
 * of the experts that the case names: they need not be the very ids that one machine returned.
 */
import { compareInGroups } from "../../src/routing/group-limited.ts";
import { optionsOf, type Routing } from "../../src/routing/route.ts";
import { deepseekGroupLimitedGates, deepseekMoegateAux, routeByGate } from "./deepseek-gates.ts";
import { expertBiasUpdate } from "./expert-bias-update.ts";
import { expertChoice } from "./expert-choice.ts";
import { type Adapter, asNumber, type GoldenCase, type Json, matrixOf, type Produced } from "./golden-case.ts";
import { gshardTop2 } from "./gshard-top2.ts";
import { megatronAuxLosses, zLossFields } from "./megatron-aux-losses.ts";
import {
  biasOf,
  megatronGroupLimitedTopk,
  megatronRoute,
  megatronTopkRouting,
  topkFields,
} from "./megatron-topk-routing.ts";
import { mogePangu } from "./moge-pangu.ts";
import { chosenRows } from "./routed-batch.ts";
import { sinkhornCases } from "./sinkhorn.ts";
import { switchTop1 } from "./switch-top1.ts";
import { deviceLevelCapacity, droppedFields, megatronTokenDropping } from "./token-dropping.ts";
import { tokensChooseFlaxformer } from "./tokens-choose-flaxformer.ts";

/** Which adapter answers for a code, by a word of the source; the first that fits. */
const codes: readonly (readonly [RegExp, Adapter])[] = [
  [/pangu/, mogePangu],
  [/topk_softmax_with_capacity/, deviceLevelCapacity],
  [/apply_router_token_dropping/, beforeSoftmax],
  [/topk_routing_with_score_function/, megatronTopkAndZLoss],
  [/group_limited_topk/, megatronGroupLimitedTopk],
  [/get_capacity|pad_routing_map|::permute/, megatronTokenDropping],
  [/sinkhorn/, sinkhornCases],
  [/z_loss_func|switch_load_balancing|_aux_loss/, megatronAuxLosses],
  [/expert_bias|qb_dual_update/, expertBiasUpdate],
  [/top1gating|Switch/, switchTop1],
  [/top2gating|topkgating|Nllb|utel/, gshardTop2],
  [/ExpertsChoose/, expertChoice],
  [/flaxformer/, tokensChooseFlaxformer],
  [/./, gates],
];

export const edgeCases: Adapter = (golden) => {
  const answer = codes.find(([pattern]) => pattern.test(golden.source))![1](golden);
  if (!golden.tags.includes("implementation-defined")) return answer;
  return { ...answer, fields: { ...answer.fields, ...validityFields(golden) } };
};

/** The cases say nothing of the softmax; it comes before the choice. */
function beforeSoftmax(golden: GoldenCase) {
  const params = { use_pre_softmax: true, ...golden.params };
  return { fields: droppedFields({ ...golden, params }, matrixOf(golden.input, "logits")) };
}

function megatronTopkAndZLoss(golden: GoldenCase) {
  return { fields: { ...zLossFields(golden), ...megatronTopkRouting(golden).fields } };
}

function gates(golden: GoldenCase) {
  return "aux_loss" in golden.expected ? deepseekMoegateAux(golden) : deepseekGroupLimitedGates(golden);
}

/** The routing of a case; with the experts that the case names, or our own. */
function routingOf(golden: GoldenCase, choice?: Int32Array): Routing {
  const { source, params, input } = golden;
  if (!source.includes("topk_routing_with_score_function")) return routeByGate(golden, choice);
  return megatronRoute(matrixOf(input, "logits"), params, { bias: biasOf(input), choice });
}

function validityFields(golden: GoldenCase): Record<string, Produced> {
  const { expected } = golden;
  const named = expected["experts"] ?? expected["experts_ranked"];
  if (!Array.isArray(named) || !/topk_routing_with_score_function|Gate|torchtitan|gating_top_k/.test(golden.source))
    return {};
  const theirs = routingOf(golden, Int32Array.from((named as Json[]).flat().map((id) => asNumber(id)!)));
  const ours = routingOf(golden);
  const asGood = () => worseChoice(theirs, ours, golden) ?? worseChoice(ours, theirs, golden);
  return {
    experts: asGood,
    experts_ranked: asGood,
    weights: topkFields(theirs, golden.input).weights,
    tokens_per_expert: () => undefined, // follows from the experts
  };
}

/** What is wrong if one choice is worse than another by what they go by. */
function worseChoice(one: Routing, other: Routing, { input }: GoldenCase): string | undefined {
  const values = new Float64Array(one.shape.experts);
  const best = chosenRows(other);
  for (const [t, row] of chosenRows(one).entries()) {
    writeCompared(one, biasOf(input), t, values);
    if (new Set(row).size !== row.length) return `token ${t} has an expert twice`;
    const sorted = (experts: readonly number[]) => experts.map((expert) => values[expert]!).sort((a, b) => a - b);
    const [mine, theirs] = [sorted(row), sorted(best[t]!)];
    if (mine.some((value, j) => value < theirs[j]!)) return `token ${t} leaves out a better expert`;
  }
  return undefined;
}

function writeCompared(routing: Routing, bias: Float64Array | undefined, token: number, values: Float64Array): void {
  const { shape, logits, scores, settings } = routing;
  if (settings.selection === "group-limited") {
    compareInGroups(
      { shape, logits, scores, bias, options: optionsOf(settings) as never, first: 0, last: 0 },
      token,
      values,
    );
    return;
  }
  for (let i = 0; i < values.length; i++) values[i] = scores[token * shape.experts + i]! + (bias?.[i] ?? 0);
}
