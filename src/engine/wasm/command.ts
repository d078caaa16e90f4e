/** What thread 0 tells the others to do, and the loop in which they do it. */
import type { Crew } from "./crew.ts";
import type { ModelPlan } from "./plan.ts";
import type { Program } from "./program.ts";

export const commands = { draw: 1, train: 2, evaluate: 3, close: 4 } as const;

/** What a command needs to know, in the memory where every thread can read it. */
export class Orders {
  private readonly values: Float64Array;

  constructor(buffer: ArrayBufferLike, { orders }: ModelPlan) {
    this.values = new Float64Array(buffer, orders, 3);
  }

  get learningRate(): number {
    return this.values[0]!;
  }

  /** Optimizer step, from 1. */
  get step(): number {
    return this.values[1]!;
  }

  /** To evaluate. */
  get sequences(): number {
    return this.values[2]!;
  }

  train(learningRate: number, step: number): void {
    this.values[0] = learningRate;
    this.values[1] = step;
  }

  evaluate(sequences: number): void {
    this.values[2] = sequences;
  }
}

/** The life of a worker thread: obeys until it is told to close. What it throws, thread 0 throws. */
export function obey(program: Program, crew: Crew, orders: Orders): void {
  try {
    for (;;) {
      const command = crew.nextCommand();
      if (command === commands.close) return;
      if (command === commands.draw) program.draw();
      else if (command === commands.train) program.train(orders.learningRate, orders.step);
      else program.evaluate(orders.sequences);
    }
  } catch (error) {
    crew.fail(error);
  }
}
