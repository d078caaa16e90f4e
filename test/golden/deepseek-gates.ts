/** Family deepseek_group_limited_gates: the gates of DeepSeek's codes and of others that limit groups as they do. */
import type { Normalisation } from "../../src/routing/gates.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import type { Routing, RoutingSettings } from "../../src/routing/route.ts";
import { type Adapter, type GoldenCase, type JsonObject, MalformedCase, matrixOf, numberOf } from "./golden-case.ts";
import { biasOf, topkFields } from "./megatron-topk-routing.ts";
import { balance, routeBatch, scoreFunctionOf } from "./routed-batch.ts";

/** How one code reads its own parameters. */
interface Gate {
  readonly settings: RoutingSettings;
  readonly topK: number;
  readonly groups: number;
}

type ReadGate = (params: JsonObject, hasBias: boolean) => Gate;

const isSet = (value: unknown): boolean => value === true || value === 1;

/** The groups of a preset, or plain top-k where a case has none. */
function limited(settings: RoutingSettings, groups: number, options: JsonObject): Gate["settings"] {
  if (groups <= 1) return { ...settings, selection: "topk", options: undefined };
  return { ...settings, selection: "group-limited", options: { ...settings.options, ...options } };
}

/** DeepSeek-V3's inference code: the best of a group without a bias, the two best with one; softmax is not normalised. */
const inference: ReadGate = (params, hasBias) => {
  const scoreFunction = scoreFunctionOf(params["score_func"]);
  const groups = numberOf(params, "n_groups", 1);
  const settings: RoutingSettings = {
    ...routingPresets["deepseek-v3"].settings,
    scoreFunction,
    normalisation: scoreFunction === "softmax" ? "none" : "chosen",
    scale: numberOf(params, "route_scale", 1),
  };
  const options = { limit: numberOf(params, "topk_groups", 1), groupScore: hasBias ? "top-2-sum" : "max" };
  return { settings: limited(settings, groups, options), topK: numberOf(params, ["topk", "top_k"]), groups };
};

/** MoEGate: the three methods of DeepSeek-V2 and -V3. */
export const moeGate: ReadGate = (params) => {
  const method = params["topk_method"] ?? "noaux_tc";
  const preset = method === "noaux_tc" ? "deepseek-v3-hf" : "deepseek-v2";
  const groups = method === "greedy" ? 1 : numberOf(params, "n_group", 1);
  const normalised = isSet(params["norm_topk_prob"]) || isSet(params["norm"]);
  const settings: RoutingSettings = {
    ...routingPresets[preset].settings,
    scoreFunction: scoreFunctionOf(params["scoring_func"] ?? (method === "noaux_tc" ? "sigmoid" : "softmax")),
    normalisation: normalised ? "chosen-of-several" : "none",
    scale: numberOf(params, ["routed_scaling_factor", "scaling"], 1),
    epsilon: 1e-20,
  };
  const limit = numberOf(params, "topk_group", 1);
  return { settings: limited(settings, groups, { limit }), topK: numberOf(params, ["top_k", "topk"]), groups };
};

const huggingFace: ReadGate = (params) => {
  const groups = numberOf(params, "n_group", 1);
  const settings: RoutingSettings = {
    ...routingPresets["deepseek-v3-hf"].settings,
    normalisation: isSet(params["norm_topk_prob"]) ? "chosen" : "none",
    scale: numberOf(params, "routed_scaling_factor", 1),
  };
  const limit = numberOf(params, "topk_group", 1);
  return { settings: limited(settings, groups, { limit }), topK: numberOf(params, "top_k"), groups };
};

const torchtitan: ReadGate = (params) => {
  const groups = numberOf(params, "num_expert_groups", 1);
  const settings: RoutingSettings = {
    ...routingPresets.torchtitan.settings,
    scoreFunction: scoreFunctionOf(params["score_func"] ?? "sigmoid"),
    normalisation: isSet(params["route_norm"]) ? "chosen" : "none",
    scale: numberOf(params, "route_scale", 1),
  };
  const limit = numberOf(params, "num_limited_groups", 1);
  return { settings: limited(settings, groups, { limit }), topK: numberOf(params, "top_k"), groups };
};

/** The reference of the NPU's gating operator. */
const ascend: ReadGate = (params) => {
  const groups = numberOf(params, "group_count", 1);
  const sigmoid = numberOf(params, "norm_type", 0) === 1;
  const settings: RoutingSettings = {
    ...routingPresets.torchtitan.settings,
    scoreFunction: sigmoid ? "sigmoid" : "softmax",
    normalisation: sigmoid || numberOf(params, "renorm", 0) === 1 ? "chosen" : "none",
    scale: numberOf(params, "routed_scaling_factor", 1),
  };
  const groupScore = numberOf(params, "group_select_mode", 0) === 1 ? "top-2-sum" : "max";
  const limit = numberOf(params, "k_group", 1);
  return { settings: limited(settings, groups, { limit, groupScore }), topK: numberOf(params, "k"), groups };
};

/** The code that a case comes from, by a word of its source. */
const gates: readonly (readonly [RegExp, ReadGate])[] = [
  [/inference\/model\.py/, inference],
  [/MoEGate/, moeGate],
  [/DeepseekV3|deepseek_v3/, huggingFace],
  [/torchtitan/, torchtitan],
  [/gating_top_k/, ascend],
];

/** @throws MalformedCase if the source is none of those */
export function routeByGate({ source, params, input }: GoldenCase, choice?: Int32Array): Routing {
  const read = gates.find(([pattern]) => pattern.test(source))?.[1];
  if (read === undefined) throw new MalformedCase(`the gate of '${source}' is none that is known`);
  const { values, sizes } = matrixOf(input, "logits");
  const experts = sizes.at(-1)!;
  const bias = biasOf(input) ?? (params["bias"] ? new Float64Array(experts) : undefined); // "zeros": there, but 0
  const { settings, topK, groups } = read(params, bias !== undefined);
  return routeBatch(values, { experts, topK, groups }, settings, { bias, choice });
}

/** OLMo-core: the scores are given, and a bias counts only where it is learned; weights have length 1 in a p-norm, or their own. */
function olmo({ params, input }: GoldenCase): Routing {
  const { values, sizes } = matrixOf(input, "scores");
  const bias = params["bias_gamma"] === null || params["bias_gamma"] === undefined ? undefined : biasOf(input);
  const shape = { experts: sizes.at(-1)!, topK: numberOf(params, "top_k"), groups: 1 };
  const norm = numberOf(params, "normalize_expert_weights", 0);
  const normalisation = olmoNorms[norm];
  if (normalisation === undefined) throw new MalformedCase(`normalize_expert_weights ${norm}: only 1 and 2 are known`);
  // Given scores are all there is: none of their logits could say more.
  const settings = { ...routingPresets.olmo.settings, normalisation, scoreFunction: "sigmoid", epsilon: 0 } as const;
  return routeBatch(values, shape, settings, { bias, scored: true });
}

/** `normalize_expert_weights`, the p of a norm; null: none. */
const olmoNorms: Readonly<Record<number, Normalisation>> = { 0: "none", 1: "chosen", 2: "chosen-euclidean" };

export const deepseekGroupLimitedGates: Adapter = (golden) => ({
  fields: topkFields(golden.source.includes("OLMo") ? olmo(golden) : routeByGate(golden), golden.input),
});

/** Family deepseek_moegate_aux: MoEGate's auxiliary loss, over sequences or the batch. Logits are [batch, seq, N]. */
export const deepseekMoegateAux: Adapter = (golden) => {
  const { params, input } = golden;
  const [batch, length] = matrixOf(input, "logits").sizes as [number, number];
  const routing = routeByGate(golden);
  const { loss, gradient } = balance(
    routing,
    [
      {
        rule: "switch-loss",
        coefficient: numberOf(params, "aux_loss_alpha"),
        scope: params["seq_aux"] === true ? "sequence" : "micro-batch",
        counts: "chosen",
        probabilities: "raw",
      },
    ],
    { sequences: batch },
  );
  const fields = topkFields(routing, input);
  const grad_aux_loss = Array.from({ length: batch }, (_, b) => gradient.slice(b * length, (b + 1) * length));
  return { fields: { ...fields, aux_loss: loss, grad_aux_loss } };
};
