/**
 * Family megatron_router_end_to_end: Megatron-LM's TopKRouter in training, with its losses attached. Logits are
 * [seq, batch, N]; a token's number is s · batch + b.
 */
import { allTokens } from "../../src/routing/assignment.ts";
import { computedRows } from "../../src/routing/capacity.ts";
import { binsOf, type Routing } from "../../src/routing/route.ts";
import {
  type Adapter,
  asNumber,
  type GoldenCase,
  type Json,
  type JsonObject,
  matrixOf,
  numberOf,
  type Produced,
} from "./golden-case.ts";
import { microBatchLoss, paddingOf, sequenceLoss, type WholeLoss, wholeZLoss } from "./megatron-aux-losses.ts";
import { biasOf, megatronRoute, topkFields } from "./megatron-topk-routing.ts";
import { ascending, equalParts, keptLoad, weightedSumGradient } from "./routed-batch.ts";
import { sinkhornRoute } from "./sinkhorn.ts";
import { megatronCapacity } from "./token-dropping.ts";

/** Megatron's names of its losses, in its log, and what works each out. */
const auxLosses: Record<string, { logged: string; of: typeof microBatchLoss | typeof sequenceLoss }> = {
  aux_loss: { logged: "load_balancing_loss", of: microBatchLoss },
  seq_aux_loss: { logged: "seq_load_balancing_loss", of: sequenceLoss },
  global_aux_loss: { logged: "global_load_balancing_loss", of: microBatchLoss },
};

export const megatronRouterEndToEnd: Adapter = (given) => {
  const golden = { ...given, params: plainNames(given.params) };
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const [length, batch, experts] = logits.sizes as [number, number, number];
  const routing = routed(golden);
  const losses = lossesOf(golden);
  const perToken = params["calculate_per_token_loss"] === true;
  const scale = numberOf(params, "main_loss_backward_scale", 1);
  const v = input["v"] ? matrixOf(input, "v").values : new Float64Array(logits.values.length);
  let gradient = weightedSumGradient(routing, v);
  for (const { loss } of losses) {
    const factor = scale * (perToken ? loss.real : 1);
    gradient = gradient.map((row, t) => row.map((each, i) => each + factor * loss.gradient[t]![i]!));
  }
  return {
    fields: {
      ...topkFields(routing, input),
      ...paddedFields(routing, golden),
      logged: Object.fromEntries(losses.map(({ logged, coefficient, loss }) => [logged, loss.loss / coefficient])),
      local_tokens_per_expert: countedLoad(routing, golden, experts),
      grad_total: equalParts(length, batch).map(({ first, last }) => gradient.slice(first, last)),
    },
  };
};

/** Options of the router by the names that its functions have for them. */
function plainNames(params: JsonObject): JsonObject {
  const option = (long: string, short: string) => params[long] ?? params[short] ?? null;
  return {
    ...params,
    score_function: option("moe_router_score_function", "score_function") ?? "softmax",
    use_pre_softmax: option("moe_router_pre_softmax", "use_pre_softmax"),
    num_groups: option("moe_router_num_groups", "num_groups"),
    group_topk: option("moe_router_group_topk", "group_topk"),
    scaling_factor: option("moe_router_topk_scaling_factor", "scaling_factor"),
  };
}

const typesOf = ({ params }: GoldenCase): readonly Json[] =>
  [params["routing_type"] ?? params["moe_router_load_balancing_type"] ?? "none"].flat();

function routed(golden: GoldenCase): Routing {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  if (typesOf(golden).includes("sinkhorn")) return sinkhornRoute(logits, numberOf(params, "topk"), true);
  const limits = asNumber(params["moe_expert_capacity_factor"]) !== undefined;
  return megatronRoute(logits, params, { bias: biasOf(input) }, limits ? megatronCapacity(params) : undefined);
}

/** The losses with a coefficient: one for each type, or one for all. */
function lossesOf(golden: GoldenCase): { logged: string; coefficient: number; loss: WholeLoss }[] {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const coefficients = [params["moe_aux_loss_coeff"] ?? 0].flat() as readonly Json[];
  const found = typesOf(golden).flatMap((type, i) => {
    const coefficient = asNumber(coefficients[i] ?? coefficients[0]) ?? 0;
    const entry = auxLosses[String(type)];
    if (entry === undefined || coefficient === 0) return [];
    return [{ logged: entry.logged, coefficient, loss: entry.of(logits, golden, coefficient) }];
  });
  const z = numberOf(params, "moe_z_loss_coeff", 0);
  return z === 0 ? found : [{ logged: "z_loss", coefficient: z, loss: wholeZLoss(logits, golden, z) }, ...found];
}

/**
 * Padded to capacity, the map has every expert's whole capacity switched on: tokens of weight 0 which nothing fixes,
 * so a case may leave them out or name any.
 */
function paddedFields(routing: Routing, { expected }: GoldenCase): Record<string, Produced> {
  if (!routing.settings.capacity?.pad) return {};
  const { experts: kept, weights } = ascending(routing);
  const named = expected["experts"];
  const weightOf = (token: number, expert: Json) => weights[token]![kept[token]!.indexOf(Number(expert))] ?? 0;
  return {
    tokens_per_expert: paddedLoad(routing),
    experts: (theirs) => {
      const wrong = kept.findIndex((own, t) => own.some((expert) => !((theirs as Json[][])[t] ?? []).includes(expert)));
      return wrong === -1
        ? undefined
        : `token ${wrong}: expected ${JSON.stringify((theirs as Json[])[wrong])}, got ${kept[wrong]!.join(" ")}`;
    },
    ...(Array.isArray(named) && {
      weights: named.map((row, t) => (row as Json[]).map((expert) => weightOf(t, expert))),
    }),
  };
}

/** Tokens that each expert has with those that pad it; there are no more than the batch has. */
function paddedLoad(routing: Routing): Float64Array {
  const { capacity } = binsOf(routing, routing.settings.capacity!, allTokens(routing.assignment));
  return computedRows(keptLoad(routing), Math.min(capacity, routing.assignment.tokens), true);
}

/** Counted for the expert bias alone, where there is one; padded tokens do not count, those that pad an expert do. */
function countedLoad(routing: Routing, { params, input }: GoldenCase, experts: number): Float64Array {
  const load = new Float64Array(experts);
  if (params["moe_router_enable_expert_bias"] !== true && !input["expert_bias"]) return load;
  const { assignment } = routing;
  const padding = paddingOf(input, assignment.tokens);
  if (routing.settings.capacity?.pad && !padding.includes(true)) return paddedLoad(routing);
  assignment.experts.forEach((expert, slot) => {
    if (expert >= 0 && !padding[Math.floor(slot / assignment.slots)]) load[expert]!++;
  });
  return load;
}
