/** Worker threads that compute: how many there are at most, and how one is started. */
import { availableParallelism } from "node:os";
import { Worker, type WorkerOptions } from "node:worker_threads";

/** However many cores there are. */
const MOST_THREADS = 8;

/** One a core, where nobody says otherwise. */
export const defaultThreads = (): number => Math.min(availableParallelism(), MOST_THREADS);

/**
 * Run from source, a worker does not inherit the loader of TypeScript, so it registers its own.
 * @param entry a module of this folder
 */
export function startThread(entry: "wasm-thread" | "batch-thread", options: WorkerOptions): Worker {
  if (!import.meta.url.endsWith(".ts")) {
    return new Worker(new URL(`./${entry}.js`, import.meta.url), { ...options, execArgv: [] });
  }
  const url = JSON.stringify(new URL(`./${entry}.ts`, import.meta.url).href);
  const source = `import("tsx/esm/api").then(({ register }) => register()).then(() => import(${url}));`;
  return new Worker(source, { ...options, eval: true });
}
