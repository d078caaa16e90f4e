/**
 * The routing pass as one TensorFlow.js op with a gradient of its own: the rules, the balancing losses and their
 * analytic derivatives are those that the other engine uses (engine/layer-router.ts), so a new router needs nothing
 * here.
 */
import * as tf from "@tensorflow/tfjs-core";
import { initialState, neededStatistics, sumsOf } from "../../balance/balance.ts";
import { settingsOfLayer } from "../../balance/rules.ts";
import { balanceShape, noiseOf, routingSettings } from "../../config/router-settings.ts";
import type { RunConfig } from "../../config/schema.ts";
import type { Floats } from "../../core/floats.ts";
import { NO_EXPERT } from "../../routing/assignment.ts";
import { slotsOf } from "../../routing/route.ts";
import { routerNamed } from "../../routing/routers.ts";
import { LayerRouter, type RoutedPass } from "../layer-router.ts";

/** What weights are computed from. */
export interface RouterTensors {
  /** [T, N] */
  readonly logits: tf.Tensor;
  /** [T, N] the second projection, of learned noise */
  readonly raw?: tf.Tensor | undefined;
  /** [N] learned scales, whose values the router's memory holds */
  readonly expertScale?: tf.Tensor | undefined;
}

/**
 * A router with memory of its own; of its places, that of each micro-batch begins where the last one ends.
 * @param layer among the MoE layers @param expertScale [N] where it is learned
 */
export function openRouter(config: RunConfig, layer: number, expertScale: Float32Array | undefined): LayerRouter {
  const { model, training } = config;
  const { experts } = model;
  const shape = balanceShape(config);
  const rules = settingsOfLayer(config.balance, layer);
  const sequences = training.ranks * training.sequences;
  const tokens = sequences * model.context;
  const slots = slotsOf(routingSettings(config), model);
  const places = training.microBatches + 1;
  const noise = noiseOf(config);
  const matrix = () => new Float32Array(tokens * experts);
  const assigned = new Int32Array(places * tokens * slots);
  const chosen = config.router.capacity === undefined ? assigned : new Int32Array(assigned.length);
  const refused = routerNamed(config.router.selection).refuses && new Int32Array(assigned.length);
  const weights = new Float32Array(assigned.length);
  const ofPlace = <Values extends Int32Array | Float32Array>(all: Values, place: number): Values =>
    all.subarray(place * tokens * slots, (place + 1) * tokens * slots) as Values;
  const learnsNoise = noise?.kind === "learned";
  const bias = Float64Array.from(config.router.bias.length > 0 ? config.router.bias : new Array(experts).fill(0));
  return new LayerRouter(config, layer, {
    logits: matrix(),
    noise: noise && { raw: learnsNoise ? matrix() : undefined, noisy: matrix(), draws: matrix() },
    scores: matrix(),
    places: Array.from({ length: places }, (_, place) => ({
      assignment: {
        tokens,
        slots,
        experts: ofPlace(assigned, place),
        refused: refused && ofPlace(refused, place),
        weights: ofPlace(weights, place),
      },
      chosen: ofPlace(chosen, place),
    })),
    sums: sumsOf(neededStatistics(rules), shape, (width) => new Float64Array(sequences * width)),
    load: new Float64Array(sequences * experts),
    bias,
    state: initialState(rules),
    expertScale,
    gradients: {
      weights: new Float32Array(tokens * slots),
      logits: matrix(),
      raw: learnsNoise ? matrix() : undefined,
      expertScale: expertScale && new Float64Array(sequences * experts),
    },
  });
}

/**
 * Routes a batch. In training the gradient is that of the weights and of the layer's balancing losses together.
 * @returns [T, N] gate weights, zero where an expert is not chosen
 */
export function routeTokens(router: LayerRouter, pass: RoutedPass, tensors: RouterTensors): tf.Tensor {
  const { logits, raw, expertScale } = tensors;
  const inputs = [logits, raw, expertScale].filter((tensor) => tensor !== undefined);
  return tf.customGrad(() => {
    router.memory.logits.set(logits.dataSync());
    if (raw) router.memory.noise!.raw!.set(raw.dataSync());
    run(router, pass);
    const value = matrixOf(denseWeights(router, pass), logits.shape[1]!);
    return { value, gradFunc: (dy: tf.Tensor) => backward(router, pass, dy, tensors) };
  })(...inputs);
}

/** All parts in their order, on one thread. */
function run(router: LayerRouter, pass: RoutedPass): void {
  for (const batch of router.batches(pass)) router.route(pass, batch);
  router.count(pass, { first: 0, last: pass.sequences });
  if (!pass.training) return;
  router.balanceForward();
  router.observe(pass);
}

/** [T, N] */
function denseWeights(router: LayerRouter, { place, sequences }: RoutedPass): Float32Array {
  const { assignment } = router.memory.places[place]!;
  const { slots, experts, weights } = assignment;
  const { experts: width } = router.shape;
  const tokens = sequences * router.balance.sequenceLength;
  const dense = new Float32Array(tokens * width);
  for (let slot = 0; slot < tokens * slots; slot++) {
    const expert = experts[slot]!;
    if (expert !== NO_EXPERT) dense[Math.floor(slot / slots) * width + expert] = weights[slot]!;
  }
  return dense;
}

/** The gradients by the inputs, in their order. @param dy [T, N] */
function backward(
  router: LayerRouter,
  pass: RoutedPass,
  dy: tf.Tensor,
  { raw, expertScale }: RouterTensors,
): tf.Tensor[] {
  const { gradients, places } = router.memory;
  const { slots, experts } = places[pass.place]!.assignment;
  const { experts: width } = router.shape;
  const dense = dy.dataSync();
  gradients.weights.forEach((_, slot) => {
    const expert = experts[slot]!;
    (gradients.weights as Float32Array)[slot] =
      expert === NO_EXPERT ? 0 : dense[Math.floor(slot / slots) * width + expert]!;
  });
  router.backward(pass, { first: 0, last: pass.sequences });
  return [
    matrixOf(gradients.logits, width),
    ...(raw ? [matrixOf(gradients.raw!, width)] : []),
    ...(expertScale ? [tf.sum(matrixOf(gradients.expertScale!, width), 0)] : []),
  ];
}

const matrixOf = (values: Floats, columns: number): tf.Tensor =>
  tf.tensor2d(Float32Array.from(values), [values.length / columns, columns]);
