/** The sizes of what an engine is handed, held against its config; the same errors from every engine. */
import type { RunConfig } from "../config/schema.ts";
import type { EngineState, TrainingBatch } from "./engine.ts";

type Sizes = Pick<RunConfig, "model" | "training">;

/** @throws Error if this is not the batch of a step */
export function checkTrainingBatch({ tokens, domains }: TrainingBatch, { model, training }: Sizes): void {
  const sequences = training.microBatches * training.ranks * training.sequences;
  const expected = sequences * (model.context + 1);
  if (domains !== undefined && domains.length !== sequences) {
    throw new Error(`a training batch has the domains of ${domains.length} sequences, expected ${sequences}`);
  }
  if (tokens.length !== expected) throw new Error(`a training batch has ${tokens.length} bytes, expected ${expected}`);
}

/** @throws Error if these are not whole sequences */
export function checkEvaluationTokens(tokens: Uint8Array, { model }: Sizes): void {
  const length = model.context + 1;
  if (tokens.length % length === 0) return;
  throw new Error(`${tokens.length} bytes to evaluate are not whole sequences of ${length}`);
}

/** @param own sizes of the engine that loads the state. @throws Error if they differ */
export function checkState(
  { parameters, firstMoment, secondMoment, bias, balanceState }: EngineState,
  own: { readonly parameters: number; readonly biases: number; readonly balanceStates: number },
): void {
  for (const { length } of [parameters, firstMoment, secondMoment]) {
    if (length !== own.parameters) {
      throw new Error(`the saved state has ${length} parameters, this model ${own.parameters}`);
    }
  }
  if (bias.length !== own.biases) {
    throw new Error(`the saved state has ${bias.length} selection biases, this model ${own.biases}`);
  }
  if (balanceState.length !== own.balanceStates) {
    throw new Error(
      `the saved state has ${balanceState.length} numbers of balancing rules, this model ${own.balanceStates}`,
    );
  }
}
