/** `moge experiment`: runs an experiment of `experiments/`, writes its tables and says which of its claims hold. */
import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { CommandModule } from "yargs";
import type { Experiment, Row } from "../experiment/experiment.ts";
import type { CheckedClaim, ExperimentFigures } from "../output/experiment-report.ts";
import { exitCodes, UsageError } from "./failure.ts";
import { resultOptions, setOption } from "./options.ts";

type Tables = Readonly<Record<string, readonly Row[]>>;
type AnyExperiment = Experiment<Record<string, number>, Tables, Tables | Promise<Tables>>;

/** What a file of `experiments/` exports. */
interface ExperimentFile {
  readonly experiment: AnyExperiment;
  figures?(tables: Tables): ExperimentFigures;
}

/** `experiments/` lies beside `src/`, in the sources as in `dist/`. */
const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "experiments");

interface Arguments {
  name?: string;
  results: string;
  force: boolean;
  set: string[];
}

export const experimentCommand: CommandModule<object, Arguments> = {
  command: "experiment [name]",
  describe: "run one of the experiments, or list them",
  builder: (yargs) =>
    yargs
      .positional("name", { type: "string", describe: "which experiment; none: list them" })
      .options(resultOptions)
      .option("set", { ...setOption, describe: "change an option of the experiment, e.g. --set trials=1000" }),
  handler: async ({ name, results, force, set }) => {
    if (name === undefined) return list();
    const { experiment, figures } = await load(name);
    const options = withSettings(experiment, set);
    const [{ stringify }, { writeExperiment }, { claimRunDirectory, completeRunDirectory }] = await Promise.all([
      import("yaml"),
      import("../output/experiment-report.ts"),
      import("../run/directory.ts"),
    ]);
    const directory = claimRunDirectory(results, name, stringify(options), force);
    let claims: CheckedClaim[];
    try {
      const tables = await experiment.run(options);
      claims = await writeExperiment(directory.partial, experiment, options, tables, figures?.(tables));
      completeRunDirectory(directory);
    } catch (error) {
      rmSync(directory.partial, { recursive: true, force: true });
      throw error;
    }
    for (const { text, holds } of claims) process.stdout.write(`${holds ? "✓" : "✗"} ${text}\n`);
    process.stderr.write(`results are in ${directory.final}\n`);
    if (claims.some(({ holds }) => !holds)) process.exitCode = exitCodes.checkFailed;
  },
};

function names(): string[] {
  return readdirSync(folder)
    .filter((file) => /(?<!\.d)\.(ts|js)$/.test(file))
    .map((file) => file.replace(/\.(ts|js)$/, ""))
    .sort();
}

async function load(name: string): Promise<ExperimentFile> {
  if (!names().includes(name))
    throw new UsageError(`there is no experiment "${name}"; there are ${names().join(", ")}`);
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return (await import(pathToFileURL(join(folder, `${name}.${extension}`)).href)) as ExperimentFile;
}

async function list(): Promise<void> {
  for (const name of names()) {
    const { title, question } = (await load(name)).experiment;
    process.stdout.write(`${name}: ${title}\n  ${question}\n`);
  }
}

/** More trials than anybody waits for. */
const MOST = 1e7;

/** The experiment's defaults, changed by `--set key=number`. */
function withSettings({ name, defaults }: AnyExperiment, settings: readonly string[]): Record<string, number> {
  const options = { ...defaults };
  for (const setting of settings) {
    const [, key = "", text = ""] = /^([^=]+)=(.+)$/.exec(setting) ?? [];
    const value = Number(text);
    if (!(key in options)) {
      throw new UsageError(`--set ${setting}: ${name} has the options ${Object.keys(defaults).join(", ")}`);
    }
    if (!(Number.isSafeInteger(value) && value >= 1 && value <= MOST)) {
      throw new UsageError(`--set ${setting}: expected a whole number from 1 to ${MOST}`);
    }
    options[key] = value;
  }
  return options;
}
