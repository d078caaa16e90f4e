/** What a sweep says when it begins and ends. */
import { join } from "node:path";
import { dueRuns } from "../run/sweep.ts";
import type { SweepPlan } from "../run/sweep-plan.ts";
import { countStates, type RunStatus } from "../run/sweep-state.ts";
import { exitCodes } from "./failure.ts";
import { say } from "./format.ts";

export function announceSweep(plan: SweepPlan, statuses: readonly RunStatus[], force: boolean): void {
  const due = dueRuns(statuses, force).length;
  const done = plan.runs.length - due;
  say(`${plan.name}${plan.description ? `: ${plan.description}` : ""}`);
  say(`${plan.runs.length} ${plan.runs.length === 1 ? "run" : "runs"}, ${done} done already, ${due} to run`);
  for (const { run, state, detail } of statuses) {
    if (state === "damaged") say(`${run.id} is not whole (${detail}); it is run again`);
  }
}

/** Writes what the sweep came to, says it, and sets the exit code. */
export async function concludeSweep(
  directory: string,
  plan: SweepPlan,
  statuses: readonly RunStatus[],
  wanted: { readonly parquet: boolean; readonly page: boolean },
): Promise<void> {
  const { reportSweep } = await import("../run/report-sweep.ts");
  await reportSweep(directory, plan, statuses, wanted);
  sayOutcome(directory, statuses);
  say(`results are in ${directory}: ${wanted.page ? "report.html, " : ""}runs.csv and the runs themselves`);
  if (statuses.some(({ state }) => state !== "done")) process.exitCode = exitCodes.partlyFailed;
}

const MOST_SHOWN = 5;

/** How many runs came to what, and why those that failed did. */
export function sayOutcome(directory: string, statuses: readonly RunStatus[]): void {
  say(
    countStates(statuses)
      .map(([state, count]) => `${count} ${state}`)
      .join(", "),
  );
  const failed = statuses.filter(({ state }) => state === "failed");
  for (const { run, detail } of failed.slice(0, MOST_SHOWN)) say(`${run.id} ${detail}`);
  if (failed.length > MOST_SHOWN) say(`… and ${failed.length - MOST_SHOWN} more; moge status ${directory} lists them`);
  if (failed.length > 0) {
    say(`logs and error.json are in ${join(directory, "runs", "<id>.partial")}; the same command tries them again`);
  }
}
