/** Opens the engine that a config asks for. Each engine is loaded only when it is wanted. */
import type { RunConfig } from "../config/schema.ts";
import type { Engine } from "../engine/engine.ts";

/** Says beforehand that a model is too large. @throws ModelTooLargeError */
export async function assertEngineFits(config: RunConfig): Promise<void> {
  if (config.engine.kind === "wasm") (await import("./wasm-engine.ts")).assertFits(config);
}

/** Begins what takes a while to come up and needs no data, so that it is there when the engine is opened. */
export async function prepareEngine(config: RunConfig): Promise<void> {
  if (config.engine.kind === "wasm") (await import("./wasm-engine.ts")).prepareThreads(config);
}

/**
 * @param profiled whether the wasm engine keeps the time of training by layer and part; the tfjs engine does not
 * @throws Error with one line when the engine cannot run here
 */
export async function openEngine(config: RunConfig, profiled = false): Promise<Engine> {
  switch (config.engine.kind) {
    case "wasm":
      return (await import("./wasm-engine.ts")).openWasmEngine(config, profiled);
    case "tfjs":
      return (await import("./tfjs-engine.ts")).openTfjsEngine(config);
  }
}

/** Of Node with what a run loads, measured at 130 MB; of a model in TensorFlow.js, with its tape, several times its parameters. */
const PROCESS_BYTES = 200e6;
const TFJS_BYTES = 1e9;

/** Main memory that a process needs to train a config, about. @throws ModelTooLargeError */
export async function memoryFor(config: RunConfig, threads: number): Promise<number> {
  if (config.engine.kind === "tfjs") return PROCESS_BYTES + TFJS_BYTES;
  return PROCESS_BYTES + (await import("./wasm-engine.ts")).wasmBytes(config, threads);
}
