/** The results of an experiment: a CSV file a table, its figures, and a page with the question, its claims and whether they hold. */
import { join } from "node:path";
import type { TopLevelSpec } from "vega-lite";
import type { Experiment, Row } from "../experiment/experiment.ts";
import { writeWhole } from "../host/whole-file.ts";
import { csvText } from "./csv.ts";
import { writeFigure } from "./figures/render.ts";

type Tables = Readonly<Record<string, readonly Row[]>>;

/** By file name; each says in its description what it shows, for readers who cannot see it. */
export type ExperimentFigures = Readonly<Record<string, TopLevelSpec & { readonly description: string }>>;

export interface CheckedClaim {
  readonly text: string;
  readonly holds: boolean;
}

/**
 * Writes `<table>.csv`, `<figure>.svg`, `<figure>.png` and `summary.md`. A claim that does not hold is published like
 * one that does.
 * @param figures drawn from the tables; an experiment's file may export `figures(tables)` that makes them
 */
export async function writeExperiment<Options extends Readonly<Record<string, number>>, T extends Tables>(
  directory: string,
  { name, title, question, claims }: Omit<Experiment<Options, T>, "run">,
  options: Options,
  tables: T,
  figures: ExperimentFigures = {},
): Promise<CheckedClaim[]> {
  for (const [table, rows] of Object.entries(tables)) {
    const header = Object.keys(rows[0] ?? {});
    const cells = rows.map((row) => header.map((column) => row[column]));
    writeWhole(join(directory, `${table}.csv`), csvText([header, ...cells]));
  }
  for (const [figure, specification] of Object.entries(figures)) await writeFigure(directory, figure, specification);
  const checked = claims.map(({ text, holds }) => ({ text, holds: holds(tables) }));
  const settings = Object.entries(options).map(([key, value]) => `--set ${key}=${value}`);
  const page = [
    `# ${title}`,
    question,
    checked.map(({ text, holds }) => `- ${holds ? "✓" : "✗"} ${text}`).join("\n"),
    ...Object.entries(figures).map(([figure, { description }]) => `![${description}](${figure}.svg)`),
    `Tables: ${Object.keys(tables)
      .map((table) => `[${table}.csv](${table}.csv)`)
      .join(", ")}.`,
    `To reproduce: \`moge experiment ${[name, ...settings, "--force"].join(" ")}\``,
  ];
  writeWhole(join(directory, "summary.md"), `${page.join("\n\n")}\n`);
  return checked;
}
