/** Family gshard_top2: top-2 and top-k with capacity as DeepSpeed, Hugging Face NLLB and Tutel have it. */
import { allTokens, NO_EXPERT } from "../../src/routing/assignment.ts";
import { queuePlaces } from "../../src/routing/dropping.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import { binsOf, countDropped, type Routing, type RoutingSettings } from "../../src/routing/route.ts";
import { GivenStream, uniformsOfGumbel } from "./given-stream.ts";
import {
  type Adapter,
  asNumber,
  type GoldenCase,
  type JsonObject,
  MalformedCase,
  type Matrix,
  matrixOf,
  numberOf,
  rows,
} from "./golden-case.ts";
import { paddingOf } from "./megatron-aux-losses.ts";
import {
  ascending,
  balance,
  chosenRows,
  expertLoad,
  keptLoad,
  keptRows,
  routeBatch,
  tokenOrderPlaces,
  weightedSumGradient,
  weightRows,
} from "./routed-batch.ts";

export const gshardTop2: Adapter = (golden) => {
  const { source } = golden;
  if (source.includes("Nllb")) return { fields: nllb(golden) };
  if (source.includes("utel")) return { fields: tutel(golden) };
  return { fields: source.includes("topkgating") ? deepSpeedTopk(golden) : deepSpeedTop2(golden) };
};

/** The loss of GShard, over first choices, or over all. */
export const gshardLoss = (routing: Routing, counts: "first" | "chosen" = "first") =>
  balance(routing, [
    { rule: "switch-loss", coefficient: 1, scope: "micro-batch", counts, probabilities: "normalised" },
  ]);

/** The place of each assignment of a routing in the queue of its expert, dropped ones included. [T, slots] */
export function servicePlaces({ shape, settings, chosen, assignment, scores }: Routing): Int32Array {
  const bins = { binOf: Int32Array.from({ length: shape.experts }, (_, expert) => expert), bins: shape.experts };
  const all = { ...assignment, experts: chosen };
  return queuePlaces(all, bins, { settings: settings.capacity!, scores, ...allTokens(assignment) });
}

/** What an expert may have, and how many the fullest does have where nothing is dropped. */
export const capacityOf = (routing: Routing, drops: boolean): number =>
  drops
    ? binsOf(routing, routing.settings.capacity!, allTokens(routing.assignment)).capacity
    : Math.max(...expertLoad(routing));

/** A preset with a case's capacity; enough for all where it drops nothing. */
export function deepSpeedSettings(settings: RoutingSettings, params: JsonObject): RoutingSettings {
  const capacity = {
    ...settings.capacity!,
    factor: numberOf(params, "capacity_factor"),
    minimum: numberOf(params, "min_capacity", 0),
  };
  if (params["drop_tokens"] !== false) return { ...settings, capacity };
  return { ...settings, capacity: { ...capacity, rule: "fixed", factor: Number.MAX_SAFE_INTEGER } };
}

/** What DeepSpeed's gates give. @param places [T, slots] of the assignments that are kept */
export function deepSpeedFields(routing: Routing, { params, input }: GoldenCase, places: ArrayLike<number>) {
  const { experts, weights, more } = ascending(routing, places);
  return {
    capacity: capacityOf(routing, params["drop_tokens"] !== false),
    exp_counts_before_drop: expertLoad(routing),
    experts_kept: experts,
    slots: more,
    weights,
    tokens_per_expert_kept: keptLoad(routing),
    num_dropped: countDropped(routing),
    ...(input["v"] && { grad_sum_gates_v: weightedSumGradient(routing, matrixOf(input, "v").values) }),
  };
}

/** The second expert is the second best, or the best of the others after the Gumbel noise that a case gives. */
function deepSpeedTop2(golden: GoldenCase) {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const noise = Object.keys(input).find((key) => /gumbel|noise/.test(key));
  const gumbel = params["top2_2nd_expert_sampling"] === true && noise ? matrixOf(input, noise).values : undefined;
  const random = gumbel && new GivenStream(uniformsOfGumbel(gumbel));
  const preset = { ...routingPresets["deepspeed-top2"].settings, options: { second: gumbel ? "sampled" : "all" } };
  const shape = { experts: logits.sizes.at(-1)!, topK: 2, groups: 1 };
  const routing = routeBatch(logits.values, shape, deepSpeedSettings(preset, params), { random });
  const { loss, gradient } = gshardLoss(routing);
  return {
    ...deepSpeedFields(routing, golden, servicePlaces(routing)),
    top2_experts: chosenRows(routing),
    l_aux: loss,
    grad_l_aux: gradient,
  };
}

/** Its slots go by token order whichever were dropped; its loss counts all choices. */
function deepSpeedTopk(golden: GoldenCase) {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const settings = deepSpeedSettings(routingPresets["deepspeed-topk"].settings, params);
  const order = params["drop_policy"] === "position" ? "token" : "score";
  const shape = { experts: logits.sizes.at(-1)!, topK: numberOf(params, "k"), groups: 1 };
  const routing = routeBatch(logits.values, shape, { ...settings, capacity: { ...settings.capacity!, order } });
  const { loss, gradient } = gshardLoss(routing, "chosen");
  return { ...deepSpeedFields(routing, golden, tokenOrderPlaces(routing)), l_aux: loss, grad_l_aux: gradient };
}

/** The draws of NLLB's policies for the second expert, by a word of their name. */
const nllbPolicies = {
  all: { second: "all", draws: undefined },
  random: { second: "random-raw", draws: /rand|uniform|draw/ },
  sampling: { second: "sampled", draws: /gumbel|noise/ },
} as const;

/** @throws MalformedCase where a policy draws and the case does not say what */
function nllbSecond({ params, input }: GoldenCase) {
  const policy = String(params["second_expert_policy"] ?? "all");
  if (!Object.hasOwn(nllbPolicies, policy)) throw new MalformedCase(`second_expert_policy '${policy}' is none`);
  const { second, draws } = nllbPolicies[policy as keyof typeof nllbPolicies];
  if (draws === undefined) return { second, random: undefined };
  const key = Object.keys(input).find((name) => draws.test(name));
  if (key === undefined) throw new MalformedCase(`second_expert_policy ${policy} draws numbers that are not given`);
  const { values } = matrixOf(input, key);
  return { second, random: new GivenStream(second === "sampled" ? uniformsOfGumbel(values) : values) };
}

/**
 * Padded tokens take no place, but count for the capacity. Policy `random` takes the second expert's score as it is
 * for its weight, if weights are normalised before dropping: the source overwrites it.
 */
function nllb(golden: GoldenCase) {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const experts = logits.sizes.at(-1)!;
  const { second, random } = nllbSecond(golden);
  const preset = { ...routingPresets.nllb.settings, options: { second } };
  const fraction = numberOf(params, "moe_eval_capacity_token_fraction", -1);
  const given = asNumber(params["expert_capacity"]);
  const rule =
    params["training"] === false && fraction > 0
      ? ({ rule: "fraction", factor: fraction } as const)
      : given === undefined
        ? {}
        : ({ rule: "fixed", factor: given } as const);
  const capacity = {
    ...preset.capacity,
    ...rule,
    priority: params["batch_prioritized_routing"] === true ? ("confidence" as const) : ("position" as const),
    renormalise: params["normalize_router_prob_before_dropping"] !== true,
  };
  const ignored = params["router_ignore_padding_tokens"] === true;
  const padding = ignored ? undefined : paddingOf(input, logits.values.length / experts);
  const routing = routeBatch(
    logits.values,
    { experts, topK: 2, groups: 1 },
    { ...preset, capacity },
    { padding, random },
  );
  if (second === "random-raw" && !capacity.renormalise) leaveSecondsUnshared(routing);
  const kept = ascending(routing);
  return {
    capacity: capacityOf(routing, true),
    experts_kept: kept.experts,
    weights: kept.weights,
    top1_kept: keptRows(routing).map((row) => row[0]!), // NO_EXPERT is -1, as in the case
    tokens_per_expert_kept: keptLoad(routing),
    num_dropped: countDropped(routing),
  };
}

function leaveSecondsUnshared({ assignment, scores, shape }: Routing): void {
  const { slots, experts, weights } = assignment;
  for (let slot = 1; slot < experts.length; slot += slots) {
    const expert = experts[slot]!;
    if (expert !== NO_EXPERT) weights[slot] = scores[Math.floor(slot / slots) * shape.experts + expert]!;
  }
}

function tutel(golden: GoldenCase) {
  const { params, input } = golden;
  const logits: Matrix = matrixOf(input, "logits");
  const { capacity, ...preset } = routingPresets.tutel.settings;
  const topK = numberOf(params, "top_k");
  const settings: RoutingSettings = {
    ...preset,
    normalisation: params["normalize_gate"] === false ? "none" : preset.normalisation,
    capacity: {
      ...capacity,
      factor: numberOf(params, "capacity_factor"),
      alignment: numberOf(params, "alignment", 1),
      priority: params["batch_prioritized_routing"] === true ? "confidence" : "position",
    },
  };
  const shape = { experts: logits.sizes.at(-1)!, topK, groups: 1 };
  const routing = routeBatch(logits.values, shape, settings);
  const all = routeBatch(logits.values, shape, { ...settings, capacity: undefined });
  const { loss, gradient } = gshardLoss(routing);
  return {
    capacity: capacityOf(routing, true),
    experts: chosenRows(routing),
    slots: rows(servicePlaces(routing), topK),
    gates: weightRows(all), // Tutel keeps the gates of those it drops
    kept: keptRows(routing).map((row) => row.map((expert) => expert !== NO_EXPERT)),
    dispatch_count_last: tutelCounts(routing),
    num_dropped: countDropped(routing),
    gshard_loss: loss,
    grad_gshard_loss: gradient,
  };
}

/**
 * What Tutel takes for the load: the last token's row of the last choice's running counts. With batch priority the
 * rows are masked and not in the order of service, so it is the load of the choices before and one more.
 */
function tutelCounts(routing: Routing): Float64Array {
  const { settings, assignment, chosen } = routing;
  const { slots, tokens } = assignment;
  if (settings.capacity!.priority === "position") return expertLoad(routing);
  const counts = new Float64Array(routing.shape.experts).fill(1);
  chosen.forEach((expert, slot) => {
    if (slot % slots < slots - 1) counts[expert] = counts[expert]! + 1;
  });
  const last = tokens * slots - 1;
  counts[chosen[last]!] = servicePlaces(routing)[last]! + 1;
  return counts;
}
