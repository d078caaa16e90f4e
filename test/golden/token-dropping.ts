/**
 * Families megatron_token_dropping and device_level_capacity: Megatron-LM's capacity and dropping, the padding of its
 * routing map and its permutation, and MT-MegatronLM's capacity of devices.
 */
import { sum } from "../../src/core/statistics.ts";
import { placements } from "../../src/placement/placements.ts";
import { allTokens, type Choice, NO_EXPERT } from "../../src/routing/assignment.ts";
import { type CapacitySettings, computedRows, expertCapacity } from "../../src/routing/capacity.ts";
import { dispatchOrder, paddingTokens } from "../../src/routing/dispatch.ts";
import { binsOf, countDropped, type Routing, type RoutingCapacity } from "../../src/routing/route.ts";
import { type Adapter, type GoldenCase, type JsonObject, type Matrix, matrixOf, numberOf } from "./golden-case.ts";
import { biasOf, megatronRoute, topkFields } from "./megatron-topk-routing.ts";
import { ascending, expertLoad, keptLoad, weightedSumGradient } from "./routed-batch.ts";

/** Megatron's capacity of experts; `position` serves tokens in their order, `probs` keeps the largest weights. */
export function megatronCapacity(params: JsonObject): CapacitySettings {
  return {
    rule: "megatron",
    factor: numberOf(params, ["capacity_factor", "moe_expert_capacity_factor"]),
    minimum: numberOf(params, "min_capacity", 0),
    alignment: 1,
    level: "expert",
    order: (params["drop_policy"] ?? params["moe_token_drop_policy"]) === "position" ? "token" : "weight",
    priority: "position",
    renormalise: false,
    pad: params["pad_to_capacity"] === true || params["moe_pad_expert_input_to_capacity"] === true,
  };
}

export const megatronTokenDropping: Adapter = (golden) => {
  const { source, input } = golden;
  if (source.endsWith("::get_capacity")) return { fields: capacityTable(golden) };
  if (source.endsWith("::pad_routing_map")) return { fields: paddedMap(golden) };
  if (source.endsWith("::permute")) return { fields: permuted(golden) };
  return { fields: droppedFields(golden, matrixOf(input, "logits")) };
};

/** The rows say what they are computed from; their tokens are multiplied by K already. */
function capacityTable({ expected }: GoldenCase) {
  const table = expected["rows"] as readonly JsonObject[];
  return {
    rows: table.map((row) => {
      const [tokens, experts, factor] = ["num_tokens", "num_experts", "capacity_factor"].map((key) =>
        numberOf(row, key),
      );
      const minimum = numberOf(row, "min_capacity", 0);
      const settings = { rule: "megatron", factor: factor!, minimum, alignment: 1 } as const;
      return {
        num_tokens: tokens,
        num_experts: experts,
        capacity_factor: factor,
        min_capacity: minimum,
        capacity: expertCapacity(tokens!, { experts: experts!, topK: 1 }, settings),
      };
    }),
  };
}

export function droppedFields(
  golden: GoldenCase,
  logits: Matrix,
  capacity: RoutingCapacity = megatronCapacity(golden.params),
) {
  const { params, input } = golden;
  const routing = megatronRoute(logits, params, { bias: biasOf(input) }, capacity);
  const before = megatronRoute(logits, params, { bias: biasOf(input) });
  const { tokens, weights } = routing.assignment;
  const bins = binsOf(routing, capacity, allTokens(routing.assignment));
  const { experts: kept, weights: keptWeights } = ascending(routing);
  const gradient = input["v"] && weightedSumGradient(routing, matrixOf(input, "v").values);
  const all = topkFields(before, input);
  const load = keptLoad(routing);
  return {
    capacity: bins.capacity,
    experts_before: all.experts,
    weights_before: all.weights,
    experts_kept: kept,
    weights_kept: keptWeights,
    weights: keptWeights,
    tokens_per_expert_before: expertLoad(routing),
    tokens_per_expert_kept: load,
    tokens_per_expert_after: load,
    num_dropped: countDropped(routing),
    dropped: countDropped(routing),
    final_map_counts: computedRows(load, Math.min(bins.capacity, tokens), capacity.pad),
    sum_final_probs: sum(weights),
    ...(gradient && { grad_sum_final_probs_v: gradient }),
    ...positionFields(routing, kept, golden),
  };
}

/** What Megatron's own `position` picks on a CPU is recorded in a case; only the counts are to agree. */
function positionFields(routing: Routing, kept: readonly (readonly number[])[], { expected }: GoldenCase) {
  const theirs = expected["megatron_cpu_experts_kept"];
  if (!Array.isArray(theirs)) return {};
  const load = keptLoad(routing);
  const named = new Float64Array(load.length);
  for (const expert of theirs.flat()) named[Number(expert)]!++;
  const wrong = load.findIndex((each, expert) => each !== named[expert]);
  return {
    megatron_counts_kept: load,
    megatron_cpu_experts_kept: () =>
      wrong === -1 ? undefined : `expert ${wrong}: ${named[wrong]} kept there, ${load[wrong]} here`,
    megatron_cpu_kept_same: JSON.stringify(theirs) === JSON.stringify(kept),
  };
}

/** [T, N] of zeros and ones. */
function choiceOf({ values, sizes }: Matrix): Choice {
  const [tokens, experts] = sizes as [number, number];
  const slots = Int32Array.from(values, (on, at) => (on === 0 ? NO_EXPERT : at % experts));
  return { tokens, slots: experts, experts: slots };
}

function paddedMap({ params, input }: GoldenCase) {
  const map = matrixOf(input, "routing_map");
  const [tokens, experts] = map.sizes as [number, number];
  const padded = Array.from({ length: tokens }, (_, t) =>
    Array.from(map.values.subarray(t * experts, (t + 1) * experts)),
  );
  paddingTokens(choiceOf(map), experts, numberOf(params, "pad_multiple")).forEach((added, expert) => {
    for (const token of added) padded[token]![expert] = 1;
  });
  const count = (expert: number) => sum(padded.map((row) => row[expert]!));
  return { padded_map: padded, tokens_per_expert: Array.from({ length: experts }, (_, expert) => count(expert)) };
}

function permuted({ input }: GoldenCase) {
  const map = matrixOf(input, "routing_map");
  const experts = map.sizes[1]!;
  const choice = choiceOf(map);
  const order = dispatchOrder(choice);
  const load = new Float64Array(experts);
  for (const slot of order) load[choice.experts[slot]!]!++;
  const probabilities = input["probs"] && matrixOf(input, "probs").values;
  return {
    sorted_token_indices: order.map((slot) => Math.floor(slot / experts)),
    ...(probabilities && { permuted_probs: Array.from(order, (slot) => probabilities[slot]!) }),
    tokens_per_expert: load,
  };
}

export const deviceLevelCapacity: Adapter = (golden) => {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const experts = logits.sizes.at(-1)!;
  const devices = numberOf(params, "num_devices", 1);
  const deviceOf = placements.contiguous.place(experts, devices);
  const level = params["device_level"] === false ? "expert" : "device";
  const capacity = { ...megatronCapacity(params), level, deviceOf, devices } as const;
  const fields = droppedFields(golden, logits, capacity);
  const onDevice = new Float64Array(devices);
  fields.tokens_per_expert_after.forEach((load, expert) => {
    onDevice[deviceOf[expert]!]! += load;
  });
  return { fields: { ...fields, tokens_per_device_after: onDevice } };
};
