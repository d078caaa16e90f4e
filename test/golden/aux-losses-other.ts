/** Family aux_losses_other: the losses of Hugging Face Mixtral, OLMo-core, MegaBlocks, Tutel and FastMoE. */
import type { LossSetting } from "../../src/balance/rules.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import type { RoutingSettings } from "../../src/routing/route.ts";
import {
  type Adapter,
  asNumber,
  type GoldenCase,
  type JsonObject,
  matrixOf,
  numberOf,
  type Produced,
  rows,
} from "./golden-case.ts";
import { zLoss } from "./megatron-aux-losses.ts";
import {
  balance,
  chosenRows,
  equalParts,
  routeBatch,
  rowsAt,
  rowsBack,
  scoreFunctionOf,
  weightRows,
} from "./routed-batch.ts";

type Fields = Record<string, Produced>;

/** The code that a case comes from, by a word of its source. */
const codes: readonly (readonly [RegExp, (golden: GoldenCase) => Fields])[] = [
  [/mixtral/i, mixtral],
  [/OLMo/, olmo],
  [/megablocks/i, megablocks],
  [/tutel/i, tutel],
  [/noisy_gate/, noisyGate],
];

export const auxLossesOther: Adapter = (golden) => {
  const found = codes.find(([pattern]) => pattern.test(golden.source));
  if (found === undefined) throw new Error(`the loss of '${golden.source}' is none that is known`);
  return { fields: found[1](golden) };
};

const switchLoss = (
  coefficient: number,
  scope: "micro-batch" | "sequence" = "micro-batch",
  counts: "chosen" | "first" = "chosen",
): LossSetting => ({ rule: "switch-loss", coefficient, scope, counts, probabilities: "normalised" });

const shapeOf = (experts: number, params: JsonObject) => ({ experts, topK: numberOf(params, "top_k"), groups: 1 });

/** Over the real tokens of all layers together, K times the usual loss. Mask 1 = real, [batch, seq]. */
function mixtral({ params, input }: GoldenCase): Fields {
  const { values, sizes } = matrixOf(input, "logits_per_layer");
  const [layers, tokens, experts] = sizes as [number, number, number];
  const mask = input["attention_mask"] ? matrixOf(input, "attention_mask").values : undefined;
  const all = Array.from({ length: layers * tokens }, (_, place) => place);
  const real = all.filter((place) => mask === undefined || mask[place % tokens] !== 0);
  const shape = shapeOf(experts, params);
  const routing = routeBatch(rowsAt(values, experts, real), shape, routingPresets.mixtral.settings);
  const { loss, gradient } = balance(routing, [switchLoss(shape.topK)]);
  const back = rowsBack(gradient, experts, real, layers * tokens);
  return { loss, grad: equalParts(layers, tokens).map(({ first, last }) => back.slice(first, last)) };
}

/** Sums over tokens, divided by `loss_div_factor` instead of their number where it is given. */
function olmo({ params, input }: GoldenCase): Fields {
  const { values, sizes } = matrixOf(input, "logits");
  const [batch, length, experts] = sizes as [number, number, number];
  const share = (batch * length) / (asNumber(params["loss_div_factor"]) ?? batch * length);
  const scoreFunction = scoreFunctionOf(params["score_func"] ?? params["gating_function"]);
  const routing = routeBatch(values, shapeOf(experts, params), { ...routingPresets.olmo.settings, scoreFunction });
  const scope = params["granularity"] === "instance" ? "sequence" : "micro-batch";
  const load = balance(routing, [switchLoss(share, scope)], { sequences: batch });
  const z = balance(routing, [zLoss(share)]);
  const inSequences = (of: readonly number[][]) =>
    equalParts(batch, length).map(({ first, last }) => of.slice(first, last));
  return { lb_loss: load.loss, z_loss: z.loss, grad_lb: inSequences(load.gradient), grad_z: inSequences(z.gradient) };
}

/** Mean over layers. */
function megablocks({ params, input }: GoldenCase): Fields {
  const { values, sizes } = matrixOf(input, "logits_per_layer");
  const [layers, tokens, experts] = sizes as [number, number, number];
  const { capacity: _dropless, ...settings } = routingPresets.megablocks.settings;
  const coefficient = numberOf(params, "moe_loss_weight", 1) / layers;
  const perLayer = equalParts(layers, tokens).map(({ first, last }) => {
    const logits = values.subarray(first * experts, last * experts);
    const routing = routeBatch(logits, shapeOf(experts, params), settings);
    return {
      load: balance(routing, [switchLoss(coefficient)]),
      z: balance(routing, [zLoss(numberOf(params, "moe_zloss_weight", 1))]),
    };
  });
  return {
    lb_loss: perLayer.reduce((sum, { load }) => sum + load.loss, 0),
    grad_lb: perLayer.map(({ load }) => load.gradient),
    z_loss_per_layer: perLayer.map(({ z }) => z.loss),
    grad_z: perLayer.map(({ z }) => z.gradient),
    grad_z_per_layer: perLayer.map(({ z }) => z.gradient),
  };
}

const noisySettings = (noise: "learned" | "gaussian", scale: number): RoutingSettings => ({
  selection: "noisy-topk",
  options: { noise, scale },
  scoreFunction: "softmax",
  normalisation: "chosen",
  scale: 1,
});

/** Half the importance loss of all probabilities and half the load loss; the noise of a case is that of the logits. */
function tutel({ params, input }: GoldenCase): Fields {
  const { values, sizes } = matrixOf(input, "logits");
  const experts = sizes.at(-1)!;
  const shape = shapeOf(experts, params);
  const scale = numberOf(params, "gate_noise") / experts;
  const draws = matrixOf(input, "noise").values.map((each) => each / scale);
  const routing = routeBatch(values, shape, noisySettings("gaussian", scale), { noise: { draws } });
  const both = balance(routing, [
    { rule: "importance-loss", coefficient: 0.5, scope: "micro-batch", of: "probabilities" },
    { rule: "load-loss", coefficient: 0.5, scope: "micro-batch", form: "tutel" },
  ]);
  const clean = routeBatch(values, shape, routingPresets.tutel.settings);
  const gshard = balance(clean, [switchLoss(1, "micro-batch", "first")]);
  return {
    load_importance_loss: both.loss,
    grad_load_importance: both.gradient,
    gshard_loss: gshard.loss,
    grad_gshard: gshard.gradient,
  };
}

/** FastMoE's NoisyGate: Shazeer's two losses, both with weight 1. */
function noisyGate({ params, input }: GoldenCase): Fields {
  const { values, sizes } = matrixOf(input, "clean_logits");
  const draws = matrixOf(input, "gaussian_noise").values;
  const raw = matrixOf(input, "raw_noise_stddev").values;
  const settings = noisySettings("learned", numberOf(params, "noise_epsilon", 0.01));
  const routing = routeBatch(values, shapeOf(sizes.at(-1)!, params), settings, { noise: { draws, raw } });
  const both = balance(routing, [
    { rule: "importance-loss", coefficient: 1, scope: "micro-batch", of: "weights" },
    { rule: "load-loss", coefficient: 1, scope: "micro-batch", form: "shazeer" },
  ]);
  return {
    experts_ranked: chosenRows(routing),
    gates_ranked: weightRows(routing),
    loss_cv2_importance_plus_cv2_load: both.loss,
    grad_clean_logits: both.gradient,
    grad_raw_noise: both.raw,
    noisy_logits: rows(routing.logits, sizes.at(-1)!),
  };
}
