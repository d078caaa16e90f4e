/** From the files of a sweep's runs to the tables of its experiment: over the seeds, thinned to what a page can show. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { RunConfig } from "../config/schema.ts";
import { mean } from "../core/statistics.ts";
import { forwardFlopsPerToken } from "../engine/flops.ts";
import { parameterLayout } from "../engine/parameters.ts";
import type { Curve, Row, TrainedExperiment, TrainedTables } from "../experiment/experiment.ts";
import { bootstrap, valuesOf } from "../experiment/rows.ts";
import { type CsvRow, readCsv } from "../output/csv.ts";
import { collectRuns, groupBy, settingCells } from "./collect.ts";
import { runsFolder } from "./planned-run.ts";
import { type PlannedRun, plannedConfig, type SweepPlan } from "./sweep-plan.ts";
import type { RunStatus } from "./sweep-state.ts";

/** Places of a curve: more cannot be told apart. */
const MOST_PLACES = 60;
/** Blocks of neighbouring experts, at most, between which pairs are counted. */
const MOST_BLOCKS = 32;

export function experimentTables(
  directory: string,
  plan: SweepPlan,
  statuses: readonly RunStatus[],
  { curves, compared, probes = false }: Pick<TrainedExperiment, "curves" | "compared" | "probes">,
): TrainedTables {
  const runs = collectRuns(directory, plan, statuses).map((row) => ({ ...row, ...sizes(plan, row) }));
  const done = statuses.filter(({ state }) => state === "done").map(({ run }) => run);
  const groups = [...groupRuns(plan, done).values()];
  const folder = (run: PlannedRun) => join(runsFolder(directory), run.id);
  return {
    runs,
    means: groups.flatMap(({ settings }) =>
      compared.flatMap((column) => {
        const values = valuesOf(runs, column, settings);
        return values.length === 0 ? [] : [{ ...settings, column, ...estimateCells(values) }];
      }),
    ),
    curves: groups.flatMap(({ settings, members }) =>
      curves.flatMap((curve) => curveRows(curve, members.map(folder)).map((row) => ({ ...settings, ...row }))),
    ),
    domains: groups.flatMap(({ settings, members }) =>
      domainRows(members.map(folder)).map((row) => ({ ...settings, ...row })),
    ),
    probes: probes
      ? done.flatMap((run) => probeRows(folder(run)).map((row) => ({ ...settingCells(plan, run), ...row })))
      : [],
    experts: groups.flatMap(({ settings, members }) =>
      expertRows(folder(members[0]!)).map((row) => ({ ...settings, ...row })),
    ),
    pairs: groups.flatMap(({ settings, members }) =>
      pairRows(folder(members[0]!)).map((row) => ({ ...settings, ...row })),
    ),
  };
}

interface Group {
  /** Settings but for the seed, by column. */
  readonly settings: Readonly<Record<string, number | string>>;
  readonly members: PlannedRun[];
}

function groupRuns(plan: SweepPlan, runs: readonly PlannedRun[]): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const run of runs) {
    const { run: _, seed: __, ...settings } = settingCells(plan, run);
    const key = JSON.stringify(settings);
    const group = groups.get(key) ?? { settings: settings as Group["settings"], members: [] };
    group.members.push(run);
    groups.set(key, group);
  }
  return groups;
}

function estimateCells(values: readonly number[]): Row {
  const { mean: middle, low, high, count } = bootstrap(values);
  return { mean: middle, low, high, runs: count };
}

/** What parity is judged by: numbers that a token meets, and the arithmetic of its forward pass. */
function sizes(plan: SweepPlan, { run }: Row): Row {
  const config = plannedConfig(plan, plan.runs.find(({ id }) => id === run)!);
  return { active_parameters: activeParameters(config), forward_flops_per_token: forwardFlopsPerToken(config) };
}

function activeParameters(config: RunConfig): number {
  const { model } = config;
  return parameterLayout(config).reduce(
    (sum, { name, size }) => sum + (name.includes(".experts.") ? (size / model.experts) * model.topK : size),
    0,
  );
}

/** Means over stretches of steps, and over the runs with their interval. */
function curveRows({ name, file, column }: Curve, folders: readonly string[]): Row[] {
  const layersOf = (rows: readonly CsvRow[]) => (file === "layers.csv" ? groupBy(rows, "layer") : [rows]);
  const perRun = folders.map((folder) => layersOf(readCsv(join(folder, file)).filter((row) => row[column] !== "")));
  const layers = perRun[0]?.length ?? 0;
  return Array.from({ length: layers }, (_, l) => {
    const own = perRun.map((run) => run[l]!);
    const length = own[0]?.length ?? 0;
    const stretch = Math.ceil(length / MOST_PLACES) || 1;
    return Array.from({ length: Math.ceil(length / stretch) }, (_unused, place) => {
      const part = (rows: readonly CsvRow[]) => rows.slice(place * stretch, (place + 1) * stretch);
      const values = own.map((rows) => mean(part(rows).map((row) => Number(row[column]))));
      const step = Number(part(own[0]!).at(-1)!["step"]);
      return {
        curve: name,
        layer: file === "layers.csv" ? Number(own[0]![0]!["layer"]) : undefined,
        step,
        ...estimateCells(values),
      };
    });
  }).flat();
}

const PROBED = [
  "loss_nats_per_byte",
  "device_imbalance_score",
  "device_max_over_mean",
  "expert_max_over_mean",
  "fan_out_devices_per_token",
] as const;

const hasProbe = (folder: string) => existsSync(join(folder, "probe.csv"));

function probeRows(folder: string): Row[] {
  if (!hasProbe(folder)) return [];
  return readCsv(join(folder, "probe.csv")).map(({ layer, domain, ...cells }) => ({
    layer: Number(layer),
    domain,
    ...Object.fromEntries(PROBED.map((column) => [column, Number(cells[column])])),
  }));
}

function domainRows(folders: readonly string[]): Row[] {
  const perRun = folders.filter(hasProbe).map(probeRows);
  return (perRun[0] ?? []).map(({ layer, domain }, i) => ({
    layer,
    domain,
    ...Object.fromEntries(PROBED.map((column) => [column, mean(perRun.map((rows) => Number(rows[i]![column])))])),
  }));
}

/** Of all assignments of a domain's tokens, the share of each expert. */
function expertRows(folder: string): Row[] {
  if (!hasProbe(folder)) return [];
  return groupBy(readCsv(join(folder, "probe-experts.csv")), "layer").flatMap((ofLayer) =>
    groupBy(ofLayer, "domain").flatMap((rows) => {
      const all = rows.reduce((sum, row) => sum + Number(row["assignments"]), 0);
      return rows.map((row) => ({
        layer: Number(row["layer"]),
        domain: row["domain"],
        expert: Number(row["expert"]),
        share: Number(row["assignments"]) / all,
      }));
    }),
  );
}

/** Of all pairs of experts that tokens chose, the share in each pair of blocks, over the share of an even spread. */
function pairRows(folder: string): Row[] {
  if (!hasProbe(folder)) return [];
  return groupBy(readCsv(join(folder, "probe-pairs.csv")), "layer").flatMap((rows) => {
    const experts = Number(rows.at(-1)!["other"]) + 1;
    const size = Math.ceil(experts / MOST_BLOCKS);
    const blocks = Math.ceil(experts / size);
    const tokens = new Float64Array(blocks * blocks);
    const pairs = new Float64Array(blocks * blocks);
    let all = 0;
    for (const row of rows) {
      const [a, b] = [Math.floor(Number(row["expert"]) / size), Math.floor(Number(row["other"]) / size)];
      tokens[a * blocks + b]! += Number(row["tokens"]);
      pairs[a * blocks + b]!++;
      all += Number(row["tokens"]);
    }
    const even = all / rows.length;
    const cells: Row[] = [];
    for (let a = 0; a < blocks; a++) {
      for (let b = a; b < blocks; b++) {
        const at = a * blocks + b;
        if (pairs[at]! > 0)
          cells.push({
            layer: Number(rows[0]!["layer"]),
            block: a,
            other: b,
            over_even: tokens[at]! / pairs[at]! / even,
          });
      }
    }
    return cells;
  });
}
