/**
 * The routing pass of a layer by a wasm kernel, for the routers, gates and losses that it knows: top-k and MoGE with
 * softmax or sigmoid scores. It is a twin of routing/, to the bit (assembly/router.ts); all others go through
 * engine/layer-router.ts.
 */
import { type Balance, neededStatistics } from "../../balance/balance.ts";
import { settingsOfLayer } from "../../balance/rules.ts";
import { statisticNamed } from "../../balance/statistics.ts";
import { noiseOf } from "../../config/router-settings.ts";
import type { RunConfig } from "../../config/schema.ts";
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type Rows, rowAddress, type Thread } from "./thread.ts";

export interface RouterKernelPlan {
  /** Gate of assembly/router.ts */
  readonly gate: Address;
  /** [S, N] float64: gradient of the balancing losses by the sums of probabilities; absent: there is none */
  readonly bySums: Address | undefined;
}

const GATE_BYTES = 36;

/** @param layer among the MoE layers @returns undefined if the kernel does not know what the layer does */
export function planRouterKernel(arena: Arena, config: RunConfig, layer: number): RouterKernelPlan | undefined {
  const { router, training, model, balance } = config;
  const known =
    (router.selection === "topk" || router.selection === "moge") &&
    (router.scoreFunction === "softmax" || router.scoreFunction === "sigmoid") &&
    (router.normalisation === "none" || router.normalisation === "chosen") &&
    router.expertScale === "none" &&
    router.capacity === undefined &&
    noiseOf(config) === undefined;
  if (!known) return undefined;
  const differentiated = neededStatistics(settingsOfLayer(balance, layer)).filter(
    (name) => statisticNamed(name).addGradient !== undefined,
  );
  if (differentiated.some((name) => name !== "probability")) return undefined;
  const sequences = training.ranks * training.sequences;
  return {
    gate: arena.bytes(GATE_BYTES),
    bySums: differentiated.length === 0 ? undefined : arena.doubles(sequences * model.experts),
  };
}

/** Where the arrays of `assembly/router.ts` lie. */
export interface RouterKernelArrays {
  /** [T, N] each */
  readonly logits: Address;
  readonly scores: Address;
  readonly dLogits: Address;
  /** [N] float64 */
  readonly bias: Address;
  /** [T, K] */
  readonly dWeights: Address;
}

export class RouterKernel {
  private readonly thread: Thread;
  private readonly plan: RouterKernelPlan;
  private readonly arrays: RouterKernelArrays;
  private readonly bias: Float64Array;

  constructor(thread: Thread, plan: RouterKernelPlan, arrays: RouterKernelArrays, { router, model }: RunConfig) {
    const { buffer } = thread;
    this.thread = thread;
    this.plan = plan;
    this.arrays = arrays;
    this.bias = new Float64Array(buffer, arrays.bias, model.experts);
    const isSoftmax = router.scoreFunction === "softmax";
    // Every thread writes the same.
    new Float64Array(buffer, plan.gate, 2).set([isSoftmax ? 0 : router.epsilon, router.scale]);
    const groups = router.selection === "moge" ? model.groups : 1;
    const flags = [isSoftmax ? 0 : 1, router.normalisation === "chosen" ? 1 : 0];
    new Int32Array(buffer, plan.gate + 16, 5).set([model.experts, model.topK, groups, ...flags]);
  }

  /** Logits → scores, experts and weights of some tokens. @param experts,weights [T, K] of the micro-batch's place */
  forward(tokens: Rows, experts: Address, weights: Address): void {
    const { thread, plan, arrays } = this;
    const { kernels, scratch, sizes } = thread;
    kernels.routeForward(
      plan.gate,
      rowAddress(arrays.logits, tokens.first, sizes.experts),
      this.bias.some((shift) => shift !== 0) ? arrays.bias : 0,
      rowAddress(arrays.scores, tokens.first, sizes.experts),
      rowAddress(experts, tokens.first, sizes.slots),
      rowAddress(weights, tokens.first, sizes.slots),
      tokens.last - tokens.first,
      scratch,
    );
  }

  /** From the gradient by the weights of some sequences to that by their logits. @param experts as `forward` wrote them */
  backward(sequences: Rows, experts: Address, { gradients }: Balance): void {
    const { thread, plan, arrays } = this;
    const { kernels, scratch, buffer, sizes } = thread;
    const { context, experts: width, slots } = sizes;
    for (let sequence = sequences.first; sequence < sequences.last; sequence++) {
      const row = plan.bySums === undefined ? 0 : plan.bySums + 8 * sequence * width;
      if (row !== 0) {
        const values = gradients.probability.subarray(sequence * width, (sequence + 1) * width);
        new Float64Array(buffer, row, width).set(values);
      }
      const first = sequence * context;
      kernels.routeBackward(
        plan.gate,
        rowAddress(arrays.scores, first, width),
        rowAddress(experts, first, slots),
        row,
        rowAddress(arrays.dWeights, first, slots),
        rowAddress(arrays.dLogits, first, width),
        context,
        scratch,
      );
    }
  }
}
