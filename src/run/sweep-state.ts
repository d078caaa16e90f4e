/** How far a sweep is, read off its folder: there is no counter that could be wrong. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readFailure } from "./failure-record.ts";
import { isLocked } from "./lock.ts";
import { damageOf } from "./manifest.ts";
import { runsFolder } from "./planned-run.ts";
import type { PlannedRun, SweepPlan } from "./sweep-plan.ts";

/** `damaged`: complete once, but a file is missing, cut short or of another version. */
export const runStates = ["done", "running", "interrupted", "failed", "damaged", "missing"] as const;
export type RunState = (typeof runStates)[number];

export interface RunStatus {
  readonly run: PlannedRun;
  readonly state: RunState;
  /** What is wrong, of a run that failed or is damaged. */
  readonly detail?: string | undefined;
}

/** @param check also hold the size of each complete run's files against what was written */
export function sweepState(directory: string, plan: SweepPlan, check: boolean): RunStatus[] {
  const runs = runsFolder(directory);
  const names = new Set(existsSync(runs) ? readdirSync(runs) : []);
  return plan.runs.map((run) => {
    if (names.has(run.id)) {
      const damage = check ? damageOf(join(runs, run.id), "size") : undefined;
      return damage === undefined ? { run, state: "done" } : { run, state: "damaged", detail: damage };
    }
    if (!names.has(`${run.id}.partial`)) return { run, state: "missing" };
    const partial = join(runs, `${run.id}.partial`);
    if (isLocked(partial)) return { run, state: "running" };
    const failure = readFailure(partial);
    return failure === undefined
      ? { run, state: "interrupted" }
      : { run, state: "failed", detail: `${failure.kind}: ${failure.message}` };
  });
}

/** How many runs are in each state; states without a run are left out. */
export function countStates(statuses: readonly RunStatus[]): [RunState, number][] {
  return runStates.flatMap((state) => {
    const count = statuses.filter((each) => each.state === state).length;
    return count === 0 ? [] : [[state, count] as [RunState, number]];
  });
}
