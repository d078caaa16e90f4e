/**
 * The one interface of the learned model. The wasm engine is fast and the same everywhere, to the bit; the tfjs
 * engine is the same model in TensorFlow.js ops with its autodiff, the reference that tests hold the other against.
 *
 * An engine is synchronous: `host/` opens it (files, workers, backends), and from then on it only computes.
 */
import type { Floats } from "../core/floats.ts";
import type { Assignment } from "../routing/assignment.ts";

/** Tokens of one optimizer step: every micro-batch holds the sequences of all virtual ranks, rank after rank. */
export interface TrainingBatch {
  /** [microBatches, ranks · sequences, context + 1] byte values; the last column is a target only. */
  readonly tokens: Uint8Array;
  /** [microBatches, ranks · sequences] the domain of each, for routers that are told it; absent: all 0 */
  readonly domains?: Int32Array | undefined;
}

/** What one MoE layer did with the tokens of a step. The arrays are the engine's own and change with the next step. */
export interface RoutedLayer {
  /** Index of the transformer layer. */
  readonly layer: number;
  /** Of all tokens of the step. */
  readonly assignment: Assignment;
  /** [T, slots] the experts before any was dropped; the assignment's own where nothing drops. */
  readonly chosen: Int32Array;
  /** Scores of the last micro-batch, [its tokens, N]. */
  readonly scores: Floats;
  /** Balancing loss of the layer, coefficients applied, mean over micro-batches. */
  readonly balanceLoss: number;
}

export interface TrainingResult {
  /** Mean cross-entropy of the step's tokens, without balancing losses. */
  readonly lossNatsPerByte: number;
  /** Norm of the whole gradient before clipping. */
  readonly gradientNorm: number;
  /** MoE layers only; empty for a dense model. */
  readonly layers: readonly RoutedLayer[];
}

/** Everything an engine needs to go on as if it had never stopped. All arrays are copies. */
export interface EngineState {
  /** Optimizer steps taken. */
  readonly step: number;
  /** Flat, in the order of `parameterLayout`. */
  readonly parameters: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
  /** [MoE layers, N] selection bias */
  readonly bias: Float64Array;
  /** [MoE layers, balancing rules] what balancing losses carry from step to step */
  readonly balanceState: Float64Array;
}

/** Milliseconds of all training steps so far that went into one part of the model. */
export interface TimedPart {
  readonly part: string;
  /** Index of the transformer layer; absent: outside of all. */
  readonly layer: number | undefined;
  readonly forward: number;
  /** The optimizer's too. */
  readonly backward: number;
}

export interface Engine {
  /** What computes and why, e.g. "wasm, plain SIMD, 2 threads". */
  readonly description: string;
  /**
   * Forward, backward and optimizer step. Numbers that are not finite are no error here: the result shows them.
   * @throws Error if the batch does not have the config's size, or a thread of the engine has failed
   */
  train(batch: TrainingBatch, learningRate: number): TrainingResult;
  /**
   * Mean cross-entropy in nats per byte of each sequence; nothing is learned.
   * @param tokens [sequences, context + 1], any number of sequences
   * @param domain of all of them, for routers that are told it; absent: 0
   * @returns [sequences]
   * @throws Error if the tokens are not whole sequences, or a thread of the engine has failed
   */
  evaluate(tokens: Uint8Array, domain?: number): Float64Array;
  /**
   * What the MoE layers did with the sequences that `evaluate` looked at last, a micro-batch of them at most; copies.
   * Balancing losses are not worked out then. Empty for a dense model.
   */
  evaluatedRouting(): readonly Assignment[];
  /** Flat gradient of the last `train` before clipping, a copy; for tests. */
  gradient(): Float32Array;
  /** Where the last `train` first met a number that is not finite, e.g. "layer 1, feed-forward", or undefined. */
  firstNonFinite(): string | undefined;
  /** Where the time of training went; absent: the engine was not opened for it. */
  profile?(): readonly TimedPart[];
  save(): EngineState;
  /** @throws Error if the state is that of a model of another size; nothing has changed then */
  load(state: EngineState): void;
  /** Lets threads and memory go. The engine is of no use afterwards. */
  close(): void;
}

/** The model does not fit where it would be computed. The message is one line that says what to lower. */
export class ModelTooLargeError extends Error {
  override readonly name = "ModelTooLargeError";
}
