/** Family expert_bias_update: loss-free balancing as Megatron-LM, OLMo-core and torchtitan do it. */
import { updateBias } from "../../src/balance/balance.ts";
import { type Adapter, type GoldenCase, type JsonObject, matrixOf, numberOf, rows } from "./golden-case.ts";
import { limitsGroups, megatronRoute } from "./megatron-topk-routing.ts";
import { ascending, expertLoad } from "./routed-batch.ts";

const rateOf = (params: JsonObject) => numberOf(params, ["update_rate", "load_balance_coeff", "bias_gamma"]);
/** OLMo-core calls the counts and the bias otherwise. */
const countsOf = (input: JsonObject) =>
  matrixOf(input, "batch_size_per_expert" in input ? "batch_size_per_expert" : "tokens_per_expert");
const biasKey = (input: JsonObject) => ["expert_bias", "score_bias"].find((key) => key in input);

export const expertBiasUpdate: Adapter = (golden) => {
  const { source, params, input } = golden;
  if (source.includes("qb_dual_update") || input["beta"]) return { skip: "quantile balancing" };
  const centred = source.includes("torchtitan");
  return input["logits"] ? trajectory(golden, centred) : oneUpdate(golden, rateOf(params), centred);
};

/** Every layer moves by itself; the counts of several ranks are added first. */
function oneUpdate({ input }: GoldenCase, rate: number, centred: boolean) {
  const counts = countsOf(input);
  const experts = counts.sizes.at(-1)!;
  const key = biasKey(input);
  const starts = key === undefined ? new Float64Array(counts.values.length) : matrixOf(input, key).values;
  const move = (loads: Float64Array) => {
    const bias = starts.slice();
    for (let at = 0; at < bias.length; at += experts) {
      const layer = bias.subarray(at, at + experts);
      updateBias([{ rule: "loss-free-bias", rate, centred }], layer, loads.subarray(at, at + experts));
    }
    return counts.sizes.length === 1 ? bias : rows(bias, experts);
  };
  const alone = move(counts.values);
  if (!input["tokens_per_expert_other_rank"])
    return { fields: { bias: alone, bias_single_rank: alone, score_bias: alone } };
  const other = matrixOf(input, "tokens_per_expert_other_rank").values;
  return {
    fields: { bias_single_rank: alone, bias_two_ranks: move(counts.values.map((load, i) => load + other[i]!)) },
  };
}

/** The same logits every step: route with the bias, count, move the bias. */
function trajectory({ params, input }: GoldenCase, centred: boolean) {
  if (limitsGroups(params)) return { skip: "group-limited routing" };
  const logits = matrixOf(input, "logits");
  const bias = new Float64Array(logits.sizes.at(-1)!);
  const steps = Array.from({ length: numberOf(params, "steps") }, () => {
    const batch = megatronRoute(logits, params, bias);
    const load = expertLoad(batch);
    updateBias([{ rule: "loss-free-bias", rate: rateOf(params), centred }], bias, load);
    return { ...ascending(batch), tokens_per_expert: load, bias_after: bias.slice() };
  });
  return { fields: { steps } };
}
