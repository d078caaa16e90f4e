/** Opens the wasm engine: picks the kernels, makes the memory, and starts the worker threads. */
import { once } from "node:events";
import { setFlagsFromString } from "node:v8";
import type { Worker } from "node:worker_threads";
import type { RunConfig } from "../config/schema.ts";
import type { Engine } from "../engine/engine.ts";
import { Crew } from "../engine/wasm/crew.ts";
import { instantiateKernels } from "../engine/wasm/kernels.ts";
import { planModel } from "../engine/wasm/plan.ts";
import { Profile } from "../engine/wasm/profile.ts";
import { WasmEngine } from "../engine/wasm/wasm-engine.ts";
import { type WasmMemory, type WasmModule, webAssembly } from "../engine/wasm/webassembly.ts";
import { defaultThreads } from "./threads.ts";
import { readKernels } from "./wasm-kernels.ts";
import { joined, startThreads } from "./wasm-threads.ts";

const threadsOf = ({ engine }: RunConfig): number => engine.threads || defaultThreads();

/** @throws ModelTooLargeError */
export function assertFits(config: RunConfig): void {
  planModel(config, threadsOf(config));
}

/** Brings up the threads that an engine for a config will have, while the caller does something else. */
export const prepareThreads = (config: RunConfig): void => startThreads(threadsOf(config) - 1);

const PAGE_BYTES = 65_536;

/** Size of the memory that a model is trained in. @throws ModelTooLargeError */
export const wasmBytes = (config: RunConfig, threads: number): number => planModel(config, threads).pages * PAGE_BYTES;

/**
 * One thread runs the build without shared memory, several the build with it; the bits are the same.
 * @param profiled whether the time of training is kept by layer and part
 * @throws Error if the kernels are not built, if the model does not fit, or if a thread does not start
 */
export async function openWasmEngine(config: RunConfig, profiled = false): Promise<Engine> {
  const threads = threadsOf(config);
  const plan = planModel(config, threads);
  const shared = threads > 1;
  const { module, title } = compileKernels(config.engine.kernels, shared ? "shared" : "single");
  const memory = await memoryOf(plan.pages, shared);
  const others = Array.from({ length: threads - 1 }, (_, i) => i + 1);
  const workers = await joined(others.map((index) => ({ config, module, memory, index, threads })));
  const profile = profiled ? new Profile(() => performance.now()) : undefined;
  const crew = new Crew(memory.buffer, 0, threads, profile);
  const count = `${threads} ${shared ? "threads" : "thread"}${config.engine.threads ? "" : " (one a core)"}`;
  const description = `wasm, ${title}, ${count}`;
  const kernels = instantiateKernels(module, memory);
  const engine = new WasmEngine(config, plan, memory.buffer, kernels, crew, description, profile);
  const close = engine.close.bind(engine);
  engine.close = () => {
    engine.close = () => {};
    close();
    spare = { pages: plan.pages, shared, memory: new WeakRef(memory), workers };
  };
  return engine;
}

/**
 * The memory of the engine that was closed last and the threads that leave it, for the next engine of the same size, as
 * those of a config's variants are: V8 does not count such memory and would let it pile up. It is held weakly, so that
 * what comes after training has the room.
 */
let spare:
  | {
      readonly pages: number;
      readonly shared: boolean;
      readonly memory: WeakRef<WasmMemory>;
      readonly workers: Worker[];
    }
  | undefined;

/** Zeros, that no thread has any more. */
async function memoryOf(pages: number, shared: boolean): Promise<WasmMemory> {
  const old = spare;
  spare = undefined;
  const memory = old?.pages === pages && old.shared === shared ? old.memory.deref() : undefined;
  if (old === undefined || memory === undefined) {
    return new webAssembly.Memory({ initial: pages, maximum: pages, shared });
  }
  await Promise.all(old.workers.map(hasEnded));
  new Uint8Array(memory.buffer).fill(0);
  return memory;
}

/** It keeps the process alive until then. */
async function hasEnded(worker: Worker): Promise<void> {
  if (worker.threadId === -1) return;
  worker.ref();
  await once(worker, "exit");
}

/** Relaxed kernels where the machine has them, else plain ones with the reason in the title. */
function compileKernels(
  wanted: RunConfig["engine"]["kernels"],
  memory: "shared" | "single",
): { module: WasmModule; title: string } {
  const plain = () => new webAssembly.Module(readKernels(`plain.${memory}.wasm`));
  if (wanted === "plain") return { module: plain(), title: "plain SIMD kernels (the same bits everywhere)" };
  const relaxed = readKernels(`relaxed.${memory}.wasm`);
  if (!webAssembly.validate(relaxed)) setFlagsFromString("--experimental-wasm-relaxed-simd"); // Node 20 hides it
  if (webAssembly.validate(relaxed)) return { module: new webAssembly.Module(relaxed), title: "relaxed SIMD kernels" };
  return { module: plain(), title: "plain SIMD kernels (this machine has no relaxed SIMD)" };
}
