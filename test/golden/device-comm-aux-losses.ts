/** Family device_comm_aux_losses: DeepSeek-V2's losses over experts, devices and communication. */
import type { LossSetting } from "../../src/balance/rules.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import type { Routing } from "../../src/routing/route.ts";
import {
  type Adapter,
  asNumber,
  type GoldenCase,
  type JsonObject,
  matrixOf,
  numberOf,
  type Produced,
} from "./golden-case.ts";
import { topkFields } from "./megatron-topk-routing.ts";
import { balance, chosenRows, routeBatch, rowsAt, transposed, weightedSumGradient } from "./routed-batch.ts";

export const deviceCommAuxLosses: Adapter = (golden) => ({
  fields: golden.source.includes("MindSpeed") ? mindSpeed(golden) : mooreThreads(golden),
});

/** The losses that a case gives a coefficient; a name for each. */
function lossesOf(params: JsonObject, limit: number): Map<string, LossSetting> {
  const scope = "sequence";
  const losses = new Map<string, LossSetting>();
  const [expert, device, communication] = ["expert_coeff", "device_coeff", "comm_coeff"].map((key) =>
    asNumber(params[key]),
  );
  if (expert) {
    const kinds = { counts: "chosen", probabilities: "normalised" } as const;
    losses.set("expert_level", { rule: "switch-loss", coefficient: expert, scope, ...kinds });
  }
  if (device) losses.set("device_level", { rule: "device-loss", coefficient: device, scope });
  if (communication) {
    losses.set("comm_level", { rule: "communication-loss", coefficient: communication, scope, limit });
  }
  return losses;
}

/** Top-k of the best groups by their best score, which MindSpeed normalises and does not scale, or the other way round. */
function limitedRoute(
  logits: Float64Array,
  experts: number,
  { params }: GoldenCase,
  { groups, limit }: { groups: number; limit: number | undefined },
): Routing {
  const topK = numberOf(params, "topk");
  const normalised = params["norm_topk_prob"] === true && topK > 1;
  const settings = {
    ...routingPresets["deepseek-v2"].settings,
    ...(limit === undefined
      ? ({ selection: "topk", options: undefined } as const)
      : { options: { ...routingPresets["deepseek-v2"].settings.options, limit } }),
    scoreFunction: params["complementary_seq"] === true ? ("sigmoid" as const) : ("softmax" as const),
    normalisation: normalised ? ("chosen" as const) : ("none" as const),
    scale: normalised ? 1 : numberOf(params, "scaling", 1),
  };
  return routeBatch(logits, { experts, topK, groups }, settings);
}

const valuesOf = (routing: Routing, losses: Map<string, LossSetting>, layout: { sequences: number; devices: number }) =>
  Object.fromEntries([...losses].map(([name, setting]) => [name, balance(routing, [setting], layout).loss]));

/** [seq, batch, N], sequence-major: turned to whole sequences and back. */
function mooreThreads(golden: GoldenCase): Record<string, Produced> {
  const { params, input } = golden;
  const { values, sizes } = matrixOf(input, "logits");
  const [length, batch, experts] = sizes as [number, number, number];
  const devices = numberOf(params, "num_devices");
  const limit = asNumber(params["limited_devices_M"]);
  const order = transposed(length, batch);
  const routing = limitedRoute(rowsAt(values, experts, order), experts, golden, { groups: devices, limit });
  const losses = lossesOf(params, limit ?? devices);
  const layout = { sequences: batch, devices };
  const { loss, gradient } = balance(routing, [...losses.values()], layout);
  const bySequence = (of: readonly number[][]) =>
    Array.from({ length }, (_, s) => Array.from({ length: batch }, (_, b) => of[b * length + s]!));
  return {
    experts: bySequence(chosenRows(routing))
      .flat()
      .map((row) => [...row].sort((a, b) => a - b)),
    ...valuesOf(routing, losses, layout),
    total_loss: loss,
    grad_total_loss: bySequence(gradient),
  };
}

/** One sequence. */
function mindSpeed(golden: GoldenCase): Record<string, Produced | undefined> {
  const { params, input } = golden;
  const { values, sizes } = matrixOf(input, "logits");
  const devices = numberOf(params, "n_group");
  const limit = numberOf(params, "topk_group");
  const routing = limitedRoute(values, sizes.at(-1)!, golden, { groups: devices, limit });
  const losses = lossesOf(params, limit);
  const layout = { sequences: 1, devices };
  const { loss, gradient } = balance(routing, [...losses.values()], layout);
  return {
    ...topkFields(routing, input),
    ...valuesOf(routing, losses, layout),
    total: loss,
    grad_total: gradient,
    ...(input["v"] && { grad_sum_probs_v: weightedSumGradient(routing, matrixOf(input, "v").values) }),
  };
}
