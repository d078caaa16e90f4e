/**
 * Family edge_cases: ties and degenerate inputs of the codes above.
 *
 * Where a case is tagged implementation-defined, the experts are checked to be a best set and the weights to be the
 * same up to order, not to be the very ids that one machine returned.
 */
import type { Floats } from "../../src/core/floats.ts";
import type { Routing } from "../../src/routing/route.ts";
import { type Adapter, asNumber, type GoldenCase, type Json, matrixOf, numberOf } from "./golden-case.ts";
import { limitsGroups, megatronRoute, topkFields } from "./megatron-topk-routing.ts";
import { mogeRoute } from "./moge-pangu.ts";
import { chosenRows, routeBatch, scoreFunctionOf } from "./routed-batch.ts";

const zLoss = { z_loss: "router z-loss" };

export const edgeCases: Adapter = (golden) => {
  const { source, params, input } = golden;
  const code = source.split("::").pop()!.split(" ")[0]!;
  if (code === "pangu_group8_topk") {
    const { values, sizes } = matrixOf(input, "logits");
    const experts = sizes.at(-1)!;
    const batch = mogeRoute(values, experts, numberOf(params, "num_groups"), 1);
    const fields = topkFields(batch, input);
    return { fields: { ...fields, topk_experts: fields.experts, topk_weights: fields.weights } };
  }
  if (source.includes("::topk_routing_with_score_function")) {
    if (limitsGroups(params)) return { skip: "group-limited routing" };
    const bias = input["expert_bias"] ? matrixOf(input, "expert_bias").values : undefined;
    const batch = megatronRoute(matrixOf(input, "logits"), params, bias);
    return { fields: fieldsOf(golden, batch, bias), unbuilt: zLoss };
  }
  if (source.includes("inference/model.py::Gate.forward")) return deepSeekGate(golden);
  return { skip: `edge case of ${code}` };
};

/** DeepSeek-V3's gate without groups: sigmoid weights divided by their sum, without an epsilon. */
function deepSeekGate(golden: GoldenCase) {
  const { params, input } = golden;
  if (numberOf(params, "n_groups", 1) > 1) return { skip: "group-limited routing" };
  const logits = matrixOf(input, "logits");
  const scoreFunction = scoreFunctionOf(params["score_func"]);
  const shape = { experts: logits.sizes.at(-1)!, topK: numberOf(params, "topk"), groups: 1 };
  const bias = input["bias"] ? matrixOf(input, "bias").values : undefined;
  const batch = routeBatch(
    logits.values,
    shape,
    {
      selection: "topk",
      scoreFunction,
      normalisation: scoreFunction === "softmax" ? "none" : "chosen",
      scale: numberOf(params, "route_scale", 1),
      epsilon: 0,
    },
    { bias },
  );
  return { fields: fieldsOf(golden, batch, bias) };
}

function fieldsOf({ tags, input }: GoldenCase, batch: Routing, bias: Floats | undefined) {
  const fields = topkFields(batch, input);
  if (!tags.includes("implementation-defined")) return fields;
  const valid = () => badChoice(batch, bias);
  return {
    ...fields,
    experts: valid,
    experts_ranked: valid,
    weights: (expected: Json) => differentValues(fields.weights, expected),
    tokens_per_expert: (expected: Json) => differentValues([[total(fields.tokens_per_expert)]], [[sumOf(expected)]]),
  };
}

/** What is wrong with the choice: an expert twice, or a better one left out. */
function badChoice(routing: Routing, bias: Floats | undefined): string | undefined {
  const { experts, topK } = routing.shape;
  for (const [t, row] of chosenRows(routing).entries()) {
    const chosen = new Set(row);
    if (chosen.size !== topK) return `token ${t} has an expert twice`;
    const score = (expert: number) => routing.scores[t * experts + expert]! + (bias?.[expert] ?? 0);
    const worst = Math.min(...[...chosen].map(score));
    for (let expert = 0; expert < experts; expert++) {
      if (!chosen.has(expert) && score(expert) > worst) return `token ${t} leaves out the better expert ${expert}`;
    }
  }
  return undefined;
}

/** Compares rows as sorted lists, to the nine digits these cases are written with. */
function differentValues(got: readonly (readonly number[])[], expected: Json): string | undefined {
  if (!Array.isArray(expected) || expected.length !== got.length) return `got ${got.length} rows, expected others`;
  for (const [t, row] of got.entries()) {
    const mine = [...row].sort((a, b) => a - b);
    const theirs = [...(expected[t] as Json[])].map((value) => asNumber(value)!).sort((a, b) => a - b);
    const same = mine.every(
      (value, j) => Object.is(value, theirs[j]) || Math.abs(value - theirs[j]!) <= 1e-8 * Math.abs(theirs[j]!),
    );
    if (!same || mine.length !== theirs.length)
      return `token ${t}: got ${mine.join(" ")}, expected ${theirs.join(" ")}`;
  }
  return undefined;
}

const total = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0);
const sumOf = (values: Json) => total((values as Json[]).map((value) => asNumber(value)!));
