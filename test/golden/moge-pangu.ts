/** Family moge_pangu: the routing of Pangu Pro MoE, as the paper writes it and as Huawei's code runs it. */
import type { Floats } from "../../src/core/floats.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import type { Routing } from "../../src/routing/route.ts";
import {
  type Adapter,
  type GoldenCase,
  type JsonObject,
  matrixOf,
  numberOf,
  type Produced,
  rows,
} from "./golden-case.ts";
import {
  ascending,
  balance,
  chosenRows,
  expertLoad,
  routeBatch,
  weightedSumGradient,
  weightRows,
} from "./routed-batch.ts";

/** What MoGE is given beside the logits. */
export interface MogeFacts {
  readonly groups: number;
  readonly perGroup?: number;
  /** [N] the learned scale of each expert */
  readonly expertScale?: Floats | undefined;
  /** Experts of each group that the batch's votes leave; absent: all. */
  readonly voted?: number | undefined;
}

/** Routes with the published preset. */
export function mogeRoute(logits: Floats, experts: number, { groups, perGroup = 1, expertScale, voted }: MogeFacts) {
  const { settings } = routingPresets["pangu-moge"];
  const vote = voted === undefined ? {} : ({ selection: "moge-voted", options: { voted } } as const);
  return routeBatch(
    logits,
    { experts, topK: groups * perGroup, groups },
    { ...settings, ...vote, ...(expertScale && { expertScale }) },
  );
}

/** Huawei's code votes for any other number of `num_voted_experts`, whatever the size of the groups. */
const VOTING_OFF = 8;

export const mogePangu: Adapter = (golden) => {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const experts = logits.sizes.at(-1)!;
  const votes = numberOf(params, "num_voted_experts", VOTING_OFF);
  const facts = {
    groups: numberOf(params, "num_groups", numberOf(params, "topk", 8)),
    perGroup: numberOf(params, "topk_per_group", 1),
    voted: votes === VOTING_OFF ? undefined : votes,
  };
  const expertScale = input["router_scale"] ? matrixOf(input, "router_scale").values : undefined;
  const plain = mogeRoute(logits.values, experts, facts);
  const scaled = mogeRoute(logits.values, experts, { ...facts, expertScale });
  return {
    fields: {
      ...routingFields(plain, scaled),
      ...lossFields(plain, scaled, input),
      ...rankFields(scaled, numberOf(params, "ep_size", 1)),
      ...outputFields(scaled, golden),
    },
  };
};

function routingFields(plain: Routing, scaled: Routing) {
  const { groups, experts } = scaled.shape;
  const load = expertLoad(scaled);
  const unscaled = weightRows(plain);
  const sorted = ascending(scaled);
  return {
    topk_experts: chosenRows(scaled), // in the order of the groups, as the code gives them
    topk_weights: weightRows(scaled),
    topk_weights_before_router_scale: unscaled,
    experts: sorted.experts,
    weights: sorted.weights,
    tokens_per_expert: load,
    tokens_per_group: rows(load, experts / groups).map(total),
    weight_sum_per_token: unscaled.map(total), // the gate mass, before the learned scale
    distinct_experts_used: load.filter((each) => each > 0).length,
  };
}

function lossFields(plain: Routing, scaled: Routing, input: JsonObject) {
  const { loss, gradient } = balance(plain, [
    { rule: "switch-loss", coefficient: 1, scope: "micro-batch", counts: "chosen", probabilities: "normalised" },
  ]);
  return {
    aux_loss_alpha1: loss,
    grad_aux_loss_alpha1: gradient,
    ...(input["v"] && { grad_sum_weights_v: weightedSumGradient(scaled, matrixOf(input, "v").values) }),
  };
}

/** What each rank of an expert-parallel group sees: its whole groups, ids counted from its own first expert. */
function rankFields(routing: Routing, ranks: number) {
  const { shape } = routing;
  const perRank = shape.topK / ranks;
  const firstOf = (rank: number) => (rank * shape.experts) / ranks;
  const fields: Record<string, Produced> = {};
  for (let rank = 0; rank < ranks; rank++) {
    const mine = (row: number[]) => row.slice(rank * perRank, (rank + 1) * perRank);
    fields[`rank${rank}`] = {
      topk_local_experts: chosenRows(routing).map((row) => mine(row).map((id) => id - firstOf(rank))),
      topk_weights: weightRows(routing).map(mine),
    };
  }
  return fields;
}

/** The routed output of a block whose expert e multiplies its input by a gain. */
function outputFields(routing: Routing, { input }: GoldenCase) {
  if (!input["expert_gain"]) return {};
  const gain = matrixOf(input, "expert_gain").values;
  const hidden = matrixOf(input, "hidden");
  const weights = weightRows(routing);
  const factor = chosenRows(routing).map((row, t) => total(row.map((expert, j) => weights[t]![j]! * gain[expert]!)));
  return { routed_output: rows(hidden.values, hidden.sizes.at(-1)!).map((row, t) => row.map((x) => x * factor[t]!)) };
}

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
