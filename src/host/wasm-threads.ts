/**
 * Worker threads of the wasm engine. A thread takes as long to come up as the data to be read, so it can be started
 * before there is an engine for it to join.
 */
import type { Worker } from "node:worker_threads";
import { startThread } from "./threads.ts";
import type { ThreadData } from "./wasm-thread.ts";

/** A thread makes little garbage; V8 would let it have 48 MB of it. */
const resourceLimits = { maxYoungGenerationSizeMb: 4 };

interface StartedThread {
  readonly worker: Worker;
  /** Rejects when the thread ends. */
  readonly ended: Promise<never>;
}

/** Those that have no engine yet. None keeps the process alive. */
const idle: StartedThread[] = [];

/** Sees to it that so many threads are idle. */
export function startThreads(count: number): void {
  while (idle.length < count) idle.push(newThread());
}

function newThread(): StartedThread {
  const worker = startThread("wasm-thread", { resourceLimits });
  worker.unref();
  const ended = new Promise<never>((_, reject) => {
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("a thread of the wasm engine did not start")));
  });
  ended.catch(() => {}); // told to whoever waits for the thread
  return { worker, ended };
}

/** Threads that wait for the commands of an engine, one for each of its data. They do not keep the process alive. */
export function joined(data: readonly ThreadData[]): Promise<Worker[]> {
  startThreads(data.length);
  const threads = idle.splice(0, data.length);
  return Promise.all(threads.map((thread, i) => join(thread, data[i]!)));
}

async function join({ worker, ended }: StartedThread, data: ThreadData): Promise<Worker> {
  worker.ref();
  const ready = new Promise((resolve) => worker.once("message", resolve));
  worker.postMessage(data);
  await Promise.race([ready, ended]);
  worker.unref();
  return worker;
}
