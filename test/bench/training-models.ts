/** The models of the training benchmark, and a few steps of one. */
import { resolveConfig } from "../../src/config/resolve.ts";
import type { RunConfig } from "../../src/config/schema.ts";
import { randomStream } from "../../src/core/random.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { forwardFlopsPerToken } from "../../src/engine/flops.ts";

export interface Size {
  readonly layers: number;
  readonly hiddenSize: number;
  readonly experts: number;
  readonly topK: number;
  readonly expertHiddenSize: number;
}

/** 4 heads, context 64, 16 sequences, byte vocabulary; top-k, softmax over the chosen, auxiliary loss. */
export const cases = {
  lm128: { layers: 2, hiddenSize: 128, experts: 16, topK: 4, expertHiddenSize: 128 },
  lm64: { layers: 2, hiddenSize: 64, experts: 16, topK: 4, expertHiddenSize: 128 },
  "64 experts, top-8": { layers: 2, hiddenSize: 64, experts: 64, topK: 8, expertHiddenSize: 32 },
} satisfies Record<string, Size>;

export const large: Size = { layers: 4, hiddenSize: 256, experts: 128, topK: 8, expertHiddenSize: 128 };

/** Of every step of the benchmark. */
export const LEARNING_RATE = 1e-3;

export function configOf(size: Size, kernels: "plain" | "relaxed", threads: number): RunConfig {
  const router = "router: { selection: topk, scoreFunction: softmax, normalisation: chosen }";
  const text = `name: bench\ndata: { kind: synthetic }\n${router}\nbalance: [{ rule: switch-loss, coefficient: 0.01 }]\n`;
  const model = { ...size, heads: 4, context: 64, groups: 1, sharedExperts: 0, tiedHead: false };
  const sets = [
    ...Object.entries(model).map(([key, value]) => `model.${key}=${value}`),
    ...["sequences=16", "clipNorm=0", "weightDecay=0"].map((set) => `training.${set}`),
    "cluster.devices=1",
    `engine.kernels=${kernels}`,
    `engine.threads=${threads}`,
  ];
  const request = { path: "bench.yaml", sets, read: () => text, besides: (_: string, relative: string) => relative };
  return resolveConfig(request).variants[0]!.config;
}

/** Letters, each mostly followed by its own successor, so that there is something to learn. */
export function tokensFor({ model, training }: RunConfig): Uint8Array {
  const random = randomStream(1, "bench");
  const tokens = new Uint8Array(training.sequences * (model.context + 1));
  for (let i = 0; i < tokens.length; i++) {
    const follows = i % (model.context + 1) > 0 && random.below(5) > 0;
    tokens[i] = follows ? 97 + ((tokens[i - 1]! * 7) % 26) : 97 + random.below(26);
  }
  return tokens;
}

/** Tokens of a training step. */
export const tokensOfStep = ({ model, training }: RunConfig) => training.sequences * model.context;
export const operations = (config: RunConfig) => 3 * tokensOfStep(config) * forwardFlopsPerToken(config);

export function train(engine: Engine, tokens: Uint8Array, steps: number) {
  const losses: number[] = [];
  const milliseconds: number[] = [];
  for (let step = 0; step < steps; step++) {
    const start = performance.now();
    losses.push(engine.train({ tokens }, LEARNING_RATE).lossNatsPerByte);
    milliseconds.push(performance.now() - start);
  }
  return { losses, milliseconds };
}

export type Trained = ReturnType<typeof train>;
