/**
 * The router of one MoE layer on one thread: logits → choice and weights for the thread's own tokens, balancing
 * losses, and the way back. The rules are those of routing/ and balance/, run on views of the wasm memory.
 */
import {
  addProbabilityGradient,
  balancingLoss,
  type StepLoad,
  sumSequence,
  updateBias,
} from "../../balance/balance.ts";
import type { RunConfig } from "../../config/schema.ts";
import { type Routing, route, routeBackward } from "../../routing/route.ts";
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type Linear, linearBackward, linearForward, shareOfWeightGradient } from "./linear.ts";
import { type ParameterPlan, weightsNamed } from "./parameters.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { ownSequences, ownTokens, type Thread } from "./thread.ts";

export interface RouterPlan {
  readonly linear: Linear;
  /** [T, N] */
  readonly logits: Address;
  /** [T, N] */
  readonly scores: Address;
  /** [slots, T, K] int32 */
  readonly chosen: Address;
  /** [slots, T, K] */
  readonly weights: Address;
  /** [sequences, N] float64 */
  readonly sequenceLoad: Address;
  /** [sequences, N] float64 */
  readonly sequenceProbability: Address;
  /** [N] float64 */
  readonly bias: Address;
}

/** Gradients on the way back; the layers use them one after another. */
export interface RouterGradients {
  /** [T, K] */
  readonly dWeights: Address;
  /** [T, N] */
  readonly dLogits: Address;
}

export function planRouter(arena: Arena, sizes: Sizes, parameters: ParameterPlan, layer: number): RouterPlan {
  const { tokens, sequences, experts, topK, hiddenSize, microBatches } = sizes;
  const slots = microBatches + 1;
  return {
    linear: { ...weightsNamed(parameters, `layers.${layer}.router`), inputs: hiddenSize, outputs: experts },
    logits: arena.words(tokens * experts),
    scores: arena.words(tokens * experts),
    chosen: arena.words(slots * tokens * topK),
    weights: arena.words(slots * tokens * topK),
    sequenceLoad: arena.doubles(sequences * experts),
    sequenceProbability: arena.doubles(sequences * experts),
    bias: arena.doubles(experts),
  };
}

export function planRouterGradients(arena: Arena, { tokens, experts, topK }: Sizes): RouterGradients {
  return { dWeights: arena.words(tokens * topK), dLogits: arena.words(tokens * experts) };
}

export class Router {
  /** [sequences, N] */
  readonly sequenceLoad: Float64Array;
  private readonly thread: Thread;
  private readonly plan: RouterPlan;
  private readonly gradients: RouterGradients;
  private readonly config: RunConfig;
  private readonly logits: Float32Array;
  private readonly bias: Float64Array;
  /** One for each slot. */
  private readonly routings: readonly Routing[];
  private readonly sequenceProbability: Float64Array;
  private readonly dWeights: Float32Array;
  private readonly dLogits: Float32Array;
  private readonly stepLoad: StepLoad;
  /** [ranks, N] what the balancing losses ask of the probabilities of each rank's tokens */
  private readonly dProbability: Float64Array;
  private lossSum = 0;

  constructor(thread: Thread, plan: RouterPlan, gradients: RouterGradients, config: RunConfig) {
    const { buffer, sizes } = thread;
    const { tokens, experts, topK, sequences, ranks, microBatches } = sizes;
    this.thread = thread;
    this.plan = plan;
    this.gradients = gradients;
    this.config = config;
    this.logits = new Float32Array(buffer, plan.logits, tokens * experts);
    this.bias = new Float64Array(buffer, plan.bias, experts);
    const scores = new Float32Array(buffer, plan.scores, tokens * experts);
    this.routings = Array.from({ length: microBatches + 1 }, (_, slot) => ({
      scores,
      chosen: new Int32Array(buffer, plan.chosen + 4 * slot * tokens * topK, tokens * topK),
      weights: new Float32Array(buffer, plan.weights + 4 * slot * tokens * topK, tokens * topK),
    }));
    this.sequenceLoad = new Float64Array(buffer, plan.sequenceLoad, sequences * experts);
    this.sequenceProbability = new Float64Array(buffer, plan.sequenceProbability, sequences * experts);
    this.dWeights = new Float32Array(buffer, gradients.dWeights, tokens * topK);
    this.dLogits = new Float32Array(buffer, gradients.dLogits, tokens * experts);
    this.stepLoad = { load: new Float64Array(experts), tokens: 0 };
    this.dProbability = new Float64Array(ranks * experts);
  }

  /** Mean over the micro-batches of the step. */
  get balanceLoss(): number {
    return this.lossSum / this.thread.sizes.microBatches;
  }

  /** [T, K] choice and weights of a pass */
  routing(pass: Pass): Routing {
    return this.routings[pass.slot]!;
  }

  startStep(): void {
    this.stepLoad.load.fill(0);
    this.stepLoad.tokens = 0;
    this.lossSum = 0;
  }

  /** Routes this thread's tokens and counts its sequences. @param x [T, H] */
  forward(x: Address, pass: Pass): void {
    const { thread, plan, logits, bias, sequenceLoad, sequenceProbability } = this;
    const { sizes } = thread;
    const tokens = ownTokens(thread, pass);
    const routing = this.routing(pass);
    linearForward(thread, plan.linear, x, plan.logits, tokens);
    route(logits, bias, tokens.first, tokens.last, sizes, this.config.router, routing);
    const { scoreFunction } = this.config.router;
    const { scores, chosen } = routing;
    const { first, last } = ownSequences(thread, pass);
    for (let sequence = first; sequence < last; sequence++) {
      sumSequence(scores, chosen, sequence, sizes.context, sizes, scoreFunction, sequenceLoad, sequenceProbability);
    }
  }

  /** The balancing losses of a micro-batch. Everyone's sequences must be counted; every thread does the same sum. */
  balance(): void {
    const { sequenceLoad, sequenceProbability, stepLoad, dProbability, config } = this;
    const { sizes } = this.thread;
    const { context, ranks, microBatches } = sizes;
    this.lossSum += balancingLoss(
      config.balance,
      sequenceLoad,
      sequenceProbability,
      context,
      ranks,
      sizes,
      stepLoad,
      dProbability,
    );
    for (let i = 0; i < dProbability.length; i++) dProbability[i] = dProbability[i]! / microBatches;
  }

  /** From the gradient by this thread's gate weights (in the router gradients) to dx += … @param dx [T, H] */
  backward(dx: Address, pass: Pass): void {
    const { thread, plan, gradients, logits, dWeights, dLogits, dProbability } = this;
    const { sizes } = thread;
    const rule = this.config.router;
    const tokens = ownTokens(thread, pass);
    const routing = this.routing(pass);
    const rankTokens = sizes.tokens / sizes.ranks;
    const addBalance = (token: number, scoreGradient: Float64Array) => {
      const row = Math.floor(token / rankTokens) * sizes.experts;
      addProbabilityGradient(
        routing.scores,
        token * sizes.experts,
        dProbability,
        row,
        rule.scoreFunction,
        scoreGradient,
      );
    };
    routeBackward(logits, routing, dWeights, tokens.first, tokens.last, sizes, rule, addBalance, dLogits);
    linearBackward(thread, plan.linear, gradients.dLogits, dx, tokens, 1);
  }

  /** This thread's part of the weights' gradient, after `backward` of all threads. @param x [T, H] */
  shareOfGradient(x: Address, pass: Pass): void {
    const tokens = pass.sequences * this.thread.sizes.context;
    shareOfWeightGradient(this.thread, this.plan.linear, x, this.gradients.dLogits, tokens);
  }

  /** Moves the selection bias by the load of the step; for one thread. */
  updateBias(): void {
    updateBias(this.config.balance, this.bias, this.stepLoad.load);
  }
}
