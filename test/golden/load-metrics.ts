/** Family load_metrics: how unequal a load is, by the definitions of several codes and of the Pangu Pro MoE paper. */
import { loadMetrics } from "../../src/metrics/metrics.ts";
import { deviceLoad } from "../../src/placement/device-load.ts";
import { placements } from "../../src/placement/placements.ts";
import type { Routing } from "../../src/routing/route.ts";
import { type Adapter, type GoldenCase, matrixOf, numberOf } from "./golden-case.ts";
import { megatronRoute } from "./megatron-topk-routing.ts";
import { mogeRoute } from "./moge-pangu.ts";
import { expertLoad } from "./routed-batch.ts";

/** For metrics that look at the load alone. */
const anyBatch = { tokens: Number.NaN, topK: Number.NaN };

export const loadMetricCases: Adapter = (golden) => {
  const { input } = golden;
  if (input["deployment"]) return ranksOfDeployment(golden);
  if (input["logits"]) return imbalanceScores(golden);
  const load = matrixOf(input, "tokens_per_expert").values;
  return {
    fields: {
      cv_squared: loadMetrics["squared-variation-unbiased"].of(load, anyBatch),
      load_imbalance_max_over_mean: loadMetrics["max-over-mean"].of(load, anyBatch),
    },
  };
};

/** An expert's load is shared by its replicas. @param deployment [layers, ranks, slots] the expert in each slot */
function ranksOfDeployment({ input }: GoldenCase) {
  const deployment = matrixOf(input, "deployment");
  const load = matrixOf(input, "expert_load");
  const [layers, ranks, slots] = deployment.sizes as [number, number, number];
  const experts = load.sizes.at(-1)!;
  const rankOfSlot = placements.contiguous.place(ranks * slots, ranks);
  const imbalance = Array.from({ length: layers }, (_, layer) => {
    const held = deployment.values.subarray(layer * ranks * slots, (layer + 1) * ranks * slots);
    const replicas = new Float64Array(experts);
    for (const expert of held) replicas[expert] = replicas[expert]! + 1;
    const ofSlot = held.map((expert) => load.values[layer * experts + expert]! / replicas[expert]!);
    return loadMetrics["max-over-mean"].of(deviceLoad(ofSlot, rankOfSlot, ranks), anyBatch);
  });
  return { fields: { imbalance } };
}

/** Top-k and MoGE on the same logits; MoGE's groups are the devices unless the case says otherwise. */
function imbalanceScores({ params, input }: GoldenCase) {
  const logits = matrixOf(input, "logits");
  const experts = logits.sizes.at(-1)!;
  const devices = numberOf(params, "num_devices");
  const groups = numberOf(params, "num_groups", devices);
  const onDevices = (batch: Routing) =>
    deviceLoad(expertLoad(batch), placements.contiguous.place(experts, devices), devices);
  const score = ({ assignment, shape }: Routing, load: Float64Array) =>
    loadMetrics["imbalance-score"].of(load, { tokens: assignment.tokens, topK: shape.topK });
  const topk = megatronRoute(logits, { topk: numberOf(params, "topk") });
  const moge = mogeRoute(logits.values, experts, { groups, perGroup: topk.shape.topK / groups });
  return {
    fields: {
      topk_device_tokens: onDevices(topk),
      topk_IS: score(topk, onDevices(topk)),
      moge_device_tokens: onDevices(moge),
      moge_IS: score(moge, onDevices(moge)),
    },
  };
}
