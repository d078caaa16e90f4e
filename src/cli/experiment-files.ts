/** The files of `experiments/`, which lies beside `src/`, in the sources as in `dist/`. */
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Experiment, Tables, TrainedExperiment } from "../experiment/experiment.ts";
import type { ExperimentFigures } from "../output/experiment-report.ts";

/** One that is worked out in one go, whatever its options and tables. */
export type ComputedExperiment = Experiment<Record<string, number>, Tables, Tables | Promise<Tables>>;

/** What a file of `experiments/` exports. */
export interface ExperimentFile {
  readonly experiment: ComputedExperiment | TrainedExperiment;
  figures?(tables: Tables): ExperimentFigures;
}

const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "experiments");

export const experimentNames = (): string[] =>
  readdirSync(folder)
    .filter((file) => /(?<!\.d)\.(ts|js)$/.test(file))
    .map((file) => file.replace(/\.(ts|js)$/, ""))
    .sort();

export async function loadExperiment(name: string): Promise<ExperimentFile> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return (await import(pathToFileURL(join(folder, `${name}.${extension}`)).href)) as ExperimentFile;
}
