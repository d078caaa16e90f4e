/** The kernels of assembly/ as TypeScript sees them: functions on byte addresses in one memory. */
import { type WasmMemory, type WasmModule, webAssembly } from "./webassembly.ts";

/** A byte address in the memory of the engine. */
export type Address = number;

/** Scratch memory of one thread for `gemm`, in bytes; the kernels' own `scratchBytes()` says the same. */
export const GEMM_SCRATCH_BYTES = 256 * 256 * 4 + 160;

/** Documented at their definitions in assembly/. */
export interface Kernels {
  scratchBytes(): number;
  inverseExponentials(x: Address, y: Address, count: number): void;
  gemm(
    a: Address,
    aRow: number,
    aColumn: number,
    b: Address,
    bRow: number,
    bColumn: number,
    c: Address,
    cRow: number,
    rows: number,
    columns: number,
    depth: number,
    accumulate: 0 | 1,
    scratch: Address,
  ): void;
  normForward(x: Address, gain: Address, y: Address, inverse: Address, rows: number, width: number): void;
  normBackward(
    dy: Address,
    x: Address,
    gain: Address,
    inverse: Address,
    residual: Address,
    dx: Address,
    gainGradient: Address,
    rows: number,
    width: number,
  ): void;
  copy(x: Address, y: Address, bytes: number): void;
  clear(x: Address, bytes: number): void;
  addRows(x: Address, sum: Address, rows: number, width: number): void;
  swigluForward(gateUp: Address, y: Address, rows: number, width: number): void;
  swigluBackward(gateUp: Address, dy: Address, rows: number, width: number, scratch: Address): void;
  attentionForward(
    qkv: Address,
    probabilities: Address,
    output: Address,
    length: number,
    heads: number,
    size: number,
    scale: number,
    scratch: Address,
  ): void;
  attentionBackward(
    qkv: Address,
    probabilities: Address,
    dOutput: Address,
    dScores: Address,
    dQkv: Address,
    length: number,
    heads: number,
    size: number,
    scale: number,
    scratch: Address,
  ): void;
  dispatch(x: Address, positions: Address, permuted: Address, tokens: number, slots: number, width: number): void;
  dispatchBackward(
    dPermuted: Address,
    positions: Address,
    dx: Address,
    tokens: number,
    slots: number,
    width: number,
  ): void;
  combine(
    permuted: Address,
    positions: Address,
    weights: Address,
    y: Address,
    tokens: number,
    slots: number,
    width: number,
  ): void;
  combineBackward(
    dy: Address,
    permuted: Address,
    positions: Address,
    weights: Address,
    dWeights: Address,
    tokens: number,
    slots: number,
    width: number,
  ): void;
  crossEntropyForward(logits: Address, targets: Address, terms: Address, rows: number, width: number): void;
  crossEntropyBackward(probabilities: Address, targets: Address, scale: number, rows: number, width: number): void;
  routeForward(
    gate: Address,
    logits: Address,
    bias: Address,
    scores: Address,
    experts: Address,
    weights: Address,
    tokens: number,
    scratch: Address,
  ): void;
  routeBackward(
    gate: Address,
    scores: Address,
    experts: Address,
    bySums: Address,
    dWeights: Address,
    dLogits: Address,
    tokens: number,
    scratch: Address,
  ): void;
  embeddingForward(
    tokens: Address,
    embedding: Address,
    position: Address,
    x: Address,
    length: number,
    width: number,
  ): void;
  embeddingBackward(
    tokens: Address,
    dx: Address,
    dEmbedding: Address,
    length: number,
    width: number,
    thread: number,
    threads: number,
  ): void;
  positionBackward(
    dx: Address,
    dPosition: Address,
    sequences: number,
    length: number,
    width: number,
    first: number,
    last: number,
  ): void;
  sumOfSquares(x: Address, count: number): number;
  adamw(
    parameter: Address,
    gradient: Address,
    firstMoment: Address,
    secondMoment: Address,
    count: number,
    clip: number,
    beta1: number,
    beta2: number,
    rate: number,
    rootCorrection: number,
    keep: number,
    epsilon: number,
  ): void;
}

export function instantiateKernels(module: WasmModule, memory: WasmMemory): Kernels {
  return new webAssembly.Instance(module, { env: { memory } }).exports as Kernels;
}
