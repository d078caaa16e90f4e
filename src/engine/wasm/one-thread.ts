/** The wasm engine on the caller's own thread, in memory that nobody shares: all that a page opened from a file has. */
import type { RunConfig } from "../../config/schema.ts";
import type { Engine } from "../engine.ts";
import { Crew } from "./crew.ts";
import { instantiateKernels } from "./kernels.ts";
import { planModel } from "./plan.ts";
import { WasmEngine } from "./wasm-engine.ts";
import { type WasmModule, webAssembly } from "./webassembly.ts";

/**
 * @param module the kernels without shared memory
 * @throws ModelTooLargeError
 */
export function openOnThisThread(config: RunConfig, module: WasmModule, description: string): Engine {
  const plan = planModel(config, 1);
  const memory = new webAssembly.Memory({ initial: plan.pages, maximum: plan.pages, shared: false });
  const crew = new Crew(memory.buffer, 0, 1);
  return new WasmEngine(config, plan, memory.buffer, instantiateKernels(module, memory), crew, description);
}
