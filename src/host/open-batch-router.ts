/** Opens a batch router: compiles the routing kernels, makes the memory and starts the worker threads. */
import {
  BatchRouter,
  type BatchRouterPlan,
  type BatchRouterSize,
  BatchRouterThread,
  planBatchRouter,
} from "../engine/batch-router.ts";
import { Crew } from "../engine/wasm/crew.ts";
import { type WasmMemory, type WasmModule, webAssembly } from "../engine/wasm/webassembly.ts";
import { defaultThreads, startThread } from "./threads.ts";
import { readKernels } from "./wasm-kernels.ts";

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
export async function openBatchRouter(size: BatchRouterSize, threads = defaultThreads()): Promise<BatchRouter> {
  const plan = planBatchRouter(size, threads);
  const shared = threads > 1;
  const module = new webAssembly.Module(readKernels(`routing.${shared ? "shared" : "single"}.wasm`));
  const memory = new webAssembly.Memory({ initial: plan.pages, maximum: plan.pages, shared });
  const others = Array.from({ length: threads - 1 }, (_, i) => i + 1);
  await Promise.all(others.map((index) => joined({ plan, module, memory, index })));
  const crew = new Crew(memory.buffer, 0, threads);
  return new BatchRouter(plan, memory.buffer, new BatchRouterThread(plan, module, memory, crew), crew);
}

/** Resolves when the thread waits for commands. It does not keep the process alive. */
function joined(data: BatchThreadData): Promise<void> {
  const worker = startThread("batch-thread", { workerData: data });
  return new Promise((resolve, reject) => {
    worker.once("message", () => {
      worker.unref();
      resolve();
    });
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error(`thread ${data.index} of the batch router did not start`)));
  });
}
