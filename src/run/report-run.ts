/** The report of one run: its variants side by side, from the files that it left. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Row } from "../experiment/experiment.ts";
import { writeWhole } from "../host/whole-file.ts";
import { conclusion } from "../output/conclusion.ts";
import { readCsv } from "../output/csv.ts";
import { figures } from "../output/figures/figures.ts";
import { reportPage } from "../output/report/html.ts";
import { readSummary } from "../output/summary-rows.ts";
import { RunRefusedError } from "./refusal.ts";

/** @throws RunRefusedError if the folder holds no finished run */
export function reportRun(directory: string): void {
  const [configFile, summary] = ["config.yaml", "summary.csv"].map((name) => join(directory, name));
  if (!existsSync(configFile!) || !existsSync(summary!)) {
    throw new RunRefusedError(`${directory} holds neither a sweep nor a finished run; give a folder of results`);
  }
  const config = readFileSync(configFile!, "utf8");
  const { name = "run", description = "" } = parse(config) as { name?: string; description?: string };
  const rows: Row[] = readCsv(summary!).map(({ variant = "", ...cells }) => ({
    run: variant,
    ...Object.fromEntries(
      Object.entries(cells).map(([column, cell]) => [column, cell === "" ? undefined : Number(cell)]),
    ),
  }));
  const drawn = Object.entries(figures)
    .filter(([figure]) => existsSync(join(directory, `${figure}.svg`)))
    .map(([figure, { description: shows, rows: file }]) => ({
      name: figure,
      description: shows,
      svg: readFileSync(join(directory, `${figure}.svg`), "utf8"),
      csv: { file, text: readFileSync(join(directory, file), "utf8") },
    }));
  const page = reportPage({
    title: name,
    question: description,
    method: conclusion(readSummary(directory)),
    claims: [],
    figures: drawn,
    rows,
    compared: [
      "run",
      "validation_loss_nats_per_byte",
      "imbalance_score_mean",
      "expert_max_over_mean",
      "fan_out_devices_per_token",
      "simulated_step_seconds",
    ],
    by: "run",
    config,
    command: "moge run config.yaml --results again",
  });
  writeWhole(join(directory, "report.html"), page);
}
