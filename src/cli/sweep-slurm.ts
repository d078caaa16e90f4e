/** A sweep by Slurm: submitted, and waited for if asked to. */

import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ExecutorError } from "../host/executors/executor.ts";
import { SlurmExecutor } from "../host/executors/slurm.ts";
import { wasSubmitted } from "../host/executors/slurm-submissions.ts";
import { dueRuns, tasksOf } from "../run/sweep.ts";
import type { SweepPlan } from "../run/sweep-plan.ts";
import { type RunStatus, sweepState } from "../run/sweep-state.ts";
import { say } from "./format.ts";
import { mogeCommand, taskFlags } from "./task.ts";

interface SlurmArguments {
  readonly force: boolean;
  readonly retries: number;
  readonly timeout?: number;
  readonly jobs?: number;
  readonly parquet: boolean;
  readonly tensorboard: boolean;
  readonly report: boolean;
  readonly slurm: readonly string[];
  readonly wait: boolean;
  readonly cancel: boolean;
}

/** Between two questions, at first and at most: a controller has more to do than to answer us. */
const POLL_MILLISECONDS = 1000;
const MOST_POLL_MILLISECONDS = 15_000;

export async function sweepBySlurm(
  relative: string,
  plan: SweepPlan,
  statuses: readonly RunStatus[],
  args: SlurmArguments,
): Promise<void> {
  const { force, parquet, report, cancel, wait } = args;
  const executor = executorFor(relative, plan, args);
  if (cancel) {
    if (!wasSubmitted(relative)) return say("nothing of it was submitted");
    await executor.cancel();
    return say("cancelled what was submitted; what is done stays, and the same command without --cancel does the rest");
  }
  await executor.submit(await tasksOf(plan, dueRuns(statuses, force)));
  if (!wait)
    return say(`submitted; moge status ${relative} shows how far it is, and the report is written when it has ended`);
  await ended(executor);
  const { concludeSweep } = await import("./sweep-report.ts");
  await concludeSweep(relative, plan, sweepState(relative, plan, true), { parquet, page: report });
}

function executorFor(relative: string, plan: SweepPlan, args: SlurmArguments): SlurmExecutor {
  const { parquet, report, retries, timeout, jobs, slurm } = args;
  const directory = resolve(relative);
  const task = ["task", directory, ...taskFlags(args)];
  return new SlurmExecutor({
    directory,
    ids: plan.runs.map(({ id }) => id),
    command: (index, count) => `${mogeCommand([...task, "--count", String(count)])} --index ${index}`,
    collect: mogeCommand(["report", directory, ...(parquet ? ["--parquet"] : []), ...(report ? [] : ["--no-report"])]),
    name: plan.name,
    retries,
    timeLimitSeconds: timeout,
    jobs,
    extra: slurm,
  });
}

/**
 * Returns once nothing is queued any more, the report included, so that nothing in the folder changes afterwards. Slurm
 * may be away for a while: what it has queued, it keeps.
 */
async function ended(executor: SlurmExecutor): Promise<void> {
  let told = "";
  const tell = (text: string) => {
    if (text !== told) say(text);
    told = text;
  };
  for (let pause = POLL_MILLISECONDS; ; pause = Math.min(pause * 1.2, MOST_POLL_MILLISECONDS)) {
    try {
      const { states, reasons, collecting } = await executor.look();
      if ([...states.values()].every((state) => state === "ended")) {
        if (collecting === undefined) return;
        if (collecting.state === "waiting")
          tell(`the runs have ended; Slurm has still to start the job that writes the report (${collecting.reason})`);
      }
      const held = [...reasons.keys()].find((reason) => /held/i.test(reason));
      if (held !== undefined)
        tell(`Slurm holds tasks back (${held}); scontrol release lets them go, --cancel drops them`);
    } catch (error) {
      if (!(error instanceof ExecutorError)) throw error;
      tell(`${error.message}; asking again`);
    }
    await delay(pause);
  }
}
