/**
 * The program that every thread runs: the model's forward and backward pass and the optimizer step, layer by layer
 * on flat arrays, each thread on its part. No tape, and no array of the model's size made during a step.
 */
import { finishStep } from "../../balance/balance.ts";
import type { RunConfig } from "../../config/schema.ts";
import { drawParameter } from "../parameters.ts";
import { attentionBackward, attentionForward } from "./attention.ts";
import type { Crew } from "./crew.ts";
import { embeddingForward, shareOfEmbeddingGradient, tokensOf } from "./embedding.ts";
import { FeedForward } from "./feed-forward.ts";
import { headBackward, headForward } from "./head.ts";
import type { Address, Kernels } from "./kernels.ts";
import { gainGradient } from "./norm.ts";
import { clearShareOfGradient, gradientNorm, shareOfAdamw } from "./optimizer.ts";
import type { ModelPlan } from "./plan.ts";
import { type Laps, noLaps } from "./profile.ts";
import type { Pass } from "./sizes.ts";
import type { Thread } from "./thread.ts";

export class Program {
  readonly plan: ModelPlan;
  /** One a layer. */
  readonly feedForwards: readonly FeedForward[];
  private readonly config: RunConfig;
  private readonly thread: Thread;

  constructor(
    config: RunConfig,
    plan: ModelPlan,
    buffer: ArrayBufferLike,
    kernels: Kernels,
    crew: Crew,
    laps: Laps = noLaps,
  ) {
    this.config = config;
    this.plan = plan;
    const { sizes, scratch, feedForwardGradients } = plan;
    const thread: Thread = {
      kernels,
      crew,
      buffer,
      floats: new Float32Array(buffer),
      doubles: new Float64Array(buffer),
      sizes,
      scratch: scratch[crew.index]!,
      laps,
    };
    this.thread = thread;
    this.feedForwards = plan.layers.map(
      (layer, l) => new FeedForward(thread, layer.feedForward, feedForwardGradients, config, l, plan.embedding),
    );
  }

  /** Draws the starting values of the parameters, each a task, the largest first. */
  draw(): void {
    const { thread, plan, config } = this;
    const { crew, buffer } = thread;
    const { layout, values, count } = plan.parameters;
    const flat = new Float32Array(buffer, values, count);
    const largestFirst = layout.toSorted((a, b) => b.size - a.size);
    for (let task = crew.nextTask(); task < largestFirst.length; task = crew.nextTask()) {
      drawParameter(flat, largestFirst[task]!, config.seed);
    }
    crew.barrier();
  }

  /**
   * One optimizer step on the tokens in the memory.
   * @param step counts from 1
   * @returns the norm of the gradient
   */
  train(learningRate: number, step: number): number {
    const { thread, plan, feedForwards } = this;
    const { crew, sizes, laps } = thread;
    const { parameters, optimizer } = plan;
    clearShareOfGradient(thread, parameters);
    for (const { router } of feedForwards) router?.startStep();
    crew.barrier();
    laps.enter("backward");
    laps.lap("clearing gradients");
    for (let place = 0; place < sizes.microBatches; place++) {
      const pass = { place, sequences: sizes.sequences, training: true, step };
      this.forward(pass);
      this.backward(pass);
    }
    const norm = gradientNorm(thread, optimizer, parameters);
    shareOfAdamw(thread, parameters, this.config.training, learningRate, step, norm);
    if (crew.index === 0) this.finishStep(step);
    crew.barrier();
    laps.lap("optimizer");
    return norm;
  }

  /** Losses of as many sequences as are in the memory's place for evaluation. */
  evaluate(sequences: number): void {
    this.forward({ place: this.plan.sizes.microBatches, sequences, training: false, step: 0 });
    this.thread.crew.barrier();
  }

  /** Moves what balancing carries from step to step; for one thread. */
  private finishStep(step: number): void {
    const { training } = this.config;
    const layers = this.feedForwards.flatMap(({ router }) => (router ? [router.finished()] : []));
    finishStep(layers, step / training.steps, training.microBatches);
  }

  private forward(pass: Pass): void {
    const { thread, plan } = this;
    const { laps } = thread;
    laps.enter("forward");
    embeddingForward(thread, plan.embedding, pass);
    laps.lap("embedding");
    let x = plan.embedding.output;
    for (const [l, { attention, feedForward }] of plan.layers.entries()) {
      laps.enter("forward", l);
      attentionForward(thread, attention, x, pass);
      this.feedForwards[l]!.forward(attention.output, pass);
      x = feedForward.output;
    }
    laps.enter("forward");
    headForward(thread, plan.head, x, this.targets(pass), pass);
    laps.lap("head");
  }

  private backward(pass: Pass): void {
    const { thread, plan } = this;
    const { dLayer, dMiddle, layers, sizes } = plan;
    const input = (l: number) => (l === 0 ? plan.embedding.output : layers[l - 1]!.feedForward.output);
    const scale = 1 / (sizes.tokens * sizes.microBatches);
    const { laps } = thread;
    laps.enter("backward");
    headBackward(thread, plan.head, input(sizes.layers), this.targets(pass), dLayer, scale, pass);
    laps.lap("head");
    for (let l = sizes.layers - 1; l >= 0; l--) {
      laps.enter("backward", l);
      const { attention } = layers[l]!;
      this.feedForwards[l]!.backward(attention.output, dLayer, dMiddle, pass);
      attentionBackward(thread, attention, plan.attentionGradients, input(l), dMiddle, dLayer, pass);
    }
    laps.enter("backward");
    shareOfEmbeddingGradient(thread, plan.embedding, dLayer, pass);
    if (thread.crew.index === 0) this.gainGradients(pass);
    thread.crew.barrier();
    laps.lap("embedding");
  }

  private gainGradients(pass: Pass): void {
    const { thread, plan } = this;
    for (const { attention, feedForward } of plan.layers) {
      gainGradient(thread, attention.norm, pass);
      gainGradient(thread, feedForward.norm, pass);
    }
    gainGradient(thread, plan.head.norm, pass);
  }

  /** The bytes to predict: those of the sequence, one further. */
  private targets(pass: Pass): (sequence: number) => Address {
    return (sequence) => tokensOf(this.plan.embedding, this.plan.sizes, pass, sequence) + 1;
  }
}
