/**
 * The waist: `simulate` yields one plain, serialisable `Step` at a time. Above it nothing formats; below it nothing
 * waits, logs or opens anything. Node pulls it in a loop, a page one step a frame, a test three of them.
 */
import { TokenPool, type TokenPoolState } from "./cluster/projection.ts";
import type { RunConfig } from "./config/schema.ts";
import { cosineOfTurns } from "./core/elementary.ts";
import { mean } from "./core/statistics.ts";
import type { TokenSource } from "./data/source.ts";
import type { Engine, EngineState, RoutedLayer } from "./engine/engine.ts";
import { comparisonMetrics } from "./metrics/comparison-metrics.ts";
import { inspectBatch, measureBatch, type RoutingMeasures } from "./metrics/routing-metrics.ts";
import { deviceLoad } from "./placement/device-load.ts";
import { placements } from "./placement/placements.ts";
import { priceTarget, type SimulatedStep } from "./price.ts";
import { type Choice, countLoad } from "./routing/assignment.ts";

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
  /** On the last step, of all validations. */
  readonly saturation?: readonly Saturation[];
  /** Simulated; absent without a target or without MoE layers. */
  readonly simulated?: SimulatedStep;
}

/** What one MoE layer of the trained model did with a batch. */
export interface LayerStep {
  /** Index of the transformer layer. */
  readonly layer: number;
  /** [N] assignments per expert */
  readonly expertLoad: readonly number[];
  /** [N] device that holds each expert */
  readonly deviceOf: readonly number[];
  /** [D] assignments per device */
  readonly deviceLoad: readonly number[];
  /**
   * What needs each token's own choices; metrics of the loads above can be worked out from them. Those that look at
   * scores and domains are there each `record.every` steps and on the last.
   */
  readonly metrics: RoutingMeasures;
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

/** How far a layer's routing of the validation text was what it became in the end. */
export interface Saturation {
  /** Of the validation. */
  readonly step: number;
  /** Index of the transformer layer. */
  readonly layer: number;
  /** Share of the final experts that were chosen already. */
  readonly saturation: number;
}

/** The routing of the first validation sequences at one validation. */
interface RoutingProbe {
  readonly step: number;
  /** [MoE layers, domains] */
  readonly layers: readonly (readonly Choice[])[];
}

/** What a run carries from step to step beside its engine. Plain data once saved. */
export interface SimulationState {
  /** Steps done. */
  readonly step: number;
  readonly engine: EngineState;
  readonly pools: readonly TokenPoolState[];
  readonly probes: readonly RoutingProbe[];
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

export type Simulation = Generator<Step, void, void> & { save(): SimulationState };

/**
 * Trains the model of a config and prices what its router does, step by step.
 * @returns a generator of steps; `save` on it gives the state to go on from after the last step pulled
 * @throws DivergenceError when a loss or gradient is not finite
 */
export function simulate(config: RunConfig, { engine, data, state }: SimulationParts): Simulation {
  if (state !== undefined) engine.load(state.engine);
  const carried: Carried = {
    pools: (state?.pools ?? []).map((saved) => TokenPool.restore(saved)),
    probes: [...(state?.probes ?? [])],
  };
  let done = state?.step ?? 0;
  function* steps(): Generator<Step, void, void> {
    while (done < config.training.steps) {
      const step = takeStep(config, done + 1, engine, data, carried);
      done = step.step;
      yield step;
    }
  }
  const save = () => ({
    step: done,
    engine: engine.save(),
    pools: carried.pools.map((pool) => pool.save()),
    probes: [...carried.probes],
  });
  return Object.assign(steps(), { save });
}

/** What goes from step to step beside the engine. */
interface Carried {
  /** One a MoE layer. */
  readonly pools: TokenPool[];
  /** One a validation. */
  readonly probes: RoutingProbe[];
}

/** Trains on one batch, measures and prices what the routers did, and validates when it is due. */
function takeStep(config: RunConfig, step: number, engine: Engine, data: TokenSource, carried: Carried): Step {
  const { model, training, record, target } = config;
  const sequences = training.microBatches * training.ranks * training.sequences;
  const learningRate = learningRateAt(step, training);
  const { tokens, domain: domains } = data.batch(step, sequences);
  const result = engine.train({ tokens, domains }, learningRate);
  if (!Number.isFinite(result.lossNatsPerByte) || !Number.isFinite(result.gradientNorm)) {
    throw new DivergenceError(step, engine.firstNonFinite() ?? "the loss");
  }
  const isLast = step === training.steps;
  const isRecorded = step % record.every === 0 || isLast;
  const layers = result.layers.map((layer) => measureLayer(layer, config, isRecorded ? domains : undefined));
  const simulated = target && priceTarget(config, target, step, result, carried.pools);
  const isDue = step % record.validationEvery === 0 || isLast;
  const validation = isDue ? validate(engine, data, record.validationSequences, step, carried.probes) : undefined;
  if (validation !== undefined && !Number.isFinite(validation.lossNatsPerByte)) {
    throw new DivergenceError(step, "the validation loss, after the step's update");
  }
  return {
    step,
    learningRate,
    trainingLossNatsPerByte: result.lossNatsPerByte,
    gradientNorm: result.gradientNorm,
    tokens: sequences * model.context,
    layers,
    ...(validation && { validation }),
    ...(isLast && { saturation: saturations(carried.probes, model.experts) }),
    ...(simulated && { simulated }),
  };
}

/** Linear warm-up, then cosine decay from the peak to the final learning rate. @param step 1 … steps */
export function learningRateAt(step: number, training: RunConfig["training"]): number {
  const { learningRate: peak, finalLearningRateFraction, warmupSteps, steps } = training;
  const final = peak * finalLearningRateFraction;
  if (step <= warmupSteps) return (peak * step) / warmupSteps;
  const progress = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return final + (peak - final) * 0.5 * (1 + cosineOfTurns(progress / 2));
}

/** @param domains [sequences], where all metrics are due */
function measureLayer(routed: RoutedLayer, { model, cluster }: RunConfig, domains?: Int32Array): LayerStep {
  const { layer, assignment, chosen, scores, balanceLoss } = routed;
  const deviceOf = placements[cluster.placement].place(model.experts, cluster.devices);
  const expertLoad = new Int32Array(model.experts);
  countLoad(assignment, expertLoad);
  const sequenceOf = (token: number) => Math.floor(token / model.context);
  const sequenceStarts = Array.from({ length: sequenceOf(assignment.tokens) }, (_, i) => i * model.context);
  const batch = { assignment, chosen, deviceOf, sequenceStarts };
  const ofTokens = domains && Int32Array.from({ length: assignment.tokens }, (_, t) => domains[sequenceOf(t)]!);
  return {
    layer,
    expertLoad: Array.from(expertLoad),
    deviceOf: Array.from(deviceOf),
    deviceLoad: Array.from(deviceLoad(expertLoad, deviceOf, cluster.devices)),
    metrics: { ...measureBatch(batch), ...(ofTokens && inspectBatch({ ...batch, scores, domains: ofTokens })) },
    balanceLoss,
  };
}

/** @param probes how the validation text was routed is added */
function validate(
  engine: Engine,
  data: TokenSource,
  sequences: number,
  step: number,
  probes: RoutingProbe[],
): Validation {
  const routing: (readonly Choice[])[] = []; // [domains, MoE layers]
  const domains = data.domains.map((domain, index) => {
    const losses = engine.evaluate(data.validation(index, sequences), index);
    routing.push(engine.evaluatedRouting().map(({ tokens, slots, experts }) => ({ tokens, slots, experts })));
    return { domain, lossNatsPerByte: mean(losses) };
  });
  probes.push({ step, layers: (routing[0] ?? []).map((_, layer) => routing.map((ofDomain) => ofDomain[layer]!)) });
  return { lossNatsPerByte: mean(domains.map((each) => each.lossNatsPerByte)), domains };
}

/** Each validation's routing against that of the last; unweighted means over the domains. */
function saturations(probes: readonly RoutingProbe[], experts: number): Saturation[] {
  const last = probes.at(-1)!;
  return probes.flatMap(({ step, layers }) =>
    layers.map((domains, layer) => {
      const ofDomains = domains.map((choice, domain) =>
        comparisonMetrics["router-saturation"].of(choice, last.layers[layer]![domain]!, experts),
      );
      return { step, layer, saturation: mean(ofDomains) };
    }),
  );
}
