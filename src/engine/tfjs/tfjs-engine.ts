/**
 * The reference engine: gradients by TensorFlow.js's autodiff, the optimizer in plain loops.
 *
 * The state lives in flat arrays on the host and is uploaded for every micro-batch, so no tensor outlives a call.
 * The backend is opened in host/tfjs-engine.ts.
 */
import * as tf from "@tensorflow/tfjs-core";
import { finishStep } from "../../balance/balance.ts";
import type { RunConfig } from "../../config/schema.ts";
import { mean } from "../../core/statistics.ts";
import type { Assignment } from "../../routing/assignment.ts";
import { checkEvaluationTokens, checkState, checkTrainingBatch } from "../check.ts";
import type { Engine, EngineState, RoutedLayer, TrainingBatch, TrainingResult } from "../engine.ts";
import { flat, unflatten } from "../flat.ts";
import type { LayerRouter, RoutedPass } from "../layer-router.ts";
import { drawParameter, type Parameter, parameterCount, parameterLayout, parameterNamed } from "../parameters.ts";
import { adamw, clipFactor, gradientNorm } from "./adamw.ts";
import { type Forward, forward } from "./model.ts";
import { openRouter } from "./routing.ts";

export class TfjsEngine implements Engine {
  readonly description: string;
  private readonly backend: string;
  private readonly config: RunConfig;
  private readonly layout: readonly Parameter[];
  private step = 0;
  private readonly parameters: Float32Array;
  private readonly firstMoment: Float32Array;
  private readonly secondMoment: Float32Array;
  private readonly stepGradient: Float32Array;
  /** One a MoE layer. */
  private readonly routers: readonly LayerRouter[];
  /** Sequences in the place for evaluation. */
  private evaluated = 0;
  private badPlace: string | undefined;

  /** @param backend a tfjs backend that is ready to compute */
  constructor(config: RunConfig, backend: string, description: string) {
    const { model, router, seed } = config;
    this.config = config;
    this.backend = backend;
    this.description = description;
    this.layout = parameterLayout(config);
    const size = parameterCount(this.layout);
    this.parameters = new Float32Array(size);
    for (const parameter of this.layout) drawParameter(this.parameters, parameter, seed);
    this.firstMoment = new Float32Array(size);
    this.secondMoment = new Float32Array(size);
    this.stepGradient = new Float32Array(size);
    const isMoe = model.feedForward === "moe";
    const scaleOf = (layer: number) =>
      router.expertScale === "learned" ? this.valuesOf(`layers.${layer}.router.scale`) : undefined;
    this.routers = Array.from({ length: isMoe ? model.layers : 0 }, (_, layer) =>
      openRouter(config, layer, scaleOf(layer)),
    );
  }

  train(batch: TrainingBatch, learningRate: number): TrainingResult {
    const { training } = this.config;
    checkTrainingBatch(batch, this.config);
    this.useBackend();
    this.badPlace = undefined;
    this.stepGradient.fill(0);
    this.step++;
    for (const router of this.routers) router.startStep();
    let loss = 0;
    for (let m = 0; m < training.microBatches; m++) {
      loss += tf.tidy(() => this.addMicroBatch(this.microBatch(batch, m))) / training.microBatches;
    }
    const norm = gradientNorm(this.stepGradient);
    const { parameters, firstMoment, secondMoment, stepGradient } = this;
    const factor = clipFactor(norm, training.clipNorm);
    adamw(this.layout, parameters, firstMoment, secondMoment, stepGradient, factor, this.step, learningRate, training);
    const finished = this.routers.map(({ balance, memory }) => ({ balance, bias: memory.bias }));
    finishStep(finished, this.step / training.steps, training.microBatches);
    return {
      lossNatsPerByte: loss,
      gradientNorm: norm,
      layers: this.routers.map((router, layer) => routed(router, layer)),
    };
  }

  private microBatch({ tokens, domains }: TrainingBatch, place: number): RoutedPass {
    const { microBatches, ranks } = this.config.training;
    const sequences = ranks * this.config.training.sequences;
    const bytes = tokens.length / microBatches;
    return {
      place,
      sequences,
      training: true,
      step: this.step,
      tokens: tokens.subarray(place * bytes, (place + 1) * bytes),
      domains: domains?.subarray(place * sequences, (place + 1) * sequences) ?? new Int32Array(sequences),
    };
  }

  evaluate(tokens: Uint8Array, domain = 0): Float64Array {
    const { model, training } = this.config;
    const length = model.context + 1;
    checkEvaluationTokens(tokens, this.config);
    const losses = new Float64Array(tokens.length / length);
    const together = training.ranks * training.sequences; // so that it takes no more memory than a training step
    this.useBackend();
    for (let first = 0; first < losses.length; first += together) {
      const part = tokens.subarray(first * length, (first + together) * length);
      const sequences = part.length / length;
      this.evaluated = sequences;
      const domains = new Int32Array(sequences).fill(domain);
      const pass = { place: training.microBatches, sequences, training: false, step: 0, tokens: part, domains };
      const ofTokens = tf.tidy(() =>
        forward(this.lookUp(this.upload()), pass, this.routers, this.config).losses.dataSync(),
      );
      ofTokens.forEach((loss, t) => {
        const sequence = first + Math.floor(t / model.context);
        losses[sequence] = losses[sequence]! + loss / model.context;
      });
    }
    return losses;
  }

  evaluatedRouting(): Assignment[] {
    return this.routers.map(({ memory }) => {
      const { slots, experts, weights } = memory.places.at(-1)!.assignment;
      const tokens = this.evaluated * this.config.model.context;
      const count = tokens * slots;
      return { tokens, slots, experts: experts.slice(0, count), weights: weights.slice(0, count) };
    });
  }

  gradient(): Float32Array {
    return this.stepGradient.slice();
  }

  firstNonFinite(): string | undefined {
    return this.badPlace;
  }

  save(): EngineState {
    return {
      step: this.step,
      parameters: this.parameters.slice(),
      firstMoment: this.firstMoment.slice(),
      secondMoment: this.secondMoment.slice(),
      bias: flat(this.biases()),
      balanceState: flat(this.balanceStates()),
    };
  }

  load(state: EngineState): void {
    const { step, parameters, firstMoment, secondMoment, bias, balanceState } = state;
    checkState(state, {
      parameters: this.parameters.length,
      biases: flat(this.biases()).length,
      balanceStates: flat(this.balanceStates()).length,
    });
    this.step = step;
    this.parameters.set(parameters);
    this.firstMoment.set(firstMoment);
    this.secondMoment.set(secondMoment);
    unflatten(bias, this.biases());
    unflatten(balanceState, this.balanceStates());
  }

  /** Nothing to let go: no tensor outlives a call, and the backend is shared by all engines of the process. */
  close(): void {}

  /** The backend of tfjs is global; switching to one that has been opened takes effect at once. */
  private useBackend(): void {
    if (tf.getBackend() !== this.backend) void tf.setBackend(this.backend);
  }

  private upload(): tf.Tensor[] {
    return this.layout.map(({ shape, offset, size }) =>
      tf.tensor(this.parameters.slice(offset, offset + size), [...shape]),
    );
  }

  private lookUp(tensors: readonly tf.Tensor[]): (name: string) => tf.Tensor {
    const byName = new Map(this.layout.map(({ name }, index) => [name, tensors[index]!]));
    return (name) => byName.get(name)!;
  }

  private biases(): Float64Array[] {
    return this.routers.map(({ memory }) => memory.bias);
  }

  private balanceStates(): Float64Array[] {
    return this.routers.map(({ memory }) => memory.state);
  }

  /** The values of a parameter, a view. */
  private valuesOf(name: string): Float32Array {
    const { offset, size } = parameterNamed(this.layout, name);
    return this.parameters.subarray(offset, offset + size);
  }

  /** Adds the gradient of one micro-batch. @returns its mean cross-entropy */
  private addMicroBatch(pass: RoutedPass): number {
    const { microBatches } = this.config.training;
    let crossEntropy = 0;
    const { grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
      const { losses, stream } = forward(this.lookUp(tensors), pass, this.routers, this.config);
      crossEntropy = mean(losses.dataSync()); // in doubles: singles would lose the digits that engines are compared by
      this.noteNonFinite(stream, crossEntropy);
      return tf.div(tf.mean(losses), microBatches); // the routers see to their balancing losses
    })(this.upload());
    grads.forEach((gradient, p) => {
      const { name, offset } = this.layout[p]!;
      const values = gradient.dataSync();
      if (!values.every(Number.isFinite)) this.badPlace ??= `gradient of ${name}`;
      for (let i = 0; i < values.length; i++) {
        this.stepGradient[offset + i] = this.stepGradient[offset + i]! + values[i]!;
      }
    });
    return crossEntropy;
  }

  private noteNonFinite(stream: Forward["stream"], loss: number): void {
    const found = stream.find(([, value]) => !value.dataSync().every(Number.isFinite));
    this.badPlace ??= found?.[0] ?? (Number.isFinite(loss) ? undefined : "loss");
  }
}

/** What a layer did with all micro-batches, whose places lie one behind the other. */
function routed(router: LayerRouter, layer: number): RoutedLayer {
  const { places, scores } = router.memory;
  const micro = places.slice(0, -1);
  const { slots } = micro[0]!.assignment;
  const join = <Values extends Int32Array | Float32Array>(parts: readonly Values[], all: Values): Values => {
    for (const [i, part] of parts.entries()) all.set(part, i * part.length);
    return all;
  };
  const length = micro.length * micro[0]!.chosen.length;
  const ids = (parts: readonly Int32Array[]) => join(parts, new Int32Array(length));
  const experts = ids(micro.map(({ assignment }) => assignment.experts));
  const weights = join(
    micro.map(({ assignment }) => Float32Array.from(assignment.weights)),
    new Float32Array(length),
  );
  const chosen = ids(micro.map((place) => place.chosen));
  const assignment = { tokens: length / slots, slots, experts, weights };
  return { layer, assignment, chosen, scores, balanceLoss: router.balanceLoss };
}
