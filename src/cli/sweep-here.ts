/** A sweep on this machine, with its progress shown. */

import { dueRuns, runSweep, type SweepOptions } from "../run/sweep.ts";
import { plannedConfig, type SweepPlan } from "../run/sweep-plan.ts";
import type { RunStatus } from "../run/sweep-state.ts";
import type { ProgressMode } from "./progress-modes.ts";
import { openSweepProgress } from "./sweep-progress.ts";

export async function runHere(
  directory: string,
  plan: SweepPlan,
  statuses: readonly RunStatus[],
  { options, progress: mode, signal }: { options: SweepOptions; progress: ProgressMode; signal: AbortSignal },
): Promise<RunStatus[]> {
  const due = dueRuns(statuses, options.force);
  const steps = new Map(due.map((run) => [run.id, plannedConfig(plan, run).training.steps]));
  const progress = openSweepProgress(mode, plan, due.length, (id) => steps.get(id) ?? 1);
  try {
    return await runSweep(directory, plan, options, progress, signal);
  } finally {
    progress.close();
  }
}
