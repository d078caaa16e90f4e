/** The results of an experiment: a CSV file a table, its figures, and a page with the question, its claims and whether they hold. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Claim, Row, Tables } from "../experiment/experiment.ts";
import { writeWhole } from "../host/whole-file.ts";
import { type CsvRow, readCsv } from "./csv.ts";
import { csvText } from "./csv-text.ts";
import type { DescribedFigure } from "./figures/experiment-figures.ts";
import { figureRows } from "./figures/figure-rows.ts";
import { writeFigure } from "./figures/render.ts";

/** By file name; each says in its description what it shows, for readers who cannot see it. */
export type ExperimentFigures = Readonly<Record<string, DescribedFigure>>;

export interface CheckedClaim {
  readonly text: string;
  readonly holds: boolean;
  /** The numbers that decide it. */
  readonly found?: string | undefined;
}

export interface ExperimentPage {
  readonly title: string;
  readonly question: string;
  readonly method?: readonly string[];
  readonly claims: readonly CheckedClaim[];
  readonly figures: ExperimentFigures;
  /** Shell command that gives it again. */
  readonly command: string;
}

/** A claim that cannot be decided, for want of rows, does not hold, and says why. */
export function checkClaims<T extends Tables>(claims: readonly Claim<T>[], tables: T): CheckedClaim[] {
  return claims.map(({ text, holds, found }) => {
    try {
      return { text, holds: holds(tables), found: found?.(tables) };
    } catch (error) {
      return { text, holds: false, found: `not decided: ${(error as Error).message}` };
    }
  });
}

/**
 * Writes `<table>.csv`, `<figure>.svg`, `.png` and `.csv`, and `summary.md`. A figure that is called like a table shows
 * that table. A claim that does not hold is published like one that does.
 */
export async function writeExperiment(directory: string, page: ExperimentPage, tables: Tables): Promise<void> {
  const written = Object.entries(tables).filter(([, rows]) => rows.length > 0);
  for (const [table, rows] of written) writeWhole(join(directory, `${table}.csv`), tableText(rows));
  for (const [name, figure] of Object.entries(page.figures)) {
    await writeFigure(directory, name, figure);
    if (tables[name] === undefined) writeWhole(join(directory, `${name}.csv`), tableText(figureRows(figure)));
  }
  const paragraphs = [
    `# ${page.title}`,
    page.question,
    ...(page.method ?? []),
    page.claims.map(claimLine).join("\n"),
    ...Object.entries(page.figures).map(([figure, { description }]) => `![${description}](${figure}.svg)`),
    `Tables: ${written.map(([table]) => `[${table}.csv](${table}.csv)`).join(", ")}.`,
    `To reproduce: \`${page.command}\``,
  ];
  writeWhole(join(directory, "summary.md"), `${paragraphs.join("\n\n")}\n`);
}

const claimLine = ({ text, holds, found }: CheckedClaim) =>
  `- ${holds ? "✓" : "✗"} ${text}${found === undefined ? "" : ` (${found})`}`;

/** The tables beside a `summary.md`, in its order; numbers have the digits that they were written with. */
export function readTables(directory: string): Tables {
  const [, list = ""] = /^Tables: (.*)$/m.exec(readFileSync(join(directory, "summary.md"), "utf8")) ?? [];
  const names = [...list.matchAll(/\[(.+?)\.csv\]/g)].map(([, name]) => name!);
  return Object.fromEntries(names.map((name) => [name, typed(readCsv(join(directory, `${name}.csv`)))]));
}

/** A column is of numbers when all of its cells are, or empty; ids of runs may look like numbers and are none. */
function typed(rows: readonly CsvRow[]): Row[] {
  const isNumber = (column: string) => column !== "run" && rows.every((row) => Number.isFinite(Number(row[column])));
  const numbers = new Set(Object.keys(rows[0] ?? {}).filter(isNumber));
  const cell = (column: string, text: string) => (text === "" ? undefined : numbers.has(column) ? Number(text) : text);
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).map(([column, text]) => [column, cell(column, text)])),
  );
}

/** Columns in order of first appearance. */
export function tableText(rows: readonly Row[]): string {
  const header = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return csvText([header, ...rows.map((row) => header.map((column) => row[column]))]);
}
