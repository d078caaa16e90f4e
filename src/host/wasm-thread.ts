/**
 * Entry of a worker thread of the wasm engine: waits for an engine, joins its crew, says so, and obeys until the engine
 * is closed.
 */
import { parentPort } from "node:worker_threads";
import type { RunConfig } from "../config/schema.ts";
import { Orders, obey } from "../engine/wasm/command.ts";
import { Crew } from "../engine/wasm/crew.ts";
import { instantiateKernels } from "../engine/wasm/kernels.ts";
import { planModel } from "../engine/wasm/plan.ts";
import { Program } from "../engine/wasm/program.ts";
import type { WasmMemory, WasmModule } from "../engine/wasm/webassembly.ts";

export interface ThreadData {
  readonly config: RunConfig;
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  readonly index: number;
  readonly threads: number;
}

parentPort!.once("message", ({ config, module, memory, index, threads }: ThreadData) => {
  const plan = planModel(config, threads);
  const crew = new Crew(memory.buffer, index, threads);
  const program = new Program(config, plan, memory.buffer, instantiateKernels(module, memory), crew);
  parentPort!.postMessage("ready");
  obey(program, crew, new Orders(memory.buffer, plan));
});
