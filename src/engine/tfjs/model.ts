/**
 * The model in TensorFlow.js ops, forward only: tfjs differentiates it. Short and obvious rather than fast.
 *
 * Two choices keep to ops that every backend can differentiate: tokens are looked up by one-hot × matrix, and a
 * MoE layer computes every expert for every token, with weight zero where an expert is not chosen. The price is N/K
 * times the arithmetic of the experts that are needed.
 */
import * as tf from "@tensorflow/tfjs-core";
import { noiseOf } from "../../config/router-settings.ts";
import type { RunConfig } from "../../config/schema.ts";
import type { LayerRouter, RoutedPass } from "../layer-router.ts";
import { VOCABULARY } from "../parameters.ts";
import { routeTokens } from "./routing.ts";

/** A parameter by its name in `parameterLayout`. */
export type ParameterTensors = (name: string) => tf.Tensor;

export interface Forward {
  /** [T] cross-entropy of every token in nats */
  readonly losses: tf.Tensor;
  /** The residual stream after each part of the model, by the part's name. */
  readonly stream: readonly (readonly [where: string, value: tf.Tensor])[];
}

const NORM_EPSILON = 1e-5;
/** Added to the attention scores of later tokens; e to this power is zero. */
const MASKED = -1e9;

/**
 * a·b, of matrices. As `tf.matMul`, but for the gradient: that of `tf.matMul` asks for products with a transposed
 * operand, which the wasm backend leaves to plain loops; transposed first, a training step takes a fifth of the time.
 */
const product = tf.customGrad((...args) => {
  const [a, b, save] = args as unknown as [tf.Tensor2D, tf.Tensor2D, tf.GradSaveFunc];
  save([a, b]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => [
    tf.matMul(dy, tf.transpose(saved[1]!)),
    tf.matMul(tf.transpose(saved[0]!), dy),
  ];
  return { value: tf.matMul(a, b), gradFunc };
});

/** x / √(mean x² + ε) · gain, Zhang and Sennrich 2019, arXiv:1910.07467. @param x [T, H] @param gain [H] */
function rmsNorm(x: tf.Tensor, gain: tf.Tensor): tf.Tensor {
  const meanSquare = tf.mean(tf.square(x), -1, true);
  return tf.mul(tf.div(x, tf.sqrt(tf.add(meanSquare, NORM_EPSILON))), gain);
}

/** silu(gate) · up, Shazeer 2020, arXiv:2002.05202. @param projected [.., gate F | up F] @returns [.., F] */
function swigluHidden(projected: tf.Tensor): tf.Tensor {
  const [gate, up] = tf.split(projected, 2, -1) as [tf.Tensor, tf.Tensor];
  return tf.mul(tf.mul(gate, tf.sigmoid(gate)), up);
}

/** @param x [T, H] */
function swiglu(x: tf.Tensor, parameters: ParameterTensors, name: string): tf.Tensor {
  return product(swigluHidden(product(x, parameters(`${name}.up`))), parameters(`${name}.down`));
}

/** [S, S]: zero for a token itself and those before it. */
function causalMask(length: number): tf.Tensor {
  const mask = Float32Array.from({ length: length * length }, (_, i) =>
    i % length > Math.floor(i / length) ? MASKED : 0,
  );
  return tf.tensor2d(mask, [length, length]);
}

/** Causal multi-head attention without its output projection. @param qkv [B·S, 3·H] @returns [B·S, H] */
function attention(qkv: tf.Tensor, { heads, hiddenSize, context }: RunConfig["model"]): tf.Tensor {
  const headSize = hiddenSize / heads;
  const split = tf.reshape(qkv, [-1, context, 3, heads, headSize]);
  // Each [B, heads, S, head size].
  const [q, k, v] = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4])) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(headSize));
  const mixed = tf.matMul(tf.softmax(tf.add(scores, causalMask(context))), v);
  return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, hiddenSize]);
}

/** Σ_e weight_e · expert_e(x): all experts are one wide SwiGLU whose hidden units carry their expert's weight. */
function weightedExperts(
  x: tf.Tensor, // [T, H]
  weights: tf.Tensor, // [T, N]
  up: tf.Tensor, // [N, H, 2·F]
  down: tf.Tensor, // [N, F, H]
): tf.Tensor {
  const [experts, hiddenSize, twice] = up.shape as [number, number, number];
  const allUp = tf.reshape(tf.transpose(up, [1, 0, 2]), [hiddenSize, experts * twice]);
  const hidden = swigluHidden(tf.reshape(product(x, allUp), [-1, experts, twice])); // [T, N, F]
  const weighted = tf.mul(hidden, tf.expandDims(weights, 2));
  return product(tf.reshape(weighted, [-1, (experts * twice) / 2]), tf.reshape(down, [-1, hiddenSize]));
}

/**
 * The forward pass of some sequences. Each router notes in its memory what it did.
 * @param pass its tokens are [B, context + 1] byte values; the last column is a target only
 * @param routers one for each MoE layer
 */
export function forward(
  parameters: ParameterTensors,
  pass: RoutedPass,
  routers: readonly LayerRouter[],
  { model, router }: Pick<RunConfig, "model" | "router">,
): Forward {
  const { tokens } = pass;
  const stream: [string, tf.Tensor][] = [];
  const learnsNoise = noiseOf({ router })?.kind === "learned";

  const feedForward = (x: tf.Tensor, layer: number): tf.Tensor => {
    if (model.feedForward === "dense") return swiglu(x, parameters, `layers.${layer}.dense`);
    const name = `layers.${layer}`;
    const weights = routeTokens(routers[layer]!, pass, {
      logits: product(x, parameters(`${name}.router`)),
      raw: learnsNoise ? product(x, parameters(`${name}.router.noise`)) : undefined,
      expertScale: router.expertScale === "learned" ? parameters(`${name}.router.scale`) : undefined,
    });
    const sum = weightedExperts(x, weights, parameters(`${name}.experts.up`), parameters(`${name}.experts.down`));
    return model.sharedExperts > 0 ? tf.add(sum, swiglu(x, parameters, `${name}.shared`)) : sum;
  };

  const columns = tf.tensor2d(tokens, [tokens.length / (model.context + 1), model.context + 1], "int32");
  const inputs = oneHotBytes(tf.slice(columns, [0, 0], [-1, model.context]));
  const targets = oneHotBytes(tf.slice(columns, [0, 1], [-1, model.context]));

  const embedded = tf.reshape(product(inputs, parameters("embedding")), [-1, model.context, model.hiddenSize]);
  let x = tf.reshape(tf.add(embedded, parameters("position")), [-1, model.hiddenSize]);
  stream.push(["embedding", x]);
  for (let l = 0; l < model.layers; l++) {
    const qkv = product(rmsNorm(x, parameters(`layers.${l}.attention.norm`)), parameters(`layers.${l}.attention.qkv`));
    x = tf.add(x, product(attention(qkv, model), parameters(`layers.${l}.attention.output`)));
    stream.push([`layer ${l}, attention`, x]);
    x = tf.add(x, feedForward(rmsNorm(x, parameters(`layers.${l}.feedForward.norm`)), l));
    stream.push([`layer ${l}, feed-forward`, x]);
  }
  x = rmsNorm(x, parameters("final.norm"));
  const logits = product(x, model.tiedHead ? tf.transpose(parameters("embedding")) : parameters("head"));
  return { losses: tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), targets), -1)), stream };
}

/** @param tokens [B, S] @returns [B·S, 256] */
function oneHotBytes(tokens: tf.Tensor): tf.Tensor {
  return tf.cast(tf.oneHot(tf.reshape(tokens, [-1]), VOCABULARY), "float32");
}
