/** What a sweep came to: `runs.csv`, one row a run that is done, with what it varied and what it measured. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { mean } from "../core/statistics.ts";
import type { Row } from "../experiment/experiment.ts";
import { writeWhole } from "../host/whole-file.ts";
import { forEachPair, strongestCompanion, togetherOnDevice } from "../metrics/co-activation.ts";
import { domainVariation } from "../metrics/domain-metrics.ts";
import { type CsvRow, readCsv } from "../output/csv.ts";
import { cellText } from "../output/csv-text.ts";
import { tableText } from "../output/experiment-report.ts";
import { parquetOf, writeCombined } from "../output/parquet.ts";
import { runsFolder } from "./planned-run.ts";
import type { PlannedRun, SweepPlan } from "./sweep-plan.ts";
import type { RunStatus } from "./sweep-state.ts";

/** The rows of the runs that are done, in the order of the plan; all have the same columns. */
export function collectRuns(directory: string, plan: SweepPlan, statuses: readonly RunStatus[]): Row[] {
  const done = statuses.filter(({ state }) => state === "done").map(({ run }) => run);
  const rows = done.map((run) => ({ ...settingCells(plan, run), ...figuresOf(join(runsFolder(directory), run.id)) }));
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return rows.map((row: Row) => Object.fromEntries(columns.map((column) => [column, row[column]])));
}

/** run, variant, what else is varied, seed. */
export function settingCells({ axes }: SweepPlan, { id, variant, seed, set }: PlannedRun): Row {
  const varied = axes.filter((key) => key !== "variant" && key !== "seed");
  return { run: id, variant, ...Object.fromEntries(varied.map((key) => [key, cellOf(set[key])])), seed };
}

const cellOf = (value: unknown): number | string | undefined =>
  value === undefined || typeof value === "number" || typeof value === "string" ? value : JSON.stringify(value);

/** The figures of one run's summary.csv and, where its routers were probed, what that showed. */
function figuresOf(run: string): Row {
  const { variant: _, ...cells } = readCsv(join(run, "summary.csv"))[0] ?? {};
  const summary = Object.entries(cells).map(([column, cell]) => [column, cell === "" ? undefined : Number(cell)]);
  return { ...(Object.fromEntries(summary) as Row), ...domainLosses(run), ...probeFigures(run) };
}

/** Last validation loss of each domain. */
function domainLosses(run: string): Row {
  const rows = readCsv(join(run, "validation.csv"));
  const last = rows.at(-1)?.["step"];
  return Object.fromEntries(
    rows
      .filter(({ step }) => step === last)
      .map((row) => [`loss_${row["domain"]}_nats_per_byte`, Number(row["validation_loss_nats_per_byte"])]),
  );
}

/** Specialisation and co-activation, means over the layers. */
function probeFigures(run: string): Row {
  if (!existsSync(join(run, "probe-experts.csv"))) return {};
  const experts = readCsv(join(run, "probe-experts.csv"));
  if (experts.length === 0) return {};
  const layers = groupBy(experts, "layer").map((rows) =>
    domainVariation(groupBy(rows, "domain").map((own) => own.map((row) => Number(row["assignments"])))),
  );
  const devices = groupBy(readCsv(join(run, "expert-load.csv")), "layer")[0] ?? [];
  const deviceOf = groupBy(devices, "expert").map((rows) => Number(rows[0]!["device"]));
  const pairs = groupBy(readCsv(join(run, "probe-pairs.csv")), "layer").map((rows, layer) => {
    const together = new Float64Array(deviceOf.length * deviceOf.length);
    let next = 0;
    forEachPair(deviceOf.length, (a, b) => {
      const tokens = Number(rows[next++]!["tokens"]);
      together[a * deviceOf.length + b] = tokens;
      together[b * deviceOf.length + a] = tokens;
    });
    const own = groupBy(experts, "layer")[layer] ?? [];
    groupBy(own, "expert").forEach((of, expert) => {
      together[expert * deviceOf.length + expert] = of.reduce((sum, row) => sum + Number(row["assignments"]), 0);
    });
    return together;
  });
  return {
    specialisation: mean(layers),
    together_on_device: mean(pairs.map((counts) => togetherOnDevice(counts, deviceOf))),
    strongest_companion: mean(pairs.map((counts) => strongestCompanion(counts, deviceOf.length))),
  };
}

/** In order of first appearance. */
export function groupBy(rows: readonly CsvRow[], column: string): CsvRow[][] {
  const groups = new Map<string, CsvRow[]>();
  for (const row of rows) {
    const group = groups.get(row[column]!) ?? [];
    group.push(row);
    groups.set(row[column]!, group);
  }
  return [...groups.values()];
}

/** Writes `runs.csv`; on request Parquet files, too. */
export async function writeRuns(
  directory: string,
  plan: SweepPlan,
  rows: readonly Row[],
  parquet: boolean,
): Promise<void> {
  writeWhole(join(directory, "runs.csv"), tableText(rows));
  if (parquet) await writeTables(directory, plan, rows);
}

/** Writes `runs.parquet`, and one file for each table of the runs, with what tells a run from the others in front. */
export async function writeTables(directory: string, plan: SweepPlan, rows: readonly Row[]): Promise<void> {
  writeWhole(join(directory, "runs.parquet"), await parquetOf(readCsv(join(directory, "runs.csv"))));
  const done = new Set(rows.map(({ run }) => run));
  const runs = plan.runs.filter(({ id }) => done.has(id));
  const folder = ({ id }: PlannedRun) => join(runsFolder(directory), id);
  const files = new Set(runs.flatMap((run) => readdirSync(folder(run)).filter((name) => name.endsWith(".csv"))));
  for (const file of files) {
    const having = runs.filter((run) => existsSync(join(folder(run), file)));
    const tables = having.map((run) => () => withSettings(settingCells(plan, run), readCsv(join(folder(run), file))));
    await writeCombined(join(directory, file.replace(/csv$/, "parquet")), tables);
  }
}

/** A run knows its variant by its own id. */
function withSettings(settings: Row, rows: readonly CsvRow[]): CsvRow[] {
  const cells = Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, cellText(value)]));
  return rows.map(({ variant: _, ...row }) => ({ ...cells, ...row }));
}
