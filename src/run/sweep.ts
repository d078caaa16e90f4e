/** Carries a sweep out on this machine: runs exactly what is missing or failed, and collects what there is. */

import type { Task } from "../host/executors/executor.ts";
import { LocalExecutor, type LocalObserver } from "../host/executors/local.ts";
import { memoryFor } from "../host/open-engine.ts";
import type { Formats } from "../output/run-writer.ts";
import { noteFailure } from "./planned-run.ts";
import { type PlannedRun, plannedConfig, type SweepPlan } from "./sweep-plan.ts";
import { type RunStatus, sweepState } from "./sweep-state.ts";

export interface SweepOptions {
  readonly formats: Formats;
  /** Runs at a time. */
  readonly jobs?: number | undefined;
  readonly retries: number;
  readonly timeoutSeconds?: number | undefined;
  readonly failFast: boolean;
  /** Also what is done. */
  readonly force: boolean;
}

/** What a sweep has still to do. */
export const dueRuns = (statuses: readonly RunStatus[], force: boolean): PlannedRun[] =>
  statuses.filter(({ state }) => force || state !== "done").map(({ run }) => run);

/** @param signal ends what runs, after a checkpoint @returns the state of every run afterwards */
export async function runSweep(
  directory: string,
  plan: SweepPlan,
  options: SweepOptions,
  observer: LocalObserver,
  signal: AbortSignal,
): Promise<RunStatus[]> {
  const due = dueRuns(sweepState(directory, plan, true), options.force);
  if (due.length > 0 && !signal.aborted) {
    const { formats, force } = options;
    const executor = new LocalExecutor({
      worker: new URL(import.meta.url.endsWith(".ts") ? "./sweep-worker.ts" : "./sweep-worker.js", import.meta.url),
      arguments: [directory, JSON.stringify({ formats, force })],
      jobs: options.jobs,
      retries: options.retries,
      timeoutSeconds: options.timeoutSeconds,
      failFast: options.failFast,
      observer: {
        ...observer,
        failed(id, failure, attempts, again) {
          noteFailure(directory, id, failure, attempts);
          observer.failed(id, failure, attempts, again);
        },
      },
    });
    await executor.submit(await tasksOf(plan, due));
    signal.addEventListener("abort", () => void executor.cancel());
    await executor.work();
  }
  return sweepState(directory, plan, true);
}

/** Runs of one size need the same memory; that is worked out once a size. */
export async function tasksOf(plan: SweepPlan, due: readonly PlannedRun[]): Promise<Task[]> {
  const known = new Map<string, number>();
  const tasks: Task[] = [];
  for (const run of due) {
    const { model, training, balance, router, engine, ...config } = plannedConfig(plan, run);
    const key = JSON.stringify([model, training, balance, router, engine]);
    const bytes = known.get(key) ?? (await memoryFor({ ...config, model, training, balance, router, engine }, 1));
    known.set(key, bytes);
    tasks.push({ id: run.id, bytes });
  }
  return tasks;
}
