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

/** Routes with the published preset; the learned scale of each expert only where the case has one. */
export function mogeRoute(
  logits: Floats,
  experts: number,
  groups: number,
  perGroup: number,
  expertScale?: Floats,
): Routing {
  const settings = { ...routingPresets["pangu-moge"].settings, ...(expertScale && { expertScale }) };
  return routeBatch(logits, { experts, topK: groups * perGroup, groups }, settings);
}

/** Huawei's code votes for any other number of `num_voted_experts`, whatever the size of the groups. */
const VOTING_OFF = 8;

export const mogePangu: Adapter = (golden) => {
  const { name, params, input } = golden;
  const logits = matrixOf(input, "logits");
  const experts = logits.sizes.at(-1)!;
  const groups = numberOf(params, "num_groups");
  const perGroup = numberOf(params, "topk_per_group", 1);
  const votes = numberOf(params, "num_voted_experts", VOTING_OFF);
  if (name.startsWith("moge_voted") || votes !== VOTING_OFF) return { skip: "vote-pruned MoGE" };
  const scale = input["router_scale"] ? matrixOf(input, "router_scale").values : undefined;
  const plain = mogeRoute(logits.values, experts, groups, perGroup);
  const scaled = mogeRoute(logits.values, experts, groups, perGroup, scale);
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
  return {
    topk_experts: chosenRows(scaled), // in the order of the groups, as the code gives them
    topk_weights: weightRows(scaled),
    topk_weights_before_router_scale: unscaled,
    ...ascending(scaled),
    tokens_per_expert: load,
    tokens_per_group: rows(load, experts / groups).map(total),
    weight_sum_per_token: unscaled.map(total), // the gate mass, before the learned scale,
  };
}

function lossFields(plain: Routing, scaled: Routing, input: JsonObject) {
  const { loss, gradient } = balance(plain, 1);
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
