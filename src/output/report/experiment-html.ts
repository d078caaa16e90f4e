/** The report of an experiment or sweep: `report.html` from what stands beside it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../../experiment/experiment.ts";
import { writeWhole } from "../../host/whole-file.ts";
import type { ExperimentPage } from "../experiment-report.ts";
import { reportPage } from "./html.ts";

export interface ReportTable {
  readonly rows: readonly Row[];
  /** YAML. */
  readonly config: string;
  /** Columns of `rows` for the parallel coordinates. */
  readonly compared?: readonly string[];
}

/** The figures' SVG and CSV files must be in the directory. */
export function writeExperimentReport(
  directory: string,
  page: ExperimentPage,
  { rows, config, compared = [] }: ReportTable,
): void {
  const figures = Object.entries(page.figures).map(([name, figure]) => ({
    name,
    description: figure.description,
    svg: readFileSync(join(directory, `${name}.svg`), "utf8"),
    csv: { file: `${name}.csv`, text: readFileSync(join(directory, `${name}.csv`), "utf8") },
  }));
  const { title, question, method = [], claims, command } = page;
  const by = rows[0] !== undefined && "variant" in rows[0] ? "variant" : (Object.keys(rows[0] ?? {})[0] ?? "run");
  writeWhole(
    join(directory, "report.html"),
    reportPage({ title, question, method, claims, figures, rows, compared, by, config, command }),
  );
}
