/**
 * The reference engine: gradients by TensorFlow.js's autodiff, the optimizer in plain loops.
 *
 * The state lives in flat arrays on the host and is uploaded for every micro-batch, so no tensor outlives a call.
 * The backend is opened in host/tfjs-engine.ts.
 */
import * as tf from "@tensorflow/tfjs-core";
import { newStepLoad, type StepLoad, updateBias } from "../../balance/balance.ts";
import type { RunConfig } from "../../config/schema.ts";
import { mean } from "../../core/statistics.ts";
import { NO_EXPERT } from "../../routing/assignment.ts";
import { checkEvaluationTokens, checkState, checkTrainingTokens } from "../check.ts";
import type { Engine, EngineState, RoutedLayer, TrainingBatch, TrainingResult } from "../engine.ts";
import { initialParameters, type Parameter, parameterCount, parameterLayout } from "../parameters.ts";
import { adamw, clipFactor, gradientNorm } from "./adamw.ts";
import { type Forward, forward } from "./model.ts";
import { assertExpressible, balancingLossOf } from "./routing.ts";

/** What a layer has done so far in the step. */
interface StepLayer {
  readonly experts: Int32Array;
  readonly weights: Float32Array;
  readonly stepLoad: StepLoad;
  balanceLoss: number;
}

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
  /** One row a MoE layer. */
  private readonly bias: readonly Float64Array[];
  private badPlace: string | undefined;

  /**
   * @param backend a tfjs backend that is ready to compute
   * @throws if the config names a rule that has no TensorFlow.js expression
   */
  constructor(config: RunConfig, backend: string, description: string) {
    const { model, router, seed } = config;
    const isMoe = model.feedForward === "moe";
    if (isMoe) assertExpressible(router, config.balance);
    this.config = config;
    this.backend = backend;
    this.description = description;
    this.layout = parameterLayout(model);
    const size = parameterCount(this.layout);
    this.parameters = initialParameters(this.layout, seed);
    this.firstMoment = new Float32Array(size);
    this.secondMoment = new Float32Array(size);
    this.stepGradient = new Float32Array(size);
    const startingBias = router.bias.length > 0 ? router.bias : new Array<number>(model.experts).fill(0);
    this.bias = Array.from({ length: isMoe ? model.layers : 0 }, () => Float64Array.from(startingBias));
  }

  train({ tokens }: TrainingBatch, learningRate: number): TrainingResult {
    const { training, balance } = this.config;
    checkTrainingTokens(tokens, this.config);
    const layers = this.bias.map(() => this.newLayer());
    const microBatchBytes = tokens.length / training.microBatches;
    this.useBackend();
    this.badPlace = undefined;
    this.stepGradient.fill(0);
    let loss = 0;
    for (let m = 0; m < training.microBatches; m++) {
      const part = tokens.subarray(m * microBatchBytes, (m + 1) * microBatchBytes);
      loss += tf.tidy(() => this.addMicroBatch(part, m, layers)) / training.microBatches;
    }
    const norm = gradientNorm(this.stepGradient);
    const { parameters, firstMoment, secondMoment, stepGradient } = this;
    const factor = clipFactor(norm, training.clipNorm);
    this.step++;
    adamw(this.layout, parameters, firstMoment, secondMoment, stepGradient, factor, this.step, learningRate, training);
    for (const [index, { stepLoad }] of layers.entries()) updateBias(balance, this.bias[index]!, stepLoad.load);
    return { lossNatsPerByte: loss, gradientNorm: norm, layers: layers.map((done, layer) => this.routed(done, layer)) };
  }

  evaluate(tokens: Uint8Array): Float64Array {
    const { context } = this.config.model;
    const length = context + 1;
    checkEvaluationTokens(tokens, this.config);
    const losses = new Float64Array(tokens.length / length);
    const together = this.config.training.sequences; // so that it takes no more memory than a training step
    this.useBackend();
    for (let first = 0; first < losses.length; first += together) {
      const part = tokens.subarray(first * length, (first + together) * length);
      const ofTokens = tf.tidy(() =>
        forward(this.lookUp(this.upload()), part, this.bias, this.config).losses.dataSync(),
      );
      ofTokens.forEach((loss, t) => {
        const sequence = first + Math.floor(t / context);
        losses[sequence] = losses[sequence]! + loss / context;
      });
    }
    return losses;
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
      bias: Float64Array.from(this.bias.flatMap((row) => [...row])),
    };
  }

  load(state: EngineState): void {
    const { step, parameters, firstMoment, secondMoment, bias } = state;
    const { experts } = this.config.model;
    checkState(state, { parameters: this.parameters.length, biases: this.bias.length * experts });
    this.step = step;
    this.parameters.set(parameters);
    this.firstMoment.set(firstMoment);
    this.secondMoment.set(secondMoment);
    for (const [index, row] of this.bias.entries()) row.set(bias.subarray(index * experts, (index + 1) * experts));
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

  private newLayer(): StepLayer {
    const { experts, topK, context } = this.config.model;
    const { microBatches, ranks, sequences } = this.config.training;
    const slots = microBatches * ranks * sequences * context * topK;
    return {
      experts: new Int32Array(slots),
      weights: new Float32Array(slots),
      stepLoad: newStepLoad(experts),
      balanceLoss: 0,
    };
  }

  private routed({ experts, weights, balanceLoss }: StepLayer, layer: number): RoutedLayer {
    const slots = this.config.model.topK;
    return { layer, assignment: { tokens: experts.length / slots, slots, experts, weights }, balanceLoss };
  }

  /** Adds the gradient of one micro-batch and what its layers did. @returns its mean cross-entropy */
  private addMicroBatch(tokens: Uint8Array, index: number, layers: readonly StepLayer[]): number {
    let crossEntropy = 0;
    const { grads } = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
      const pass = forward(this.lookUp(tensors), tokens, this.bias, this.config);
      crossEntropy = mean(pass.losses.dataSync()); // in doubles: singles would lose the digits that engines are compared by
      this.noteNonFinite(pass, crossEntropy);
      return tf.add(tf.mean(pass.losses), this.balance(pass, index, layers));
    })(this.upload());
    const { microBatches } = this.config.training;
    grads.forEach((gradient, p) => {
      const { name, offset } = this.layout[p]!;
      const values = gradient.dataSync();
      if (!values.every(Number.isFinite)) this.badPlace ??= `gradient of ${name}`;
      for (let i = 0; i < values.length; i++) {
        this.stepGradient[offset + i] = this.stepGradient[offset + i]! + values[i]! / microBatches;
      }
    });
    return crossEntropy;
  }

  /** The balancing losses of all layers, a scalar; notes what each layer did. */
  private balance({ routed }: Forward, microBatch: number, layers: readonly StepLayer[]): tf.Tensor {
    const { model, router, balance, training } = this.config;
    let total: tf.Tensor = tf.scalar(0);
    routed.forEach(({ scores, assignment, weights }, index) => {
      const layer = layers[index]!;
      const { experts, slots } = assignment;
      const from = microBatch * experts.length;
      const allWeights = weights.dataSync();
      layer.experts.set(experts, from);
      experts.forEach((expert, j) => {
        const filled = expert !== NO_EXPERT;
        layer.weights[from + j] = filled ? allWeights[Math.floor(j / slots) * model.experts + expert]! : 0;
      });
      const input = { settings: balance, shape: model, ranks: training.ranks, stepLoad: layer.stepLoad };
      const loss = balancingLossOf(input, scores, assignment, router);
      layer.balanceLoss += loss.dataSync()[0]! / training.microBatches;
      total = tf.add(total, loss);
    });
    return total;
  }

  private noteNonFinite({ stream }: Forward, loss: number): void {
    const found = stream.find(([, value]) => !value.dataSync().every(Number.isFinite));
    this.badPlace ??= found?.[0] ?? (Number.isFinite(loss) ? undefined : "loss");
  }
}
