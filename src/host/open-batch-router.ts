/** Opens a batch router: compiles the routing kernels, makes the memory and starts the worker threads. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import {
  BatchRouter,
  type BatchRouterPlan,
  type BatchRouterSize,
  BatchRouterThread,
  planBatchRouter,
} from "../engine/batch-router.ts";
import { Crew } from "../engine/wasm/crew.ts";
import { type WasmMemory, type WasmModule, webAssembly } from "../engine/wasm/webassembly.ts";
import { readKernels } from "./wasm-kernels.ts";

const MOST_THREADS = 8;

export interface BatchThreadData {
  readonly plan: BatchRouterPlan;
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  readonly index: number;
}

/**
 * A router for batches of up to `size.tokens` tokens: fill its `logits` [T, N], call `route()`, read experts, weights
 * and loads. It needs the memory of its inputs and outputs and 0.1 MB a thread.
 * @param threads absent: one a core
 * @throws RangeError if the kernels cannot route so (`batchRouterRefusal` tells), ModelTooLargeError above 4 GiB
 */
export async function openBatchRouter(size: BatchRouterSize, threads = mostThreads()): Promise<BatchRouter> {
  const plan = planBatchRouter(size, threads);
  const shared = threads > 1;
  const module = new webAssembly.Module(readKernels(`routing.${shared ? "shared" : "single"}.wasm`));
  const memory = new webAssembly.Memory({ initial: plan.pages, maximum: plan.pages, shared });
  const others = Array.from({ length: threads - 1 }, (_, i) => i + 1);
  await Promise.all(others.map((index) => startThread({ plan, module, memory, index })));
  const crew = new Crew(memory.buffer, 0, threads);
  return new BatchRouter(plan, memory.buffer, new BatchRouterThread(plan, module, memory, crew), crew);
}

const mostThreads = () => Math.min(availableParallelism(), MOST_THREADS);

/** Run from source: a worker does not inherit the loader of TypeScript, so it registers its own. */
const SOURCE_ENTRY = `
  const entry = ${JSON.stringify(new URL("./batch-thread.ts", import.meta.url).href)};
  import("tsx/esm/api").then(({ register }) => register()).then(() => import(entry));`;

/** Resolves when the thread waits for commands. It does not keep the process alive. */
function startThread(data: BatchThreadData): Promise<void> {
  const worker = import.meta.url.endsWith(".ts")
    ? new Worker(SOURCE_ENTRY, { eval: true, workerData: data })
    : new Worker(new URL("./batch-thread.js", import.meta.url), { workerData: data, execArgv: [] });
  return new Promise((resolve, reject) => {
    worker.once("message", () => {
      worker.unref();
      resolve();
    });
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error(`thread ${data.index} of the batch router did not start`)));
  });
}
