/** A sweep by Slurm: submitted, and waited for if asked to. */

import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SlurmExecutor } from "../host/executors/slurm.ts";
import { dueRuns, tasksOf } from "../run/sweep.ts";
import type { SweepPlan } from "../run/sweep-plan.ts";
import { type RunStatus, sweepState } from "../run/sweep-state.ts";
import { mogeCommand } from "./task.ts";

interface SlurmArguments {
  readonly force: boolean;
  readonly retries: number;
  readonly timeout?: number;
  readonly jobs?: number;
  readonly parquet: boolean;
  readonly tensorboard: boolean;
  readonly slurm: readonly string[];
  readonly wait: boolean;
  readonly cancel: boolean;
}

const say = (text: string) => void process.stderr.write(`${text}\n`);
const POLL_MILLISECONDS = 1000;

export async function sweepBySlurm(
  relative: string,
  plan: SweepPlan,
  statuses: readonly RunStatus[],
  { force, retries, timeout, jobs, parquet, tensorboard, slurm, wait, cancel }: SlurmArguments,
): Promise<void> {
  const directory = resolve(relative);
  const flags = [
    ...(force ? ["--force"] : []),
    ...(parquet ? ["--parquet"] : []),
    ...(tensorboard ? ["--tensorboard"] : []),
  ];
  const executor = new SlurmExecutor({
    directory,
    ids: plan.runs.map(({ id }) => id),
    command: (index, count) =>
      `${mogeCommand(["task", directory, ...flags, "--count", String(count)])} --index ${index}`,
    collect: mogeCommand(["report", directory, ...(parquet ? ["--parquet"] : [])]),
    name: plan.name,
    retries,
    timeLimitSeconds: timeout,
    jobs,
    extra: slurm,
  });
  if (cancel) {
    await executor.cancel();
    return say("cancelled what was submitted; what is done stays, and the same command without --cancel does the rest");
  }
  await executor.submit(await tasksOf(plan, dueRuns(statuses, force)));
  if (!wait)
    return say(`submitted; moge status ${relative} shows how far it is, and the report is written when it has ended`);
  for (;;) {
    const states = [...(await executor.status()).values()];
    if (states.every((state) => state === "ended")) break;
    await delay(POLL_MILLISECONDS);
  }
  const { concludeSweep } = await import("./sweep-report.ts");
  await concludeSweep(relative, plan, sweepState(directory, plan, true), { parquet, page: true });
}
