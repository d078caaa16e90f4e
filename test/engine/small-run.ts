/** A model small enough for tests in seconds, and batches for it. */
import { type RunConfig, runSchema } from "../../src/config/schema.ts";
import { randomStream } from "../../src/core/random.ts";
import type { EngineState, TrainingBatch } from "../../src/engine/engine.ts";

/** Sections of a config by name; what is left out keeps the small default. */
export type Changes = { readonly [K in "seed" | "model" | "router" | "balance" | "training" | "engine"]?: unknown };

const small = {
  model: {
    layers: 2,
    hiddenSize: 16,
    heads: 2,
    context: 8,
    experts: 8,
    topK: 4,
    groups: 2,
    expertHiddenSize: 8,
    sharedExperts: 1,
  },
  training: { sequences: 4, clipNorm: 1, warmupSteps: 0 },
  engine: { kind: "tfjs", backend: "wasm", threads: 1 },
};

export function smallRun(changes: Changes = {}): RunConfig {
  const section = (name: keyof typeof small) => ({ ...small[name], ...(changes[name] as object | undefined) });
  return runSchema.parse({
    name: "small",
    data: { kind: "synthetic" },
    ...changes,
    model: section("model"),
    training: section("training"),
    engine: section("engine"),
  });
}

/** Random bytes of a narrow alphabet, so that there is something to learn. */
export function batchFor({ model, training }: RunConfig, step = 0): TrainingBatch {
  const random = randomStream(11, "batch", step);
  const count = training.microBatches * training.ranks * training.sequences * (model.context + 1);
  return { tokens: Uint8Array.from({ length: count }, () => 97 + random.below(20)) };
}

/**
 * Weights as after some training: larger than at the start, where the head and the embedding are almost zero and
 * every gradient with them.
 */
export function livelier(state: EngineState): EngineState {
  const random = randomStream(12, "weights");
  return { ...state, parameters: state.parameters.map((p) => p + 0.3 * random.gaussian()) };
}
