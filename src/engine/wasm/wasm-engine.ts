/**
 * The wasm engine as its users see it, on the thread that opened it. It puts tokens into the shared memory, wakes
 * the crew, runs its own part of the program and reads the results. Files and workers are `host/`'s.
 */

import { initialState } from "../../balance/balance.ts";
import { settingsOfLayer } from "../../balance/rules.ts";
import type { RunConfig } from "../../config/schema.ts";
import { sum } from "../../core/statistics.ts";
import type { Assignment } from "../../routing/assignment.ts";
import { checkEvaluationTokens, checkState, checkTrainingBatch } from "../check.ts";
import type { Engine, EngineState, RoutedLayer, TimedPart, TrainingBatch, TrainingResult } from "../engine.ts";
import { flat, unflatten } from "../flat.ts";
import { commands, Orders } from "./command.ts";
import type { Crew } from "./crew.ts";
import type { Address, Kernels } from "./kernels.ts";
import { firstNonFinite } from "./non-finite.ts";
import type { ModelPlan } from "./plan.ts";
import type { Profile } from "./profile.ts";
import { Program } from "./program.ts";

export class WasmEngine implements Engine {
  readonly description: string;
  readonly profile: (() => readonly TimedPart[]) | undefined;
  private readonly stopwatch: Profile | undefined;
  private readonly config: RunConfig;
  private readonly buffer: ArrayBufferLike;
  private readonly plan: ModelPlan;
  private readonly crew: Crew;
  private readonly program: Program;
  private readonly orders: Orders;
  /** Selection bias of each MoE layer, [N] */
  private readonly biases: readonly Float64Array[];
  /** What the balancing losses of each MoE layer carry, [balancing rules] */
  private readonly balanceStates: readonly Float64Array[];
  private step = 0;
  /** Sequences in the place for evaluation. */
  private evaluated = 0;
  private nonFinite: string | undefined;

  constructor(
    config: RunConfig,
    plan: ModelPlan,
    buffer: ArrayBufferLike,
    kernels: Kernels,
    crew: Crew,
    description: string,
    profile?: Profile,
  ) {
    this.description = description;
    this.stopwatch = profile;
    this.profile = profile && (() => profile.parts());
    this.config = config;
    this.buffer = buffer;
    this.plan = plan;
    this.crew = crew;
    this.program = new Program(config, plan, buffer, kernels, crew, profile);
    this.orders = new Orders(buffer, plan);
    const routers = plan.layers.flatMap(({ feedForward: { routed } }) => (routed ? [routed.router] : []));
    this.biases = routers.map(({ bias }) => new Float64Array(buffer, bias, plan.sizes.experts));
    this.balanceStates = routers.map(({ state }) => new Float64Array(buffer, state, config.balance.length));
    for (const [layer, state] of this.balanceStates.entries()) {
      state.set(initialState(settingsOfLayer(config.balance, layer)));
    }
    this.run(commands.draw, () => this.program.draw());
    for (const bias of this.biases) bias.set(config.router.bias);
  }

  train(batch: TrainingBatch, learningRate: number): TrainingResult {
    const { sizes, head } = this.plan;
    checkTrainingBatch(batch, this.config);
    this.put(0, batch.tokens, batch.domains ?? 0);
    this.step++;
    this.orders.train(learningRate, this.step);
    this.stopwatch?.start();
    const gradientNorm = this.run(commands.train, () => this.program.train(learningRate, this.step));
    this.stopwatch?.stop();
    const losses = new Float64Array(this.buffer, head.losses, sizes.microBatches * sizes.sequences);
    const lossNatsPerByte = sum(losses) / (sizes.microBatches * sizes.tokens);
    const finite = Number.isFinite(lossNatsPerByte) && Number.isFinite(gradientNorm);
    this.nonFinite = finite ? undefined : firstNonFinite(this.buffer, this.plan);
    return { lossNatsPerByte, gradientNorm, layers: this.routedLayers() };
  }

  evaluate(tokens: Uint8Array, domain = 0): Float64Array {
    const { sizes, head } = this.plan;
    const length = sizes.context + 1;
    checkEvaluationTokens(tokens, this.config);
    const result = new Float64Array(tokens.length / length);
    const place = sizes.microBatches;
    const losses = new Float64Array(this.buffer, head.losses).subarray(place * sizes.sequences);
    for (let first = 0; first < result.length; first += sizes.sequences) {
      const count = Math.min(sizes.sequences, result.length - first);
      this.put(place, tokens.subarray(first * length, (first + count) * length), domain);
      this.evaluated = count;
      this.orders.evaluate(count);
      this.run(commands.evaluate, () => this.program.evaluate(count));
      for (let i = 0; i < count; i++) result[first + i] = losses[i]! / sizes.context;
    }
    return result;
  }

  evaluatedRouting(): Assignment[] {
    const { sizes, layers } = this.plan;
    const { slots, microBatches, context } = sizes;
    const tokens = this.evaluated * context;
    const before = 4 * microBatches * sizes.tokens * slots;
    return layers.flatMap(({ feedForward: { routed } }) => {
      if (!routed) return [];
      const experts = new Int32Array(this.buffer, routed.router.experts + before, tokens * slots).slice();
      const weights = new Float32Array(this.buffer, routed.router.weights + before, tokens * slots).slice();
      return [{ tokens, slots, experts, weights }];
    });
  }

  /** Writes sequences and their domains where the crew reads them. @param place first of the places they fill */
  private put(place: number, tokens: Uint8Array, domains: Int32Array | number): void {
    const { sizes, embedding } = this.plan;
    const first = place * sizes.sequences;
    const length = sizes.context + 1;
    new Uint8Array(this.buffer, embedding.tokens + first * length, tokens.length).set(tokens);
    const into = new Int32Array(this.buffer, embedding.domains + 4 * first, tokens.length / length);
    if (typeof domains === "number") into.fill(domains);
    else into.set(domains);
  }

  gradient(): Float32Array {
    return this.floats(this.plan.parameters.gradient).slice();
  }

  firstNonFinite(): string | undefined {
    return this.nonFinite;
  }

  save(): EngineState {
    const { values, firstMoment, secondMoment } = this.plan.parameters;
    return {
      step: this.step,
      parameters: this.floats(values).slice(),
      firstMoment: this.floats(firstMoment).slice(),
      secondMoment: this.floats(secondMoment).slice(),
      bias: flat(this.biases),
      balanceState: flat(this.balanceStates),
    };
  }

  load(state: EngineState): void {
    const { count, values, firstMoment, secondMoment } = this.plan.parameters;
    const { biases, balanceStates } = this;
    checkState(state, {
      parameters: count,
      biases: flat(biases).length,
      balanceStates: flat(balanceStates).length,
    });
    this.step = state.step;
    this.floats(values).set(state.parameters);
    this.floats(firstMoment).set(state.firstMoment);
    this.floats(secondMoment).set(state.secondMoment);
    unflatten(state.bias, biases);
    unflatten(state.balanceState, balanceStates);
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
    const { microBatches, slots } = sizes;
    const tokens = microBatches * sizes.tokens;
    return layers.flatMap(({ feedForward: { routed } }, layer) => {
      if (!routed) return [];
      const ids = (address: Address) => new Int32Array(this.buffer, address, tokens * slots);
      const experts = ids(routed.router.experts);
      const weights = new Float32Array(this.buffer, routed.router.weights, tokens * slots);
      const scores = new Float32Array(this.buffer, routed.router.scores, sizes.tokens * sizes.experts);
      const { balanceLoss } = this.program.feedForwards[layer]!.router!;
      const assignment = { tokens, slots, experts, weights };
      return [{ layer, assignment, chosen: ids(routed.router.chosen), scores, balanceLoss }];
    });
  }
}
