/** Family sinkhorn: Megatron-LM's Sinkhorn scaling and the routing by it. */
import { sum } from "../../src/core/statistics.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import { megatronSinkhorn, sinkhorn } from "../../src/routing/sinkhorn.ts";
import { type Adapter, type JsonObject, type Matrix, matrixOf, numberOf, rows } from "./golden-case.ts";
import { topkFields } from "./megatron-topk-routing.ts";
import { routeBatch } from "./routed-batch.ts";

/** With one expert a token the scores are sigmoids, with several a softmax over all. */
export const sinkhornRoute = ({ values, sizes }: Matrix, topK: number, training: boolean) =>
  routeBatch(
    values,
    { experts: sizes.at(-1)!, topK, groups: 1 },
    { ...routingPresets.sinkhorn.settings, scoreFunction: topK === 1 ? "sigmoid" : "softmax" },
    { training },
  );

export const sinkhornCases: Adapter = ({ source, params, input }) => {
  const logits = matrixOf(input, "logits");
  if (source.includes("sinkhorn_load_balancing")) return { fields: routed(logits, params, input) };
  const experts = logits.sizes.at(-1)!;
  const settings = {
    ...megatronSinkhorn,
    tolerance: numberOf(params, "tol", megatronSinkhorn.tolerance),
    epsilon: numberOf(params, "eps", megatronSinkhorn.epsilon),
  };
  const { matrix, iterations } = sinkhorn(logits.values, experts, settings);
  const table = rows(matrix, experts);
  return {
    fields: {
      matrix: table,
      row_sums: table.map(sum),
      col_sums: table[0]!.map((_, expert) => sum(table.map((row) => row[expert]!))),
      iterations,
    },
    // The stop test depends on rounding, so single precision may have gone another number of times.
    loosely: { matrix: 2e-3, row_sums: 2e-3, col_sums: 2e-3, iterations: Number.POSITIVE_INFINITY },
  };
};

function routed(logits: Matrix, params: JsonObject, input: JsonObject) {
  const routing = sinkhornRoute(logits, numberOf(params, "topk"), params["training"] !== false);
  const fields = topkFields(routing, input);
  return { ...fields, grad_sum_scores_v: fields.grad_sum_probs_v };
}
