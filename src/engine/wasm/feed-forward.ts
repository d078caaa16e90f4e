/**
 * The feed-forward block: output = x + feedForward(norm(x)), where feedForward is a MoE layer (routed experts,
 * weighed, plus shared ones) or its dense twin; and its backward pass.
 *
 * After the last barrier of a pass through a block a thread touches only its own rows, so the next block may
 * start at once and reuse the buffers.
 */
import type { RunConfig } from "../../config/schema.ts";
import type { Arena } from "./arena.ts";
import type { Embedding } from "./embedding.ts";
import { Experts, type ExpertsPlan, planExperts } from "./experts.ts";
import type { Address } from "./kernels.ts";
import { type Norm, normBackward, normForward, planNorm } from "./norm.ts";
import type { ParameterPlan } from "./parameters.ts";
import { RouterPass } from "./router.ts";
import { planRouter, type RouterGradients, type RouterPlan } from "./router-plan.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { planSwiglu, type Swiglu, shareOfSwigluGradient, swigluBackward, swigluForward } from "./swiglu.ts";
import { clearRows, copyRows, ownTokens, type Thread } from "./thread.ts";

export interface FeedForwardPlan {
  readonly norm: Norm;
  /** The shared experts or the dense twin, if there is any. */
  readonly common: Swiglu | undefined;
  /** Absent in a dense model. */
  readonly routed: { readonly router: RouterPlan; readonly experts: ExpertsPlan } | undefined;
  /** [T, H] */
  readonly output: Address;
}

/** Gradients on the way back; the layers use them one after another. */
export interface FeedForwardGradients extends RouterGradients {
  /** [T, H] by the norm's output */
  readonly dHidden: Address;
}

export function planFeedForward(
  arena: Arena,
  sizes: Sizes,
  parameters: ParameterPlan,
  config: RunConfig,
  layer: number,
): FeedForwardPlan {
  const name = `layers.${layer}`;
  const dense = config.model.feedForward === "dense";
  return {
    norm: planNorm(arena, sizes, parameters, `${name}.feedForward.norm`),
    common:
      sizes.commonHiddenSize === 0
        ? undefined
        : planSwiglu(arena, sizes, parameters, `${name}.${dense ? "dense" : "shared"}`),
    routed: dense
      ? undefined
      : {
          router: planRouter(arena, sizes, parameters, config, layer),
          experts: planExperts(arena, sizes, parameters, layer),
        },
    output: arena.words(sizes.tokens * sizes.hiddenSize),
  };
}

export class FeedForward {
  /** Absent in a dense model. */
  readonly router: RouterPass | undefined;
  private readonly experts: Experts | undefined;
  private readonly thread: Thread;
  private readonly plan: FeedForwardPlan;
  private readonly gradients: FeedForwardGradients;

  /** @param layer among the MoE layers @param embedding where the tokens lie */
  constructor(
    thread: Thread,
    plan: FeedForwardPlan,
    gradients: FeedForwardGradients,
    config: RunConfig,
    layer: number,
    embedding: Embedding,
  ) {
    this.thread = thread;
    this.plan = plan;
    this.gradients = gradients;
    this.router = plan.routed && new RouterPass(thread, plan.routed.router, gradients, config, layer, embedding);
    this.experts = plan.routed && new Experts(thread, plan.routed.experts);
  }

  /** @param x [T, H] */
  forward(x: Address, pass: Pass): void {
    const { thread, plan, router, experts } = this;
    const { crew, sizes, laps } = thread;
    const { norm, common, output } = plan;
    const rows = ownTokens(thread, pass);
    normForward(thread, norm, x, pass);
    copyRows(thread, x, output, rows, sizes.hiddenSize);
    laps.lap("norms");
    if (common) swigluForward(thread, common, norm.output, output, rows);
    if (common) laps.lap(this.commonName);
    if (!router || !experts) return;
    router.forward(norm.output, pass);
    crew.barrier();
    if (pass.training) router.balance(pass);
    laps.lap("router");
    experts.dispatch(norm.output, router.assignment(pass), router.load, pass);
    crew.barrier();
    laps.lap("dispatch and combine");
    experts.compute();
    crew.barrier();
    laps.lap("experts");
    experts.combine(router.weights(pass), output, pass);
    laps.lap("dispatch and combine");
  }

  /** @param x,dOutput,dx [T, H] */
  backward(x: Address, dOutput: Address, dx: Address, pass: Pass): void {
    const { thread, plan, router, experts, gradients } = this;
    const { crew, sizes, laps } = thread;
    const { norm, common } = plan;
    const { dHidden, dWeights } = gradients;
    const rows = ownTokens(thread, pass);
    if (common) swigluBackward(thread, common, dOutput, dHidden, rows);
    else clearRows(thread, dHidden, rows, sizes.hiddenSize);
    if (common) laps.lap(this.commonName);
    if (router && experts) {
      experts.combineBackward(router.weights(pass), dWeights, dOutput, pass);
      laps.lap("dispatch and combine");
      router.backward(dHidden, pass);
      laps.lap("router");
      crew.barrier();
      experts.computeBackward();
      laps.lap("experts");
      router.shareOfGradient(norm.output, pass);
      laps.lap("router");
    } else {
      crew.barrier();
    }
    if (common) shareOfSwigluGradient(thread, common, norm.output, dOutput, pass);
    if (common) laps.lap(this.commonName);
    crew.barrier();
    experts?.dispatchBackward(dHidden, pass);
    laps.lap("dispatch and combine");
    normBackward(thread, norm, x, dHidden, dOutput, dx, pass);
    laps.lap("norms");
  }

  private get commonName(): string {
    return this.router ? "shared experts" : "dense feed-forward";
  }
}
