/**
 * The router of one MoE layer on one thread: its projections and their gradients around the routing pass that all
 * engines share (engine/layer-router.ts), on views of the wasm memory, or around the kernel that is its twin for the
 * routers that are trained most (router-kernel.ts). A router that looks at a whole batch is run by one thread a batch,
 * while the others wait.
 */
import type { FinishedLayer } from "../../balance/balance.ts";
import type { Sums } from "../../balance/rule.ts";
import { statisticNamed } from "../../balance/statistics.ts";
import { balanceShape } from "../../config/router-settings.ts";
import type { RunConfig } from "../../config/schema.ts";
import type { Floats } from "../../core/floats.ts";
import type { Assignment } from "../../routing/assignment.ts";
import { LayerRouter, type RoutedPass, type RoutedPlace } from "../layer-router.ts";
import { type Embedding, tokensOf } from "./embedding.ts";
import type { Address } from "./kernels.ts";
import { linearBackward, linearForward, shareOfWeightGradient } from "./linear.ts";
import { RouterKernel } from "./router-kernel.ts";
import type { RouterGradients, RouterPlan } from "./router-plan.ts";
import type { Pass } from "./sizes.ts";
import { ownSequences, ownTokens, rowAddress, type Thread } from "./thread.ts";

export class RouterPass {
  private readonly thread: Thread;
  private readonly plan: RouterPlan;
  private readonly gradients: RouterGradients;
  private readonly embedding: Embedding;
  private readonly router: LayerRouter;
  private readonly kernel: RouterKernel | undefined;

  /** @param layer among the MoE layers @param embedding where the tokens lie */
  constructor(
    thread: Thread,
    plan: RouterPlan,
    gradients: RouterGradients,
    config: RunConfig,
    layer: number,
    embedding: Embedding,
  ) {
    this.thread = thread;
    this.plan = plan;
    this.gradients = gradients;
    this.embedding = embedding;
    const { buffer, sizes } = thread;
    const { tokens, experts, slots, sequences, microBatches } = sizes;
    const floats = (address: Address, count: number) => new Float32Array(buffer, address, count);
    const doubles = (address: Address, count: number) => new Float64Array(buffer, address, count);
    const matrix = (address: Address) => floats(address, tokens * experts);
    const { noise, expertScale } = plan;
    const shape = balanceShape(config);
    this.router = new LayerRouter(config, layer, {
      logits: matrix(plan.logits),
      noise: noise && {
        raw: noise.learned && matrix(noise.learned.raw),
        noisy: matrix(noise.noisy),
        draws: matrix(noise.draws),
      },
      scores: matrix(plan.scores),
      places: Array.from({ length: microBatches + 1 }, (_, place) =>
        placeOf(buffer, plan, place * tokens, tokens, slots),
      ),
      sums: Object.fromEntries(
        Object.entries(plan.sums).map(([name, address]) => [
          name,
          doubles(address, sequences * statisticNamed(name as keyof Sums).width(shape)),
        ]),
      ) as unknown as Sums,
      load: doubles(plan.load, sequences * experts),
      bias: doubles(plan.bias, experts),
      state: doubles(plan.state, config.balance.length),
      expertScale: expertScale && floats(expertScale.values, experts),
      gradients: {
        weights: floats(gradients.dWeights, tokens * slots),
        logits: matrix(gradients.dLogits),
        raw: gradients.dRaw === undefined ? undefined : matrix(gradients.dRaw),
        expertScale: expertScale && doubles(expertScale.ofSequences, sequences * experts),
      },
    });
    this.kernel = plan.kernel && new RouterKernel(thread, plan.kernel, { ...plan, ...gradients }, config);
  }

  get balanceLoss(): number {
    return this.router.balanceLoss;
  }

  /** [S, N] assignments that are left after dropping */
  get load(): Floats {
    return this.router.memory.load;
  }

  /** [T, slots] gate weights of a micro-batch */
  weights(pass: Pass): Address {
    return this.ofPlace(this.plan.weights, pass);
  }

  assignment({ place }: Pass): Assignment {
    return this.router.memory.places[place]!.assignment;
  }

  finished(): FinishedLayer {
    return { balance: this.router.balance, bias: this.router.memory.bias };
  }

  startStep(): void {
    this.router.startStep();
  }

  /** Routes and counts this thread's tokens. @param x [T, H] */
  forward(x: Address, pass: Pass): void {
    const { thread, plan, router, kernel } = this;
    const { crew } = thread;
    const sequences = ownSequences(thread, pass);
    const tokens = ownTokens(thread, pass);
    const routed = this.routedPass(pass);
    linearForward(thread, plan.linear, x, plan.logits, tokens);
    const learned = plan.noise?.learned;
    if (learned) linearForward(thread, learned.linear, x, learned.raw, tokens);
    if (kernel) {
      kernel.forward(tokens, this.ofPlace(plan.experts, pass), this.weights(pass));
    } else if (router.isTokenwise) {
      router.route(routed, sequences);
    } else {
      crew.barrier();
      for (const [i, batch] of router.batches(routed).entries())
        if (i % crew.size === crew.index) router.route(routed, batch);
      crew.barrier();
    }
    router.count(routed, sequences);
  }

  /** The balancing losses of a micro-batch. Everyone's sequences must be counted; every thread does the same sum. */
  balance(pass: Pass): void {
    this.router.balanceForward();
    if (this.thread.crew.index === 0) this.router.observe(this.routedPass(pass));
  }

  /** From the gradient by this thread's gate weights (in the router gradients) to dx += … @param dx [T, H] */
  backward(dx: Address, pass: Pass): void {
    const { thread, plan, gradients, router, kernel } = this;
    const tokens = ownTokens(thread, pass);
    const sequences = ownSequences(thread, pass);
    if (kernel) kernel.backward(sequences, this.ofPlace(plan.experts, pass), router.balance);
    else router.backward(this.routedPass(pass), sequences);
    linearBackward(thread, plan.linear, gradients.dLogits, dx, tokens, 1);
    const learned = plan.noise?.learned;
    if (learned) linearBackward(thread, learned.linear, gradients.dRaw!, dx, tokens, 1);
  }

  /** This thread's part of the weights' gradient, after `backward` of all threads. @param x [T, H] */
  shareOfGradient(x: Address, pass: Pass): void {
    const { thread, plan, gradients } = this;
    const tokens = pass.sequences * thread.sizes.context;
    shareOfWeightGradient(thread, plan.linear, x, gradients.dLogits, tokens);
    const learned = plan.noise?.learned;
    if (learned) shareOfWeightGradient(thread, learned.linear, x, gradients.dRaw!, tokens);
    if (plan.expertScale && thread.crew.index === 0) this.addScaleGradient(plan.expertScale.gradient);
  }

  /** Adds up what the sequences found, in their order. */
  private addScaleGradient(gradient: Address): void {
    const { buffer, sizes } = this.thread;
    const total = new Float32Array(buffer, gradient, sizes.experts);
    const ofSequences = this.router.memory.gradients.expertScale!;
    for (let expert = 0; expert < sizes.experts; expert++) {
      let sum = 0;
      for (let at = expert; at < ofSequences.length; at += sizes.experts) sum += ofSequences[at]!;
      total[expert] = total[expert]! + sum;
    }
  }

  /** Of [places, T, slots] the [T, slots] of a micro-batch. */
  private ofPlace(matrix: Address, { place }: Pass): Address {
    const { tokens, slots } = this.thread.sizes;
    return rowAddress(matrix, place * tokens, slots);
  }

  private routedPass(pass: Pass): RoutedPass {
    const { sizes, buffer } = this.thread;
    const tokens = tokensOf(this.embedding, sizes, pass, 0);
    const domains = this.embedding.domains + 4 * pass.place * sizes.sequences;
    return {
      ...pass,
      tokens: new Uint8Array(buffer, tokens, pass.sequences * (sizes.context + 1)),
      domains: new Int32Array(buffer, domains, pass.sequences),
    };
  }
}

/** @param first token of the place in the arrays that hold all places */
function placeOf(buffer: ArrayBufferLike, plan: RouterPlan, first: number, tokens: number, slots: number): RoutedPlace {
  const ids = (address: Address) => new Int32Array(buffer, address + 4 * first * slots, tokens * slots);
  const experts = ids(plan.experts);
  const weights = new Float32Array(buffer, plan.weights + 4 * first * slots, tokens * slots);
  const refused = plan.refused === undefined ? undefined : ids(plan.refused);
  const assignment = { tokens, slots, experts, refused, weights };
  return { assignment, chosen: plan.chosen === plan.experts ? experts : ids(plan.chosen) };
}
