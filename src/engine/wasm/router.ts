/**
 * The router of one MoE layer on one thread: logits → choice and weights for the thread's own tokens, balancing
 * losses, and the way back. The rules are those of routing/ and balance/, run on views of the wasm memory.
 */
import {
  type Balance,
  balanceBackward,
  balanceForward,
  countSequence,
  newStepLoad,
  updateBias,
} from "../../balance/balance.ts";
import type { RunConfig } from "../../config/schema.ts";
import type { Floats } from "../../core/floats.ts";
import type { Assignment } from "../../routing/assignment.ts";
import { type Routing, type RoutingGradients, route, routeBackward } from "../../routing/route.ts";
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
  /** [places, T, K] int32 */
  readonly chosen: Address;
  /** [places, T, K] */
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
  const places = microBatches + 1;
  return {
    linear: { ...weightsNamed(parameters, `layers.${layer}.router`), inputs: hiddenSize, outputs: experts },
    logits: arena.words(tokens * experts),
    scores: arena.words(tokens * experts),
    chosen: arena.words(places * tokens * topK),
    weights: arena.words(places * tokens * topK),
    sequenceLoad: arena.doubles(sequences * experts),
    sequenceProbability: arena.doubles(sequences * experts),
    bias: arena.doubles(experts),
  };
}

export function planRouterGradients(arena: Arena, { tokens, experts, topK }: Sizes): RouterGradients {
  return { dWeights: arena.words(tokens * topK), dLogits: arena.words(tokens * experts) };
}

export class LayerRouter {
  private readonly thread: Thread;
  private readonly plan: RouterPlan;
  private readonly gradients: RouterGradients;
  private readonly bias: Float64Array;
  /** One for each place. */
  private readonly routings: readonly Routing[];
  private readonly routingGradients: RoutingGradients;
  private readonly losses: Balance;
  private lossSum = 0;

  constructor(thread: Thread, plan: RouterPlan, gradients: RouterGradients, { router, balance }: RunConfig) {
    const { buffer, sizes } = thread;
    const { tokens, experts, topK, ranks, sequences, context, microBatches } = sizes;
    const floats = (address: Address, count: number) => new Float32Array(buffer, address, count);
    const doubles = (address: Address, count: number) => new Float64Array(buffer, address, count);
    this.thread = thread;
    this.plan = plan;
    this.gradients = gradients;
    this.bias = doubles(plan.bias, experts);
    const logits = floats(plan.logits, tokens * experts);
    const scores = floats(plan.scores, tokens * experts);
    this.routings = Array.from({ length: microBatches + 1 }, (_, place) => {
      const at = 4 * place * tokens * topK;
      const chosen = new Int32Array(buffer, plan.chosen + at, tokens * topK);
      const weights = floats(plan.weights + at, tokens * topK);
      const assignment = { tokens, slots: topK, experts: chosen, weights };
      return { shape: sizes, settings: router, logits, scores, assignment };
    });
    this.routingGradients = {
      weights: floats(gradients.dWeights, tokens * topK),
      logits: floats(gradients.dLogits, tokens * experts),
    };
    this.losses = {
      settings: balance,
      shape: sizes,
      ranks,
      sequenceLength: context,
      sequenceLoad: doubles(plan.sequenceLoad, sequences * experts),
      sequenceProbability: doubles(plan.sequenceProbability, sequences * experts),
      stepLoad: newStepLoad(experts),
      probabilityGradient: new Float64Array(ranks * experts),
    };
  }

  /** Mean over the micro-batches of the step. */
  get balanceLoss(): number {
    return this.lossSum / this.thread.sizes.microBatches;
  }

  /** [sequences, N] */
  get sequenceLoad(): Floats {
    return this.losses.sequenceLoad;
  }

  assignment(pass: Pass): Assignment {
    return this.routings[pass.place]!.assignment;
  }

  startStep(): void {
    this.losses.stepLoad.load.fill(0);
    this.losses.stepLoad.tokens = 0;
    this.lossSum = 0;
  }

  /** Routes this thread's tokens and counts its sequences. @param x [T, H] */
  forward(x: Address, pass: Pass): void {
    const { thread, plan, bias, losses } = this;
    const tokens = ownTokens(thread, pass);
    const routing = this.routings[pass.place]!;
    linearForward(thread, plan.linear, x, plan.logits, tokens);
    route(routing, bias, tokens);
    const { first, last } = ownSequences(thread, pass);
    for (let sequence = first; sequence < last; sequence++) countSequence(losses, routing, sequence);
  }

  /** The balancing losses of a micro-batch. Everyone's sequences must be counted; every thread does the same sum. */
  balance(): void {
    const { probabilityGradient } = this.losses;
    const { microBatches } = this.thread.sizes;
    this.lossSum += balanceForward(this.losses);
    for (let i = 0; i < probabilityGradient.length; i++) {
      probabilityGradient[i] = probabilityGradient[i]! / microBatches;
    }
  }

  /** From the gradient by this thread's gate weights (in the router gradients) to dx += … @param dx [T, H] */
  backward(dx: Address, pass: Pass): void {
    const { thread, plan, gradients } = this;
    const tokens = ownTokens(thread, pass);
    const routing = this.routings[pass.place]!;
    routeBackward(routing, this.routingGradients, balanceBackward(this.losses, routing), tokens);
    linearBackward(thread, plan.linear, gradients.dLogits, dx, tokens, 1);
  }

  /** This thread's part of the weights' gradient, after `backward` of all threads. @param x [T, H] */
  shareOfGradient(x: Address, pass: Pass): void {
    const tokens = pass.sequences * this.thread.sizes.context;
    shareOfWeightGradient(this.thread, this.plan.linear, x, this.gradients.dLogits, tokens);
  }

  /** Moves the selection bias by the load of the step; for one thread. */
  updateBias(): void {
    updateBias(this.losses.settings, this.bias, this.losses.stepLoad.load);
  }
}
