/**
 * The routed experts of one MoE layer on one thread: dispatch → compute → combine, and back.
 *
 * The tokens' copies are ordered by expert, then token, then choice, so that an expert's rows lie together and its
 * products are ordinary ones; an expert that nobody chose costs nothing. Dispatch and combine go by the thread's
 * own tokens, compute by experts, which the threads take one at a time. Between the three all threads must meet.
 * On the way back the gradients take the place of what they belong to: `output` becomes the gradient by itself,
 * then `hidden`, `gateUp` and at last `permuted`.
 *
 * An empty slot has no row: its position is -1, and the kernels pass it by.
 */
import type { Floats } from "../../core/floats.ts";
import { type Assignment, NO_EXPERT } from "../../routing/assignment.ts";
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import { type Linear, linearBackward, linearForward, weightGradient } from "./linear.ts";
import { type ParameterPlan, type Weights, weightsNamed } from "./parameters.ts";
import type { Pass, Sizes } from "./sizes.ts";
import { ownSequences, ownTokens, type Rows, rowAddress, type Thread } from "./thread.ts";

/** Position of an empty slot; the kernels know it. */
const NO_ROW = -1;

export interface ExpertsPlan {
  /** [N, H, 2F] */
  readonly up: Weights;
  /** [N, F, H] */
  readonly down: Weights;
  /** [T, slots] int32: the row of each choice, or -1 */
  readonly positions: Address;
  /** [assignments, H] */
  readonly permuted: Address;
  /** [assignments, 2F] */
  readonly gateUp: Address;
  /** [assignments, F] */
  readonly hidden: Address;
  /** [assignments, H] */
  readonly output: Address;
}

export function planExperts(arena: Arena, sizes: Sizes, parameters: ParameterPlan, layer: number): ExpertsPlan {
  const { tokens, slots, assignments: rows, hiddenSize, expertHiddenSize } = sizes;
  return {
    up: weightsNamed(parameters, `layers.${layer}.experts.up`),
    down: weightsNamed(parameters, `layers.${layer}.experts.down`),
    positions: arena.words(tokens * slots),
    permuted: arena.words(rows * hiddenSize),
    gateUp: arena.words(rows * 2 * expertHiddenSize),
    hidden: arena.words(rows * expertHiddenSize),
    output: arena.words(rows * hiddenSize),
  };
}

export class Experts {
  private readonly thread: Thread;
  private readonly plan: ExpertsPlan;
  private readonly positions: Int32Array;
  private readonly up: readonly Linear[];
  private readonly down: readonly Linear[];
  /** [N + 1] first row of each expert */
  private readonly starts: Int32Array;
  /** [N] next free row of each expert among this thread's tokens */
  private readonly next: Int32Array;
  /** [N] the experts, those with the most rows first: threads that take them in this order end at about the same time */
  private readonly largestFirst: Int32Array;

  constructor(thread: Thread, plan: ExpertsPlan) {
    const { experts, tokens, slots, hiddenSize, expertHiddenSize } = thread.sizes;
    this.thread = thread;
    this.plan = plan;
    this.positions = new Int32Array(thread.buffer, plan.positions, tokens * slots);
    this.up = eachExpert(plan.up, experts, hiddenSize, 2 * expertHiddenSize);
    this.down = eachExpert(plan.down, experts, expertHiddenSize, hiddenSize);
    this.starts = new Int32Array(experts + 1);
    this.next = new Int32Array(experts);
    this.largestFirst = Int32Array.from({ length: experts }, (_, expert) => expert);
  }

  /** Copies this thread's tokens to their experts' rows. @param x [T, H] @param load [sequences, N] of everyone */
  dispatch(x: Address, assignment: Assignment, load: Floats, pass: Pass): void {
    const { kernels, sizes } = this.thread;
    const { first, last } = ownTokens(this.thread, pass);
    this.order(assignment, load, pass);
    const rows = rowAddress(x, first, sizes.hiddenSize);
    const positions = rowAddress(this.plan.positions, first, sizes.slots);
    kernels.dispatch(rows, positions, this.plan.permuted, last - first, sizes.slots, sizes.hiddenSize);
  }

  compute(): void {
    const { thread, plan } = this;
    const { expertHiddenSize: F, experts } = thread.sizes;
    for (let task = thread.crew.nextTask(); task < experts; task = thread.crew.nextTask()) {
      const expert = this.largestFirst[task]!;
      const rows = this.rowsOf(expert);
      linearForward(thread, this.up[expert]!, plan.permuted, plan.gateUp, rows);
      const gateUp = rowAddress(plan.gateUp, rows.first, 2 * F);
      thread.kernels.swigluForward(gateUp, rowAddress(plan.hidden, rows.first, F), rows.last - rows.first, F);
      linearForward(thread, this.down[expert]!, plan.hidden, plan.output, rows);
    }
  }

  /** y += the weighted outputs, for this thread's tokens. @param weights [T, slots] @param y [T, H] */
  combine(weights: Address, y: Address, pass: Pass): void {
    const { kernels, sizes } = this.thread;
    const { slots, hiddenSize } = sizes;
    const { first, last } = ownTokens(this.thread, pass);
    const positions = rowAddress(this.plan.positions, first, slots);
    const ofTokens = rowAddress(weights, first, slots);
    const rows = rowAddress(y, first, hiddenSize);
    kernels.combine(this.plan.output, positions, ofTokens, rows, last - first, slots, hiddenSize);
  }

  /** @param weights,dWeights [T, slots] @param dy [T, H] */
  combineBackward(weights: Address, dWeights: Address, dy: Address, pass: Pass): void {
    const { kernels, sizes } = this.thread;
    const { slots, hiddenSize } = sizes;
    const { first, last } = ownTokens(this.thread, pass);
    const ofTokens = (matrix: Address) => rowAddress(matrix, first, slots);
    const { output, positions } = this.plan;
    const rows = rowAddress(dy, first, hiddenSize);
    kernels.combineBackward(
      rows,
      output,
      ofTokens(positions),
      ofTokens(weights),
      ofTokens(dWeights),
      last - first,
      slots,
      hiddenSize,
    );
  }

  computeBackward(): void {
    const { thread, plan } = this;
    const { expertHiddenSize: F, experts } = thread.sizes;
    for (let task = thread.crew.nextTask(); task < experts; task = thread.crew.nextTask()) {
      const expert = this.largestFirst[task]!;
      const rows = this.rowsOf(expert);
      const up = this.up[expert]!;
      const down = this.down[expert]!;
      weightGradient(thread, down, plan.hidden, plan.output, rows);
      linearBackward(thread, down, plan.output, plan.hidden, rows);
      const gateUp = rowAddress(plan.gateUp, rows.first, 2 * F);
      const hidden = rowAddress(plan.hidden, rows.first, F);
      thread.kernels.swigluBackward(gateUp, hidden, rows.last - rows.first, F, thread.scratch);
      weightGradient(thread, up, plan.permuted, plan.gateUp, rows);
      linearBackward(thread, up, plan.gateUp, plan.permuted, rows);
    }
  }

  /** dx += the gradients by the copies of this thread's tokens. @param dx [T, H] */
  dispatchBackward(dx: Address, pass: Pass): void {
    const { kernels, sizes } = this.thread;
    const { first, last } = ownTokens(this.thread, pass);
    const rows = rowAddress(dx, first, sizes.hiddenSize);
    const positions = rowAddress(this.plan.positions, first, sizes.slots);
    kernels.dispatchBackward(this.plan.permuted, positions, rows, last - first, sizes.slots, sizes.hiddenSize);
  }

  private rowsOf(expert: number): Rows {
    return { first: this.starts[expert]!, last: this.starts[expert + 1]! };
  }

  /** The rows of this thread's choices: after those of lower experts, and of earlier sequences for the same one. */
  private order(assignment: Assignment, load: Floats, pass: Pass): void {
    const { starts, next, positions } = this;
    const { experts, slots } = this.thread.sizes;
    const ownFirst = ownSequences(this.thread, pass).first;
    for (let expert = 0; expert < experts; expert++) {
      let row = starts[expert]!;
      for (let sequence = 0; sequence < pass.sequences; sequence++) {
        if (sequence === ownFirst) next[expert] = row;
        row += load[sequence * experts + expert]!;
      }
      starts[expert + 1] = row;
    }
    const rowsOf = (expert: number) => starts[expert + 1]! - starts[expert]!;
    this.largestFirst.sort((a, b) => rowsOf(b) - rowsOf(a) || a - b);
    const { first, last } = ownTokens(this.thread, pass);
    for (let slot = first * slots; slot < last * slots; slot++) {
      const expert = assignment.experts[slot]!;
      positions[slot] = expert === NO_EXPERT ? NO_ROW : next[expert]!;
      if (expert !== NO_EXPERT) next[expert] = next[expert]! + 1;
    }
  }
}

/** The matrices of all experts from the one parameter that holds them. */
function eachExpert({ values, gradient }: Weights, experts: number, inputs: number, outputs: number): Linear[] {
  return Array.from({ length: experts }, (_, expert) => ({
    values: rowAddress(values, expert, inputs * outputs),
    gradient: rowAddress(gradient, expert, inputs * outputs),
    inputs,
    outputs,
  }));
}
