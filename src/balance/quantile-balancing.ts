/**
 * Quantile balancing: the bias of an expert is set, not nudged, so that as many tokens of the batch as are its share
 * would choose it if the other biases stayed.
 */
import type { Floats } from "../core/floats.ts";
import { mean } from "../core/statistics.ts";
import type { RouterShape } from "../routing/router.ts";
import { biasRule } from "./rule.ts";

/**
 * What to take off each expert's scores so that T·K/N tokens choose it: for each token α_t, the (K+1)-th largest of
 * s − β, which a score has to pass; then the (T·K/N + 1)-th largest over tokens of s_e − α_t.
 * @param scores [T, N] @param beta [N] what is taken off now @returns [N]
 */
export function loadQuantiles(scores: Floats, beta: Floats, { experts, topK }: RouterShape): Float64Array {
  const tokens = scores.length / experts;
  const margins = new Float64Array(scores.length); // [N, T]
  const shifted = new Float64Array(experts);
  for (let t = 0; t < tokens; t++) {
    for (let e = 0; e < experts; e++) shifted[e] = scores[t * experts + e]! - beta[e]!;
    const toPass = shifted.sort()[experts - 1 - topK]!;
    for (let e = 0; e < experts; e++) margins[e * tokens + t] = scores[t * experts + e]! - toPass;
  }
  const place = Math.floor((tokens * topK) / experts);
  return Float64Array.from(
    { length: experts },
    (_, e) => margins.subarray(e * tokens, (e + 1) * tokens).sort()[tokens - 1 - place]!,
  );
}

export const quantileBalancing = biasRule({
  kind: "bias",
  title: "quantile balancing by a selection bias",
  formula:
    "β_e ← ema · β_e + (1 − ema) · q_e,  q_e = (T·K/N + 1)-th largest over tokens of s_te − α_t,  α_t = (K+1)-th largest of s_t − β;  centred;  bias = −β",
  source: "Megatron-LM, moe_utils.qb_dual_update and finalize_model_grads._update_router_qb_beta",
  knobs: {
    ema: {
      kind: "number",
      default: 0.9,
      minimum: 0,
      maximum: 1,
      help: "share of the old β that stays",
      source: "own choice; Megatron-LM has no published one",
    },
  },
  contradiction: (_router, { experts, topK }) =>
    topK >= experts ? `quantile-balancing needs more experts than topK ${topK}, but there are ${experts}` : undefined,
  observe({ scores, shape }, bias, seen) {
    const quantiles = loadQuantiles(
      scores,
      Float64Array.from(bias, (each) => -each),
      shape,
    );
    for (let e = 0; e < seen.length; e++) seen[e] = seen[e]! + quantiles[e]!;
  },
  update(bias, { seen, microBatches }, { ema }) {
    const beta = Float64Array.from(bias, (each, e) => ema * -each + ((1 - ema) * seen[e]!) / microBatches);
    const middle = mean(beta);
    for (let e = 0; e < bias.length; e++) bias[e] = middle - beta[e]!;
  },
});
