/** Family load_metrics: how unequal a load is, by the definitions of several codes and of the Pangu Pro MoE paper. */
import { loadMetrics } from "../../src/metrics/metrics.ts";
import { deviceLoad } from "../../src/placement/device-load.ts";
import { placements } from "../../src/placement/placements.ts";
import { type Adapter, type GoldenCase, matrixOf, numberOf } from "./golden-case.ts";
import { megatronRoute } from "./megatron-topk-routing.ts";
import { mogeRoute } from "./moge-pangu.ts";
import { expertLoad, type RoutedBatch } from "./routed-batch.ts";

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

/** @param deployment [layers, ranks, slots] expert in each slot; this project has no replicas yet */
function ranksOfDeployment({ input }: GoldenCase) {
  const deployment = matrixOf(input, "deployment");
  const load = matrixOf(input, "expert_load");
  const [layers, ranks, slots] = deployment.sizes as [number, number, number];
  const experts = load.sizes.at(-1)!;
  const layerOf = Array.from({ length: layers }, (_, l) =>
    deployment.values.subarray(l * ranks * slots, (l + 1) * ranks * slots),
  );
  if (layerOf.some((held) => held.length !== experts || new Set(held).size !== experts))
    return { skip: "expert replicas" };
  const imbalance = layerOf.map((held, l) => {
    const deviceOf = new Int32Array(experts);
    held.forEach((expert, slot) => {
      deviceOf[expert] = Math.floor(slot / slots);
    });
    const devices = deviceLoad(load.values.subarray(l * experts, (l + 1) * experts), deviceOf, ranks);
    return loadMetrics["max-over-mean"].of(devices, anyBatch);
  });
  return { fields: { imbalance } };
}

/** Top-k and MoGE on the same logits; MoGE's groups are the devices unless the case says otherwise. */
function imbalanceScores({ params, input }: GoldenCase) {
  const logits = matrixOf(input, "logits");
  const experts = logits.sizes.at(-1)!;
  const devices = numberOf(params, "num_devices");
  const groups = numberOf(params, "num_groups", devices);
  const onDevices = (batch: RoutedBatch) =>
    deviceLoad(expertLoad(batch), placements.contiguous.place(experts, devices), devices);
  const score = ({ tokens, shape }: RoutedBatch, load: Float64Array) =>
    loadMetrics["imbalance-score"].of(load, { tokens, topK: shape.topK });
  const topk = megatronRoute(logits, { topk: numberOf(params, "topk") });
  const moge = mogeRoute(logits.values, experts, groups, topk.shape.topK / groups);
  return {
    fields: {
      topk_device_tokens: onDevices(topk),
      topk_IS: score(topk, onDevices(topk)),
      moge_device_tokens: onDevices(moge),
      moge_IS: score(moge, onDevices(moge)),
    },
  };
}
