/** The smallest configs that are still real: trained on synthetic topics in well under a second. */

import type { ResolvedConfig } from "../src/config/resolve.ts";
import { resolveConfig } from "../src/config/resolve.ts";
import type { RunConfig } from "../src/config/schema.ts";

const TINY = `
name: tiny
model: { layers: 2, hiddenSize: 16, heads: 2, context: 16, experts: 8, topK: 2, groups: 2, expertHiddenSize: 8 }
training: { steps: 6, sequences: 4, warmupSteps: 2 }
data: { kind: synthetic, topics: 4 }
cluster: { devices: 2 }
target: { experts: 8, topK: 2, groups: 2, expertParallel: 2, tokensPerRank: 64, hiddenSize: 256, expertHiddenSize: 128, window: 2 }
engine: { threads: 1 }
record: { every: 2, validationEvery: 3, validationSequences: 2, checkpointEvery: 2 }
variants:
  - { name: topk, set: { router.selection: topk } }
  - { name: moge, set: { router.selection: moge } }
`;

export function tinyFile(...sets: string[]): ResolvedConfig {
  return resolveConfig({ path: "tiny.yaml", sets, read: () => TINY, besides: (_, relative) => relative });
}

/** One variant of the tiny config. */
export function tinyConfig(variant: "topk" | "moge", ...sets: string[]): RunConfig {
  return tinyFile(...sets).variants.find(({ name }) => name === variant)!.config;
}

/** Its text, for tests that go through the command line. */
export const tinyText = TINY;
