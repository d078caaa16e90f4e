/** The routing of a cost config: synthetic, read from a table, or trained on the spot. */

import type { Routing } from "../cluster/job.ts";
import type { Layout } from "../cluster/layout.ts";
import { profileOfModel } from "../cluster/limited-profile.ts";
import { layeredRouting } from "../cluster/routings.ts";
import type { CostJob } from "../config/cost-job.ts";
import { ConfigError } from "../config/problem.ts";
import { distinctMicroBatches, isSynthetic, syntheticRouting } from "../config/synthetic-routing.ts";
import { trainRouting } from "../experiment/trained-routing.ts";
import { openData } from "../host/open-data.ts";
import { openEngine } from "../host/open-engine.ts";
import { readConfig } from "../host/read-config.ts";
import { type CsvRow, readCsv } from "../output/csv.ts";

/** @param say told before a training run starts @throws ConfigError when a table or a run does not fit */
export async function openRouting({ config, job }: CostJob, say: (text: string) => void): Promise<Routing> {
  const { routing } = config;
  if (job.model.experts === 0 || isSynthetic(routing.kind)) return syntheticRouting(config, job);
  const layers = job.model.layers - job.model.denseLayers;
  if (routing.kind === "table") {
    const { profiles, title } = tableProfiles(routing.file!, routing.variant, job);
    return layeredRouting(title, profiles, layers);
  }
  return trained(routing.run!, routing.variant, { config, job }, say);
}

/** The routing under every layout of a search: synthetic skew depends on how many devices share the experts. */
export async function openPlannedRouting(
  { config, job }: CostJob,
  say: (text: string) => void,
): Promise<(layout: Layout) => Routing> {
  if (job.model.experts > 0 && !isSynthetic(config.routing.kind)) {
    const routing = await openRouting({ config, job }, say);
    return () => routing;
  }
  const known = new Map<string, Routing>();
  return (layout) => {
    // Of all micro-batches that are searched those of one sequence are most.
    const one = { ...job, layout, batch: { ...job.batch, microBatch: 1 } };
    const key = `${layout.expert} ${distinctMicroBatches(config, one)}`;
    const routing = known.get(key) ?? syntheticRouting(config, one);
    known.set(key, routing);
    return routing;
  };
}

function problem(key: string, where: string, message: string): ConfigError {
  return new ConfigError([{ where, key, message }]);
}

/** Loads of a CSV file, a row a layer and expert. Of several variants and steps, the named variant and the last step. */
function tableProfiles(file: string, variant: string | undefined, { model }: CostJob["job"]) {
  let rows: CsvRow[];
  try {
    rows = readCsv(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw problem(
      "routing.file",
      file,
      `cannot be read (${code ?? message.split("\n")[0]}); give the path of a CSV file`,
    );
  }
  const header = Object.keys(rows[0] ?? {});
  const column = ["assignments", "share"].find((name) => header.includes(name));
  if (rows.length === 0 || column === undefined || !header.includes("layer") || !header.includes("expert")) {
    throw problem("routing.file", file, "needs rows with the columns layer, expert, and assignments or share");
  }
  const own = selected(rows, variant, file);
  const title = `loads of ${file}${variant === undefined ? "" : `, ${variant}`}`;
  const loads = loadsByLayer(own, column, model.experts, file);
  const byShare = column === "share";
  const totals = [...loads].map(([layer, load]) => ({ layer, total: load.reduce((sum, each) => sum + each, 0) }));
  for (const { layer, total } of totals) {
    const wanted = byShare ? 1 : totals[0]!.total;
    if (Math.abs(total - wanted) <= 1e-6 * wanted && total > 0 && Number.isFinite(total)) continue;
    const of = byShare ? "1" : `the ${wanted} of layer ${totals[0]!.layer}`;
    const expected = Number.isFinite(total) && wanted > 0 ? `not to ${of}` : "which are no loads";
    const what = byShare ? "shares" : "assignments";
    throw problem(
      "routing.file",
      file,
      `the ${what} of layer ${layer} add up to ${total}, ${expected}; correct the table`,
    );
  }
  return { title, profiles: [...loads.values()].map((load) => profileOfModel(title, load, model)) };
}

function selected(rows: CsvRow[], variant: string | undefined, file: string): CsvRow[] {
  const variants = [...new Set(rows.map((row) => row["variant"] ?? ""))];
  if (variant === undefined && variants.length > 1) {
    throw problem("routing.variant", file, `holds several variants; name one of ${variants.join(", ")}`);
  }
  if (variant !== undefined && !variants.includes(variant)) {
    throw problem("routing.variant", file, `holds no variant "${variant}"; it has ${variants.join(", ")}`);
  }
  const own = variant === undefined ? rows : rows.filter((row) => row["variant"] === variant);
  const last = Math.max(...own.map((row) => Number(row["step"] ?? 0)));
  return own.filter((row) => Number(row["step"] ?? 0) === last);
}

function loadsByLayer(rows: CsvRow[], column: string, experts: number, file: string): Map<number, Float64Array> {
  const loads = new Map<number, Float64Array>();
  const seen = new Set<string>();
  for (const row of rows) {
    const [layer, expert, load] = [Number(row["layer"]), Number(row["expert"]), Number(row[column])];
    if (!(Number.isInteger(layer) && Number.isInteger(expert) && expert >= 0 && expert < experts)) {
      const message = `layer ${row["layer"]}, expert ${row["expert"]}: the model has experts 0 … ${experts - 1}`;
      throw problem("routing.file", file, message);
    }
    if (!(load >= 0 && Number.isFinite(load))) {
      throw problem("routing.file", file, `layer ${layer}, expert ${expert}: ${column} "${row[column]}" is not a load`);
    }
    const own = loads.get(layer) ?? new Float64Array(experts);
    const key = `${layer} ${expert}`;
    if (seen.has(key)) {
      throw problem("routing.file", file, `layer ${layer}, expert ${expert}: has two rows; leave one of them out`);
    }
    seen.add(key);
    own[expert] = load;
    loads.set(layer, own);
  }
  return new Map([...loads].sort(([a], [b]) => a - b));
}

async function trained(
  name: string,
  variant: string | undefined,
  { job }: CostJob,
  say: (text: string) => void,
): Promise<Routing> {
  const { variants } = await readConfig(name, []);
  const chosen =
    variant === undefined && variants.length === 1 ? variants[0] : variants.find((each) => each.name === variant);
  if (chosen === undefined) {
    const names = variants.map((each) => each.name).join(", ");
    throw problem("routing.variant", name, `name one of its variants: ${names}`);
  }
  const { model, target, training } = chosen.config;
  for (const key of ["experts", "topK", "groups"] as const) {
    const wanted = job.model[key];
    const isMoge = chosen.config.router.selection === "moge";
    const grouped = job.model.limit === undefined && wanted > 1;
    const stands = key === "groups" && !grouped ? !isMoge : model[key] === wanted;
    if (stands) continue;
    throw problem(
      "routing.run",
      name,
      `model.${key} ${model[key]} cannot stand for the ${wanted} of ${job.model.title}`,
    );
  }
  if (target === undefined || model.feedForward === "dense") {
    throw problem(
      "routing.run",
      name,
      "needs experts and a target section, which says over how many steps tokens are pooled",
    );
  }
  say(`training ${name}, variant ${chosen.name}, for its routing: ${training.steps} steps`);
  const engine = await openEngine(chosen.config);
  try {
    const title = `trained routing of ${name}, ${chosen.name}`;
    const { profiles } = trainRouting(title, chosen.config, engine, openData(chosen.config, "."));
    return layeredRouting(title, profiles, job.model.layers - job.model.denseLayers);
  } finally {
    engine.close();
  }
}
