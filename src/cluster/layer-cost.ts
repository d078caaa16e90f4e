/**
 * Seconds of the parts of a layer that do not depend on routing: attention, dense and shared networks, router, norms,
 * embedding and head; on one device, for one micro-batch.
 *
 * SIMULATED figures. Kernels of one device follow one another; norms, rotary embedding, activation functions and
 * residuals are memory traffic. Backward, a product takes two, elementwise kernels move twice the bytes.
 */
import { type AttentionShape, attentionBackwardSeconds, attentionForwardSeconds } from "./attention.ts";
import { gatherSeconds } from "./gather.ts";
import type { Job, Recomputation } from "./job.ts";
import { type Gemm, gemmSeconds, streamSeconds } from "./kernels.ts";
import type { LayoutSpans } from "./layout.ts";
import { quantisedBytes } from "./quantisation.ts";

/** Seconds of one stretch of work on one device. */
export interface Cost {
  readonly compute: number;
  /** Collectives of tensor and context parallelism, before any overlap. */
  readonly tensor: number;
}

/** A stretch of a layer, forward and backward. */
export interface BlockCost {
  readonly forward: Cost;
  readonly inputGradient: Cost;
  readonly weightGradient: Cost;
  /** All-gathers and reduce-scatters of tensor and context parallelism; an all-reduce is two. */
  readonly gathers: readonly Gathers[];
  /** What the backward pass computes again where not the whole layer is. */
  readonly repeated: Readonly<Record<Exclude<Recomputation, "none" | "full">, Cost>>;
}

/** Collectives of one kind: gathered bytes, and how many there are forward and backward. */
export interface Gathers {
  readonly group: "tensor" | "context";
  readonly bytes: number;
  readonly forward: number;
  readonly backward: number;
}

export const noCost: Cost = { compute: 0, tensor: 0 };

export const addCosts = (a: Cost, b: Cost): Cost => ({ compute: a.compute + b.compute, tensor: a.tensor + b.tensor });

/** What the backward pass repeats of a block short of the whole. */
export const repeatedCost = ({ repeated }: BlockCost, recompute: Recomputation): Cost =>
  recompute === "none" || recompute === "full" ? noCost : repeated[recompute];

/** Blocks that follow one another. */
export const joined = (blocks: readonly BlockCost[]): BlockCost =>
  blocks.reduce((sum, block) => ({
    forward: addCosts(sum.forward, block.forward),
    inputGradient: addCosts(sum.inputGradient, block.inputGradient),
    weightGradient: addCosts(sum.weightGradient, block.weightGradient),
    gathers: [...sum.gathers, ...block.gathers],
    repeated: {
      selective: addCosts(sum.repeated.selective, block.repeated.selective),
      "fine-grained": addCosts(sum.repeated["fine-grained"], block.repeated["fine-grained"]),
    },
  }));

/** Collects the kernels of a block. */
class Block {
  private readonly job: Job;
  private forward = 0;
  private input = 0;
  private weight = 0;
  private forwardTensor = 0;
  private inputTensor = 0;
  private cheap = 0;
  private core = noCost;
  private readonly gathers: Gathers[] = [];
  private readonly spans: LayoutSpans;

  constructor(job: Job, spans: LayoutSpans) {
    this.job = job;
    this.spans = spans;
  }

  /** A product with a weight: forward, and backward for its input and for the weight. @param repeated by fine-grained recomputation */
  product(gemm: Gemm, { format = this.job.products, repeated = false } = {}): void {
    const { bytesPerValue, device } = this.job;
    const { rows, columns, depth } = gemm;
    const cast = (values: number, bytes: number) => (format === "fp8" ? streamSeconds(values * bytes, device) : 0);
    const seconds = (own: Gemm) => gemmSeconds(own, bytesPerValue, device, format);
    const forward = seconds(gemm) + cast(rows * depth, quantisedBytes.input);
    this.forward += forward;
    this.input += seconds({ rows, columns: depth, depth: columns }) + cast(rows * columns, quantisedBytes.gradient);
    this.weight += seconds({ rows: depth, columns, depth: rows }) + cast(rows * depth, quantisedBytes.kept);
    if (repeated) this.cheap += forward;
  }

  /** An elementwise kernel that moves so many values forward. @param repeated by fine-grained recomputation */
  stream(values: number, repeated = false): void {
    const { bytesPerValue, device } = this.job;
    const seconds = streamSeconds(values * bytesPerValue, device);
    this.forward += seconds;
    this.input += streamSeconds(2 * values * bytesPerValue, device);
    if (repeated) this.cheap += seconds;
  }

  /** The core of attention. @param bytes of the keys and values of all context-parallel devices */
  attention(shape: AttentionShape, bytes: number): void {
    const compute = attentionForwardSeconds(shape, this.job.device);
    this.forward += compute;
    this.input += attentionBackwardSeconds(shape, this.job.device);
    // In a ring the keys and values of all devices pass every device once, and backward their gradients, too.
    const ring = this.gather({ group: "context", bytes, forward: 1, backward: 2 });
    this.core = { compute, tensor: ring };
  }

  /** @returns seconds of one of them */
  gather(gathers: Gathers): number {
    const seconds = gatherSeconds(gathers.bytes, this.spans[gathers.group], this.job.topology);
    this.forwardTensor += gathers.forward * seconds;
    this.inputTensor += gathers.backward * seconds;
    this.gathers.push(gathers);
    return seconds;
  }

  cost(): BlockCost {
    return {
      forward: { compute: this.forward, tensor: this.forwardTensor },
      inputGradient: { compute: this.input, tensor: this.inputTensor },
      weightGradient: { compute: this.weight, tensor: 0 },
      gathers: this.gathers,
      repeated: { selective: this.core, "fine-grained": { compute: this.cheap, tensor: 0 } },
    };
  }
}

/** Tokens of a micro-batch on one device: inside tensor-parallel products, and outside of them. */
export function tokensOf({ batch, layout }: Job): { readonly inside: number; readonly outside: number } {
  const inside = (batch.microBatch * batch.sequence) / layout.context;
  return { inside, outside: layout.sequenceParallel ? inside / layout.tensor : inside };
}

/** Tokens of a micro-batch that one device routes: tensor-parallel devices share them out. */
export const routedTokensOf = ({ batch, layout }: Job): number =>
  (batch.microBatch * batch.sequence) / layout.context / layout.tensor;

/** The collectives around a tensor-parallel network of `values` activations: in at its start, out at its end. */
function tensorCollectives(block: Block, values: number, { layout, bytesPerValue }: Job): void {
  if (layout.tensor === 1) return;
  // With sequence parallelism backward gathers the input a second time, for the weight gradient.
  const backward = layout.sequenceParallel ? 3 : 2;
  block.gather({ group: "tensor", bytes: values * bytesPerValue, forward: 2, backward });
}

/** Heads on one device: queries are split, keys and values at most down to one head. */
export function localHeads({ model, layout }: Job): { readonly heads: number; readonly keyValueHeads: number } {
  const { attention } = model;
  const heads = attention.heads / layout.tensor;
  const shared = attention.kind === "latent" ? attention.heads : attention.keyValueHeads;
  return { heads, keyValueHeads: Math.max(1, shared / layout.tensor) };
}

/** Norm, attention and residual of a layer. */
export function attentionCost(job: Job, spans: LayoutSpans): BlockCost {
  const { model, layout, batch } = job;
  const { hiddenSize } = model;
  const { inside, outside } = tokensOf(job);
  const { heads, keyValueHeads } = localHeads(job);
  const block = new Block(job, spans);
  block.stream(2 * outside * hiddenSize, true);
  let keySize: number;
  let valueSize: number;
  const { attention } = model;
  if (attention.kind === "latent") {
    const { queryRank, keyValueRank, plainSize, rotarySize } = attention;
    keySize = plainSize + rotarySize;
    valueSize = attention.valueSize;
    if (queryRank > 0) block.product({ rows: outside, columns: queryRank, depth: hiddenSize });
    block.product({ rows: outside, columns: keyValueRank + rotarySize, depth: hiddenSize });
    block.stream(2 * outside * (queryRank + keyValueRank), true);
    const queryDepth = queryRank > 0 ? queryRank : hiddenSize;
    block.product({ rows: inside, columns: heads * keySize, depth: queryDepth }, { repeated: queryRank > 0 });
    block.product({ rows: inside, columns: heads * (plainSize + valueSize), depth: keyValueRank }, { repeated: true });
    block.stream(2 * inside * heads * 2 * keySize, true); // rotary part joined to queries and keys
  } else {
    keySize = attention.headSize;
    valueSize = attention.headSize;
    block.product({ rows: inside, columns: (heads + 2 * keyValueHeads) * keySize, depth: hiddenSize });
    const rotated = 2 * inside * (heads + keyValueHeads) * keySize;
    block.stream(rotated);
    if (attention.norm !== undefined) block.stream(rotated, true);
  }
  const sequences = batch.microBatch;
  const queries = batch.sequence / layout.context;
  const bytes = layout.context * inside * keyValueHeads * (keySize + valueSize) * job.bytesPerValue;
  block.attention({ sequences, heads, queries, keys: batch.sequence, keySize, valueSize, causal: true }, bytes);
  block.product({ rows: inside, columns: hiddenSize, depth: heads * valueSize });
  block.stream(3 * outside * hiddenSize); // residual
  tensorCollectives(block, inside * hiddenSize, job);
  return block.cost();
}

/** Norm, network of a hidden width, with a gate or without, and residual. @param withNorm false where another network shares the norm */
export function networkCost(job: Job, spans: LayoutSpans, hidden: number, withNorm: boolean): BlockCost {
  const { hiddenSize, gated = true } = job.model;
  const { inside, outside } = tokensOf(job);
  const local = hidden / job.layout.tensor;
  const up = (gated ? 2 : 1) * local;
  const block = new Block(job, spans);
  if (withNorm) block.stream(2 * outside * hiddenSize, true);
  block.product({ rows: inside, columns: up, depth: hiddenSize });
  block.stream(inside * (up + local), true);
  block.product({ rows: inside, columns: hiddenSize, depth: local });
  block.stream(3 * outside * hiddenSize);
  tensorCollectives(block, inside * hiddenSize, job);
  return block.cost();
}

/** Norm, router, and the sorting of tokens before they leave and after they return. */
export function routerCost(job: Job, spans: LayoutSpans): BlockCost {
  const { hiddenSize, experts, topK } = job.model;
  const tokens = routedTokensOf(job);
  const block = new Block(job, spans);
  block.stream(2 * tokensOf(job).outside * hiddenSize, true);
  block.product({ rows: tokens, columns: experts, depth: hiddenSize }, { format: "bf16" });
  block.stream(2 * 3 * tokens * experts); // scores, choice and counts, in single precision
  const copies = job.deduplicate ? 1 : topK;
  block.stream((1 + copies) * tokens * hiddenSize); // sort
  block.stream((topK + 1) * tokens * hiddenSize); // weigh and add up
  block.stream(3 * tokensOf(job).outside * hiddenSize); // residual
  return block.cost();
}

/** Embedding, on the first stage. */
export function embeddingCost(job: Job, spans: LayoutSpans): BlockCost {
  const block = new Block(job, spans);
  const { inside } = tokensOf(job);
  block.stream(2 * inside * job.model.hiddenSize);
  tensorCollectives(block, inside * job.model.hiddenSize, job);
  return block.cost();
}

/** Final norm, output head and loss, on the last stage. */
export function headCost(job: Job, spans: LayoutSpans): BlockCost {
  const { hiddenSize, vocabulary } = job.model;
  const { inside, outside } = tokensOf(job);
  const local = vocabulary / job.layout.tensor;
  const block = new Block(job, spans);
  block.stream(2 * outside * hiddenSize);
  block.product({ rows: inside, columns: local, depth: hiddenSize }, { format: "bf16" });
  block.stream(2 * 3 * inside * local); // cast, softmax and loss in single precision
  tensorCollectives(block, inside * hiddenSize, job);
  return block.cost();
}
