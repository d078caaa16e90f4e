/** An experiment that trains, on top of a sweep: its plan, and what it makes of the runs once all are done. */
import { stringify } from "yaml";
import type { Tree } from "../config/layers.ts";
import { noTables, type Tables, type TrainedExperiment, type TrainedTables } from "../experiment/experiment.ts";
import { sweepOf } from "../experiment/sweep-file.ts";
import { readConfigLayers } from "../host/read-config.ts";
import {
  type CheckedClaim,
  checkClaims,
  type ExperimentFigures,
  readTables,
  writeExperiment,
} from "../output/experiment-report.ts";
import { writeExperimentReport } from "../output/report/experiment-html.ts";
import { experimentTables } from "./experiment-tables.ts";
import { planSweep, type SweepPlan } from "./sweep-plan.ts";
import type { RunStatus } from "./sweep-state.ts";

/** Axes of the parallel coordinates, besides the settings. */
const MOST_AXES = 7;
/** More than any experiment has. */
const MOST_RUNS = 1000;

/** @throws ConfigError */
export async function planExperiment(
  { name, title, sweep, quick }: TrainedExperiment,
  { quick: isQuick, set }: { readonly quick: boolean; readonly set: readonly string[] },
): Promise<SweepPlan> {
  const changed: Tree = isQuick
    ? { ...sweep, set: { ...(sweep["set"] as Tree | undefined), ...quick.set }, seeds: quick.seeds }
    : sweep;
  const read = sweepOf({ name, description: title, ...changed }, `experiments/${name}`);
  return planSweep(read, await readConfigLayers(read.file.base, set), { maxRuns: MOST_RUNS, sets: set });
}

/** Writes tables, figures, claims and the report. */
export async function reportExperiment(
  directory: string,
  plan: SweepPlan,
  statuses: readonly RunStatus[],
  experiment: TrainedExperiment,
  figures: ((tables: Tables) => ExperimentFigures) | undefined,
  command: string,
): Promise<CheckedClaim[]> {
  const tables = experimentTables(directory, plan, statuses, experiment);
  const page = pageOf(experiment, figures, tables, command);
  await writeExperiment(directory, page, tables);
  writeExperimentReport(directory, page, reportTable(plan, experiment, tables));
  return page.claims;
}

/** The report alone, from the tables and figures in the folder: the runs themselves are not in git. */
export function reportTrainedTables(
  directory: string,
  plan: SweepPlan,
  experiment: TrainedExperiment,
  figures: ((tables: Tables) => ExperimentFigures) | undefined,
  command: string,
): void {
  const tables = { ...noTables, ...readTables(directory) };
  const page = pageOf(experiment, figures, tables, command);
  writeExperimentReport(directory, page, reportTable(plan, experiment, tables));
}

function pageOf(
  experiment: TrainedExperiment,
  figures: ((tables: Tables) => ExperimentFigures) | undefined,
  tables: TrainedTables,
  command: string,
) {
  return { ...experiment, claims: checkClaims(experiment.claims, tables), figures: figures?.(tables) ?? {}, command };
}

const reportTable = ({ axes, base }: SweepPlan, { sweep, compared }: TrainedExperiment, { runs }: TrainedTables) => ({
  rows: runs,
  compared: [...axes.filter((axis) => axis !== "seed"), ...compared.slice(0, MOST_AXES)],
  config: stringify({ ...sweep, base }),
});
