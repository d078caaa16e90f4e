/** The reference engine beside the wasm one: a training step in TensorFlow.js on every backend that runs here. */
import type { RunConfig } from "../../src/config/schema.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { openTfjsEngine } from "../../src/host/tfjs-engine.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import { type BenchTable, interleaved, secondsOf } from "./bench.ts";
import { cases, configOf, LEARNING_RATE, tokensFor, tokensOfStep } from "./training-models.ts";

const BACKENDS: readonly RunConfig["engine"]["backend"][] = ["tensorflow", "wasm", "cpu"];
/** Between sums in two orders. */
const TOLERANCE = 2e-4;

/** @throws Error where an engine's losses are not those of the wasm engine */
export async function tfjsSteps(): Promise<{ table: BenchTable; notes: string[] }> {
  const config = configOf(cases.lm64, "plain", 1);
  const tokens = tokensFor(config);
  const ours = await openWasmEngine(config);
  const engines = new Map<string, Engine>([["ours, plain", ours]]);
  const notes: string[] = [];
  for (const backend of BACKENDS) {
    try {
      const engine = await openTfjsEngine({ ...config, engine: { ...config.engine, kind: "tfjs", backend } });
      engines.set(`tfjs, ${backend}`, engine);
    } catch (error) {
      notes.push(`Skipped: ${(error as Error).message}.`);
    }
  }
  const expected = ours.evaluate(tokens);
  for (const [name, engine] of engines) {
    const worst = engine.evaluate(tokens).reduce((most, loss, i) => Math.max(most, Math.abs(loss - expected[i]!)), 0);
    if (!(worst < TOLERANCE)) throw new Error(`${name}: losses off by ${worst}; they are not the same model`);
  }
  const steps = [...engines].map(([name, engine]) => {
    return [name, () => secondsOf(() => engine.train({ tokens }, LEARNING_RATE))] as const;
  });
  const times = await interleaved(1, Object.fromEntries(steps));
  for (const engine of engines.values()) engine.close();
  const rows = Object.entries(times).map(([name, seconds]) => {
    return [name, 1000 * seconds, seconds / times["ours, plain"]!, tokensOfStep(config) / seconds];
  });
  return {
    table: {
      title: "a training step of lm64 by the tfjs engine, the reference, one thread",
      columns: ["", "ms", "x ours", "tokens/s"],
      rows,
    },
    notes,
  };
}
