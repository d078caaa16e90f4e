/** Opens the engine that a config asks for. Each engine is loaded only when it is wanted. */
import type { RunConfig } from "../config/schema.ts";
import type { Engine } from "../engine/engine.ts";

/** @throws Error with one line when the engine cannot run here */
export async function openEngine(config: RunConfig): Promise<Engine> {
  switch (config.engine.kind) {
    case "wasm":
      return (await import("./wasm-engine.ts")).openWasmEngine(config);
    case "tfjs":
      return (await import("./tfjs-engine.ts")).openTfjsEngine(config);
  }
}
