/**
 * The wasm engine as its users see it, on the thread that opened it. It puts tokens into the shared memory, wakes
 * the crew, runs its own part of the program and reads the results. Files and workers are `host/`'s.
 */
import type { RunConfig } from "../../config/schema.ts";
import { sum } from "../../core/statistics.ts";
import { checkEvaluationTokens, checkState, checkTrainingTokens } from "../check.ts";
import type { Engine, EngineState, RoutedLayer, TrainingBatch, TrainingResult } from "../engine.ts";
import { initialParameters } from "../parameters.ts";
import { commands, Orders } from "./command.ts";
import type { Crew } from "./crew.ts";
import type { Address, Kernels } from "./kernels.ts";
import { firstNonFinite } from "./non-finite.ts";
import type { ModelPlan } from "./plan.ts";
import { Program } from "./program.ts";

export class WasmEngine implements Engine {
  readonly description: string;
  private readonly config: RunConfig;
  private readonly buffer: ArrayBufferLike;
  private readonly plan: ModelPlan;
  private readonly crew: Crew;
  private readonly program: Program;
  private readonly orders: Orders;
  /** Selection bias of each MoE layer, [N] */
  private readonly biases: readonly Float64Array[];
  private step = 0;
  private nonFinite: string | undefined;

  constructor(
    config: RunConfig,
    plan: ModelPlan,
    buffer: ArrayBufferLike,
    kernels: Kernels,
    crew: Crew,
    description: string,
  ) {
    this.description = description;
    this.config = config;
    this.buffer = buffer;
    this.plan = plan;
    this.crew = crew;
    this.program = new Program(config, plan, buffer, kernels, crew);
    this.orders = new Orders(buffer, plan);
    this.biases = plan.layers.flatMap(({ feedForward: { routed } }) =>
      routed ? [new Float64Array(buffer, routed.router.bias, plan.sizes.experts)] : [],
    );
    this.floats(plan.parameters.values).set(initialParameters(plan.parameters.layout, config.seed));
    for (const bias of this.biases) bias.set(config.router.bias);
  }

  train({ tokens }: TrainingBatch, learningRate: number): TrainingResult {
    const { sizes, embedding, head } = this.plan;
    checkTrainingTokens(tokens, this.config);
    new Uint8Array(this.buffer, embedding.tokens, tokens.length).set(tokens);
    this.step++;
    this.orders.train(learningRate, this.step);
    const gradientNorm = this.run(commands.train, () => this.program.train(learningRate, this.step));
    const losses = new Float64Array(this.buffer, head.losses, sizes.microBatches * sizes.sequences);
    const lossNatsPerByte = sum(losses) / (sizes.microBatches * sizes.tokens);
    const finite = Number.isFinite(lossNatsPerByte) && Number.isFinite(gradientNorm);
    this.nonFinite = finite ? undefined : firstNonFinite(this.buffer, this.plan);
    return { lossNatsPerByte, gradientNorm, layers: this.routedLayers() };
  }

  evaluate(tokens: Uint8Array): Float64Array {
    const { sizes, embedding, head } = this.plan;
    const length = sizes.context + 1;
    checkEvaluationTokens(tokens, this.config);
    const result = new Float64Array(tokens.length / length);
    const place = new Uint8Array(this.buffer, embedding.tokens).subarray(sizes.microBatches * sizes.sequences * length);
    const losses = new Float64Array(this.buffer, head.losses).subarray(sizes.microBatches * sizes.sequences);
    for (let first = 0; first < result.length; first += sizes.sequences) {
      const count = Math.min(sizes.sequences, result.length - first);
      place.set(tokens.subarray(first * length, (first + count) * length));
      this.orders.evaluate(count);
      this.run(commands.evaluate, () => this.program.evaluate(count));
      for (let i = 0; i < count; i++) result[first + i] = losses[i]! / sizes.context;
    }
    return result;
  }

  gradient(): Float32Array {
    return this.floats(this.plan.parameters.gradient).slice();
  }

  firstNonFinite(): string | undefined {
    return this.nonFinite;
  }

  save(): EngineState {
    const { values, firstMoment, secondMoment } = this.plan.parameters;
    const { experts } = this.plan.sizes;
    const bias = new Float64Array(this.biases.length * experts);
    for (const [i, ofLayer] of this.biases.entries()) bias.set(ofLayer, i * experts);
    return {
      step: this.step,
      parameters: this.floats(values).slice(),
      firstMoment: this.floats(firstMoment).slice(),
      secondMoment: this.floats(secondMoment).slice(),
      bias,
    };
  }

  load(state: EngineState): void {
    const { count, values, firstMoment, secondMoment } = this.plan.parameters;
    const { experts } = this.plan.sizes;
    checkState(state, { parameters: count, biases: this.biases.length * experts });
    this.step = state.step;
    this.floats(values).set(state.parameters);
    this.floats(firstMoment).set(state.firstMoment);
    this.floats(secondMoment).set(state.secondMoment);
    for (const [i, bias] of this.biases.entries()) bias.set(state.bias.subarray(i * experts, (i + 1) * experts));
  }

  close(): void {
    this.crew.command(commands.close);
  }

  /** Wakes the crew and does this thread's part. If that fails, the others stop as well. */
  private run<T>(command: number, ownPart: () => T): T {
    this.crew.command(command);
    try {
      return ownPart();
    } catch (error) {
      this.crew.fail(error);
      throw error;
    }
  }

  /** One of the four flat arrays of parameters. */
  private floats(address: Address): Float32Array {
    return new Float32Array(this.buffer, address, this.plan.parameters.count);
  }

  private routedLayers(): RoutedLayer[] {
    const { sizes, layers } = this.plan;
    const tokens = sizes.microBatches * sizes.tokens;
    const slots = sizes.topK;
    return layers.flatMap(({ feedForward: { routed } }, layer) => {
      if (!routed) return [];
      const experts = new Int32Array(this.buffer, routed.router.chosen, tokens * slots);
      const weights = new Float32Array(this.buffer, routed.router.weights, tokens * slots);
      const { balanceLoss } = this.program.feedForwards[layer]!.router!;
      return [{ layer, assignment: { tokens, slots, experts, weights }, balanceLoss }];
    });
  }
}
