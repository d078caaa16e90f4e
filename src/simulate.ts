/**
 * The waist: `simulate` yields one plain, serialisable `Step` at a time. Above it nothing formats; below it nothing
 * waits, logs or opens anything. Node pulls it in a loop, a page one step a frame, a test three of them.
 */
import { type Cluster, type LayerTime, priceMoeLayer } from "./cluster/moe-layer.ts";
import { clusterOf } from "./cluster/presets.ts";
import { layerFor, TokenPool, type TokenPoolState } from "./cluster/projection.ts";
import type { RunConfig, TargetConfig } from "./config/schema.ts";
import { cosineOfTurns } from "./core/elementary.ts";
import { randomStream } from "./core/random.ts";
import type { TokenSource } from "./data/source.ts";
import type { Engine, EngineState, RoutedLayer, TrainingResult } from "./engine/engine.ts";
import { fanOut, gateMass } from "./metrics/assignment-metrics.ts";
import { deviceLoad } from "./placement/device-load.ts";
import { placements } from "./placement/placements.ts";
import { countLoad } from "./routing/route.ts";

/** One optimizer step, measured. */
export interface Step {
  /** 1 … training.steps */
  readonly step: number;
  readonly learningRate: number;
  /** Mean cross-entropy of the training batch, before the update. */
  readonly trainingLossNatsPerByte: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  /** Tokens of the batch. */
  readonly tokens: number;
  /** MoE layers; empty for a dense model. */
  readonly layers: readonly LayerStep[];
  readonly validation?: Validation;
  /** Simulated; absent without a target or without MoE layers. */
  readonly simulated?: SimulatedStep;
}

/** What one MoE layer of the trained model did with a batch. */
export interface LayerStep {
  /** Index of the transformer layer. */
  readonly layer: number;
  /** [N] assignments per expert */
  readonly expertLoad: readonly number[];
  /** [D] assignments per device */
  readonly deviceLoad: readonly number[];
  /** Mean number of distinct devices that a token's experts lie on. */
  readonly fanOut: number;
  /** Mean sum of a token's gate weights. */
  readonly gateMass: number;
  /** Balancing losses, coefficients applied. */
  readonly balanceLoss: number;
}

/** Loss on held-out text after the step's update. */
export interface Validation {
  /** Unweighted mean over the domains. */
  readonly lossNatsPerByte: number;
  /** In the order of the token source's domains. */
  readonly domains: readonly { readonly domain: string; readonly lossNatsPerByte: number }[];
}

/** SIMULATED seconds of the target's MoE layers, summed over them. compute + wait + communication = step. */
export interface SimulatedStep {
  readonly stepSeconds: number;
  /** Expert compute of the mean device. */
  readonly computeSeconds: number;
  /** How much longer the hottest device computes than the mean one. */
  readonly waitSeconds: number;
  /** Dispatch and combine all-to-all, forward and backward. */
  readonly communicationSeconds: number;
  readonly layers: readonly LayerTime[];
}

/** What a run carries from step to step beside its engine. Plain data once saved. */
export interface SimulationState {
  /** Steps done. */
  readonly step: number;
  readonly engine: EngineState;
  readonly pools: readonly TokenPoolState[];
}

export interface SimulationParts {
  readonly engine: Engine;
  readonly data: TokenSource;
  /** Where to go on from; absent: the beginning. */
  readonly state?: SimulationState | undefined;
}

/** Training met a number that is not finite. `where` names the place, the steps before it are sound. */
export class DivergenceError extends Error {
  override readonly name = "DivergenceError";
  readonly step: number;
  readonly where: string;
  constructor(step: number, where: string) {
    super(`step ${step}: a number that is not finite first appears in ${where}`);
    this.step = step;
    this.where = where;
  }
}

/**
 * Trains the model of a config and prices what its router does, step by step.
 * @returns a generator of steps; `save` on it gives the state to go on from after the last step pulled
 * @throws DivergenceError when a loss or gradient is not finite
 */
export function simulate(config: RunConfig, { engine, data, state }: SimulationParts): Simulation {
  if (state !== undefined) engine.load(state.engine);
  const pools = (state?.pools ?? []).map((saved) => TokenPool.restore(saved));
  const done = { step: state?.step ?? 0 };
  return Object.assign(steps(config, engine, data, pools, done), {
    save: (): SimulationState => ({ step: done.step, engine: engine.save(), pools: pools.map((pool) => pool.save()) }),
  });
}

export type Simulation = Generator<Step, void, void> & { save(): SimulationState };

function* steps(
  config: RunConfig,
  engine: Engine,
  data: TokenSource,
  pools: TokenPool[],
  done: { step: number },
): Generator<Step, void, void> {
  const { training, record, target, cluster } = config;
  const deviceOf = placements[cluster.placement].place(config.model.experts, cluster.devices);
  const sequences = training.microBatches * training.ranks * training.sequences;
  while (done.step < training.steps) {
    const step = done.step + 1;
    const learningRate = learningRateAt(step, training);
    const result = engine.train({ tokens: data.batch(step, sequences).tokens }, learningRate);
    if (!Number.isFinite(result.lossNatsPerByte) || !Number.isFinite(result.gradientNorm)) {
      throw new DivergenceError(step, engine.firstNonFinite() ?? "the loss");
    }
    const simulated = target && priceStep(config, target, step, result, pools);
    done.step = step;
    const validated = step % record.validationEvery === 0 || step === training.steps;
    yield {
      step,
      learningRate,
      trainingLossNatsPerByte: result.lossNatsPerByte,
      gradientNorm: result.gradientNorm,
      tokens: sequences * config.model.context,
      layers: result.layers.map((layer) => measureLayer(layer, config, deviceOf)),
      ...(validated && { validation: validate(engine, data, record.validationSequences) }),
      ...(simulated && { simulated }),
    };
  }
}

/** Linear warm-up, then cosine decay from the peak to the final learning rate. @param step 1 … steps */
export function learningRateAt(step: number, training: RunConfig["training"]): number {
  const { learningRate: peak, finalLearningRateFraction, warmupSteps, steps } = training;
  const final = peak * finalLearningRateFraction;
  if (step <= warmupSteps) return (peak * step) / warmupSteps;
  const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return final + (peak - final) * 0.5 * (1 + cosineOfTurns(progress / 2));
}

function measureLayer(routed: RoutedLayer, { model, cluster }: RunConfig, deviceOf: Int32Array): LayerStep {
  const tokens = routed.chosen.length / model.topK;
  const expertLoad = new Int32Array(model.experts);
  countLoad(routed.chosen, 0, tokens, model.topK, expertLoad);
  return {
    layer: routed.layer,
    expertLoad: Array.from(expertLoad),
    deviceLoad: Array.from(deviceLoad(expertLoad, deviceOf, cluster.devices)),
    fanOut: fanOut(routed.chosen, tokens, model.topK, deviceOf),
    gateMass: gateMass(routed.weights, tokens),
    balanceLoss: routed.balanceLoss,
  };
}

function validate(engine: Engine, data: TokenSource, sequences: number): Validation {
  const domains = data.domains.map((domain, index) => {
    const losses = engine.evaluate(data.validation(index, sequences));
    return { domain, lossNatsPerByte: mean(losses) };
  });
  return { lossNatsPerByte: mean(domains.map((each) => each.lossNatsPerByte)), domains };
}

/** Pools the step's choices, draws the target's tokens from them and prices its layers. */
function priceStep(
  config: RunConfig,
  target: TargetConfig,
  step: number,
  { layers }: TrainingResult,
  pools: TokenPool[],
): SimulatedStep | undefined {
  if (layers.length === 0) return undefined;
  const { experts, topK } = config.model;
  layers.forEach((routed, i) => {
    pools[i] ??= new TokenPool(target.window, topK);
    pools[i].add(routed.chosen);
  });
  const deviceOf = placements[config.cluster.placement].place(experts, target.expertParallel);
  const cluster: Cluster = clusterOf(config.cluster);
  const times = Array.from({ length: target.layers }, (_, layer) => {
    const pool = pools[layerFor(layer, target.layers, layers.length)]!;
    const random = randomStream(config.seed, "projection", step, layer);
    const traffic = pool.project(random, { ...target, ranks: target.expertParallel, deviceOf, experts });
    return priceMoeLayer(target, { ...traffic, deviceOf }, cluster);
  });
  const sum = (part: (time: LayerTime) => number) => times.reduce((total, time) => total + part(time), 0);
  return {
    stepSeconds: sum((time) => time.stepSeconds),
    computeSeconds: sum((time) => time.meanComputeSeconds),
    waitSeconds: sum((time) => time.waitSeconds),
    communicationSeconds: sum((time) => time.communicationSeconds),
    layers: times,
  };
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}
