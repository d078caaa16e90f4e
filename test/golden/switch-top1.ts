/** Family switch_top1: one expert a token with capacity, as Hugging Face's Switch and DeepSpeed have it. */
import { routingPresets } from "../../src/routing/presets.ts";
import { GivenStream } from "./given-stream.ts";
import { type Adapter, type GoldenCase, matrixOf, numberOf, rows } from "./golden-case.ts";
import { deepSpeedFields, deepSpeedSettings, gshardLoss } from "./gshard-top2.ts";
import { zLoss } from "./megatron-aux-losses.ts";
import {
  balance,
  chosenRows,
  equalParts,
  keptLoad,
  routeBatch,
  tokenOrderPlaces,
  weightedSumGradient,
} from "./routed-batch.ts";

export const switchTop1: Adapter = (golden) => ({
  fields: golden.source.includes("DeepSpeed") ? deepSpeed(golden) : huggingFace(golden),
});

/** Logits [batch, seq, N]; the capacity is that of a sequence. */
function huggingFace({ params, input, tags }: GoldenCase) {
  const { values, sizes } = matrixOf(input, "logits");
  const [batch, length, experts] = sizes as [number, number, number];
  const { capacity, ...plain } = routingPresets["switch-hf"].settings;
  const shape = { experts, topK: 1, groups: 1 };
  // A newer file counts along an axis of length 1, so that no expert is ever full.
  const isBug = tags.includes("reference-bug");
  const limited = isBug ? undefined : { ...capacity, factor: numberOf(params, "expert_capacity") };
  const parts = equalParts(batch, length);
  const routing = routeBatch(values, shape, { ...plain, capacity: limited }, { parts });
  const all = routeBatch(values, shape, plain);
  const kinds = { counts: "first", probabilities: "normalised" } as const;
  const load = balance(routing, [{ rule: "switch-loss", coefficient: 1, scope: "sequence", ...kinds }], {
    sequences: batch,
  });
  const z = balance(routing, [zLoss(1)]);
  const inSequences = <Value>(of: readonly Value[]) => parts.map(({ first, last }) => of.slice(first, last));
  const flat = (of: ArrayLike<number>) => Array.from(of);
  return {
    expert: inSequences(chosenRows(routing).flat()),
    kept: inSequences(flat(routing.assignment.experts).map((expert) => Number(expert >= 0))),
    router_prob: inSequences(flat(all.assignment.weights)),
    dispatch_counts: parts.map((range) => keptLoad(routing, range)),
    load_balancing_loss: load.loss,
    z_loss: z.loss,
    grad_lb: inSequences(load.gradient),
    grad_z: inSequences(z.gradient),
    ...(input["v"] && { grad_sum_prob_kept_v: inSequences(keptGradient(routing, matrixOf(input, "v").values)) }),
  };
}

/** @param v [T], one number for a token's only weight */
const keptGradient = (routing: ReturnType<typeof routeBatch>, v: Float64Array) =>
  weightedSumGradient(
    routing,
    Float64Array.from(routing.logits, (_, at) => v[Math.floor(at / routing.shape.experts)]!),
  );

/** The tokens with the largest `selection_noise` at their expert stay; without it the first. */
function deepSpeed(golden: GoldenCase) {
  const { params, input } = golden;
  const logits = matrixOf(input, "logits");
  const experts = logits.sizes.at(-1)!;
  const shape = { experts, topK: 1, groups: 1 };
  const settings = deepSpeedSettings(routingPresets["deepspeed-top1"].settings, params);
  const drawn = params["use_rts"] !== false && input["selection_noise"] !== undefined;
  const capacity = { ...settings.capacity!, order: drawn ? ("random" as const) : ("token" as const) };
  const chosen = routeBatch(logits.values, shape, { ...settings, capacity: undefined });
  const noise = drawn ? rows(matrixOf(input, "selection_noise").values, experts) : [];
  const random = new GivenStream(noise.map((row, t) => row[chosen.chosen[t]!]!));
  const routing = routeBatch(logits.values, shape, { ...settings, capacity }, { random });
  const { loss, gradient } = gshardLoss(routing);
  return {
    ...deepSpeedFields(routing, golden, tokenOrderPlaces(routing)),
    top1: chosenRows(routing).flat(),
    l_aux: loss,
    grad_l_aux: gradient,
  };
}
