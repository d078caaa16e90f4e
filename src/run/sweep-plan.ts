/**
 * The plan of a sweep: its runs, each an id and what it changes of the base. It is one file, `sweep.json`, that any
 * machine can carry out without the files that it was made from. State is never in it: that is read off the runs.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { type Layer, over, settingsLayer, type Tree } from "../config/layers.ts";
import { ConfigError, type Problem } from "../config/problem.ts";
import { type ConfigLayers, resolveRun } from "../config/resolve.ts";
import type { RunConfig } from "../config/schema.ts";
import { identityText } from "../experiment/identity.ts";
import { type ReadSweep, readSweepFile } from "../experiment/sweep-file.ts";
import { countPoints, isExcluded, type Settings, sweepPoints } from "../experiment/sweep-points.ts";
import { shellWord } from "../host/executors/shell-word.ts";
import { packageDirectory } from "../host/package-directory.ts";
import { configText, readConfigLayers } from "../host/read-config.ts";
import { writeWhole } from "../host/whole-file.ts";
import { programVersion } from "./program-version.ts";
import { RunRefusedError } from "./refusal.ts";

/** Of the files of a sweep; a folder with another one was written by another version. */
export const SWEEP_FORMAT = 1;

export interface PlannedRun {
  /** Hash of the resolved config. */
  readonly id: string;
  readonly variant: string;
  readonly seed: number;
  /** What it changes of its variant, the seed apart. */
  readonly set: Settings;
}

export interface SweepPlan {
  readonly format: typeof SWEEP_FORMAT;
  /** Version of the program. */
  readonly moge: string;
  readonly name: string;
  readonly description?: string;
  /** What was typed to make it, where its name alone does not say. */
  readonly command?: string;
  readonly base: Tree;
  readonly variants: readonly { readonly name: string; readonly tree: Tree }[];
  /** Dotted key → where it was written: of the base, of each variant, of the sweep file's own. */
  readonly origins: {
    readonly base: Readonly<Record<string, string>>;
    readonly variants: Readonly<Record<string, Readonly<Record<string, string>>>>;
    readonly varied: Readonly<Record<string, string>>;
  };
  /** Keys that differ between runs, `variant` and `seed` among them, in the order of the file. */
  readonly axes: readonly string[];
  readonly runs: readonly PlannedRun[];
}

export interface PlanOptions {
  /** Instead of the file's. */
  readonly seeds?: number | undefined;
  readonly maxRuns: number;
  /** `--set` flags, over the base. */
  readonly sets: readonly string[];
}

/** The id of a run: 48 bits of the sha256 of its resolved config. */
export const runId = (config: RunConfig): string =>
  createHash("sha256").update(identityText(config)).digest("hex").slice(0, 12);

/** @throws ConfigError with every problem found */
export async function planSweepFile(path: string, options: PlanOptions): Promise<SweepPlan> {
  let text: string;
  try {
    text = configText(path);
  } catch (error) {
    throw new ConfigError([{ where: path, key: "", message: (error as Error).message }]);
  }
  const read = readSweepFile(text, path);
  const beside = join(dirname(path), read.file.base);
  const base = existsSync(beside) ? beside : read.file.base;
  return {
    ...planSweep(read, await readConfigLayers(base, options.sets), options),
    command: commandFor(path, options),
  };
}

const commandFor = (path: string, { sets, seeds }: PlanOptions): string =>
  [
    "moge sweep",
    shellWord(path),
    ...sets.map((set) => `--set ${shellWord(set)}`),
    ...(seeds === undefined ? [] : [`--seeds ${seeds}`]),
  ].join(" ");

/** @throws ConfigError with every problem found */
export function planSweep({ file, layer }: ReadSweep, config: ConfigLayers, options: PlanOptions): SweepPlan {
  const seeds = options.seeds ?? file.seeds ?? 1;
  const base = file.set ? over(config.base, settingsFrom(file.set, layer, "set")) : config.base;
  const variants = file.variants
    ? file.variants.map(({ name, set }, i) => ({ name, change: settingsFrom(set, layer, `variants.${i}.set`) }))
    : config.variants;
  refuseTooMany(countPoints(file) * variants.length * seeds, options.maxRuns, layer);
  const origins = pointOrigins(file, layer);
  const problems: Problem[] = [];
  const runs = new Map<string, PlannedRun>();
  for (const { name: variant, change } of variants) {
    const changed = over(base, change);
    for (const set of sweepPoints(file)) {
      const layerOf = over(changed, settingsLayer(set, layer.where, origins));
      const first = Number(layerOf.tree["seed"] ?? 1);
      for (let seed = first; seed < first + seeds; seed++) {
        if (isExcluded({ ...set, variant, seed }, file.exclude)) continue;
        const config = attempt(() => resolveRun(withSeed(layerOf, seed)), problems);
        if (config === undefined) continue;
        const id = runId(config);
        if (!runs.has(id)) runs.set(id, { id, variant, seed, set });
      }
    }
  }
  if (problems.length > 0) throw new ConfigError(distinct(problems));
  if (runs.size === 0) {
    throw new ConfigError([
      { where: layer.origins.get("exclude") ?? layer.where, key: "exclude", message: "leaves no run; exclude less" },
    ]);
  }
  return {
    format: SWEEP_FORMAT,
    moge: programVersion(),
    name: file.name,
    ...(file.description !== undefined && { description: file.description }),
    base: base.tree,
    variants: variants.map(({ name, change }) => ({ name, tree: change.tree })),
    origins: {
      base: withoutPlaces(base.origins),
      variants: Object.fromEntries(variants.map(({ name, change }) => [name, withoutPlaces(change.origins)])),
      varied: withoutPlaces(origins),
    },
    axes: axesOf(variants.length, seeds, [...runs.values()]),
    runs: [...runs.values()],
  };
}

/** Origins without where this package happens to lie: a plan is the same on every machine. */
const withoutPlaces = (origins: Layer["origins"]): Readonly<Record<string, string>> =>
  Object.fromEntries([...origins].map(([key, where]) => [key, where.replaceAll(`${packageDirectory()}${sep}`, "")]));

const settingsFrom = (set: Tree, { origins, where }: Layer, at: string): Layer =>
  settingsLayer(set, origins.get(at) ?? where, originsBelow(origins, at, Object.keys(set)));

const originsBelow = (origins: Layer["origins"], at: string, keys: readonly string[]): Layer["origins"] =>
  new Map(keys.flatMap((key) => (origins.has(`${at}.${key}`) ? [[key, origins.get(`${at}.${key}`)!] as const] : [])));

/** Where each varied key is written in the sweep's file. */
function pointOrigins({ grid = {}, zip = {}, random, list = [] }: ReadSweep["file"], layer: Layer): Layer["origins"] {
  const keys = (axis: object) => Object.keys(axis);
  return new Map([
    ...list.flatMap((entry, i) => [...originsBelow(layer.origins, `list.${i}`, keys(entry))]),
    ...originsBelow(layer.origins, "grid", keys(grid)),
    ...originsBelow(layer.origins, "zip", keys(zip)),
    ...originsBelow(layer.origins, "random.values", keys(random?.values ?? {})),
  ]);
}

function refuseTooMany(count: number, maxRuns: number, layer: Layer): void {
  if (count <= maxRuns) return;
  const message = `${count.toLocaleString("en-US")} runs are more than ${maxRuns.toLocaleString("en-US")}; vary less, or allow them with --max-runs ${count}`;
  throw new ConfigError([{ where: layer.where, key: "", message }]);
}

const withSeed = (layer: Layer, seed: number): Layer => ({ ...layer, tree: { ...layer.tree, seed } });

function attempt(resolved: () => RunConfig, problems: Problem[]): RunConfig | undefined {
  try {
    return resolved();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (problems.length < MOST_PROBLEMS) problems.push(...error.problems);
    return undefined;
  }
}

const MOST_PROBLEMS = 1000;

const distinct = (problems: readonly Problem[]): Problem[] => [
  ...new Map(problems.map((problem) => [`${problem.where} ${problem.key} ${problem.message}`, problem])).values(),
];

function axesOf(variants: number, seeds: number, runs: readonly PlannedRun[]): string[] {
  const keys = [...new Set(runs.flatMap(({ set }) => Object.keys(set)))];
  const varied = keys.filter((key) => new Set(runs.map(({ set }) => JSON.stringify(set[key]))).size > 1);
  return [...(variants > 1 ? ["variant"] : []), ...varied, ...(seeds > 1 ? ["seed"] : [])];
}

/** The config of a planned run, named by its id. @throws RunRefusedError if this version makes another run of it */
export function plannedConfig(plan: SweepPlan, run: PlannedRun): RunConfig {
  const variant = plan.variants.find(({ name }) => name === run.variant);
  const layer = (tree: Tree): Layer => ({ tree, origins: new Map(), where: "sweep.json" });
  const point = settingsLayer(run.set, "sweep.json");
  const config = resolveRun(withSeed(over(over(layer(plan.base), layer(variant?.tree ?? {})), point), run.seed));
  const { description: _, ...rest } = config;
  if (runId(config) !== run.id) {
    throw new RunRefusedError(
      `run ${run.id} was planned by moge ${plan.moge}, and this version resolves it to ${runId(config)}; plan it again with moge sweep`,
    );
  }
  return { ...rest, name: run.id };
}

export const planFile = (directory: string): string => join(directory, "sweep.json");

export function writePlan(directory: string, plan: SweepPlan): void {
  writeWhole(planFile(directory), `${JSON.stringify(plan, null, 1)}\n`);
}

/** @throws RunRefusedError if there is none, or one of another version */
export function readPlan(directory: string, path = planFile(directory)): SweepPlan {
  let plan: Partial<SweepPlan>;
  try {
    plan = JSON.parse(readFileSync(path, "utf8")) as Partial<SweepPlan>;
  } catch (error) {
    const missing = ["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
    throw new RunRefusedError(
      missing
        ? `${resolve(directory)} holds no sweep (${path} is missing); give the folder of one, such as results/<name>`
        : `${path} is damaged; plan the sweep again with moge sweep FILE`,
    );
  }
  if (plan.format !== SWEEP_FORMAT) {
    throw new RunRefusedError(
      `${path} is of another version of moge (format ${String(plan.format)}, this one has ${SWEEP_FORMAT}); use that version, or plan the sweep again in another folder with --results`,
    );
  }
  return plan as SweepPlan;
}
