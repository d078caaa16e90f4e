/** `moge experiment`: carries an experiment of `experiments/` out, and says which of its claims hold. */
import { join } from "node:path";
import type { CommandModule } from "yargs";
import type { Tables, TrainedExperiment } from "../experiment/experiment.ts";
import type { CheckedClaim, ExperimentPage } from "../output/experiment-report.ts";
import { type ComputedExperiment, type ExperimentFile, experimentNames, loadExperiment } from "./experiment-files.ts";
import { exitCodes, UsageError } from "./failure.ts";
import { wrapped } from "./format.ts";
import { listenForSignals } from "./interruption.ts";
import { jobsOption, progressOption, resultOptions, setOption } from "./options.ts";
import type { ProgressMode } from "./progress-modes.ts";

interface Arguments {
  name: string;
  results: string;
  force: boolean;
  quick: boolean;
  jobs?: number;
  progress: ProgressMode;
  set: string[];
}

export const experimentCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("name", { type: "string", demandOption: true, describe: "which; moge experiments lists them" })
      .option("quick", { type: "boolean", default: false, describe: "small, to see that it works; into <name>-quick" })
      .options(resultOptions)
      .option("jobs", jobsOption)
      .option("progress", progressOption)
      .option("set", { ...setOption, describe: "change an option or a value of the config" }) as never,
  handler: async (args) => {
    if (!experimentNames().includes(args.name)) {
      throw new UsageError(`there is no experiment "${args.name}"; there are ${experimentNames().join(", ")}`);
    }
    const file = await loadExperiment(args.name);
    const claims =
      "sweep" in file.experiment
        ? await train(file.experiment, file, args)
        : await compute(file.experiment, file, args);
    if (claims === undefined) return;
    for (const { text, holds, found } of claims) {
      const line = `${holds ? "✓" : "✗"} ${text}${found === undefined ? "" : ` (${found})`}`;
      process.stdout.write(`${wrapped(line, 80).replaceAll("\n", "\n  ")}\n`);
    }
    process.stderr.write(`results are in ${directoryOf(args)}: report.html, summary.md, figures and tables\n`);
    if (claims.some(({ holds }) => !holds)) process.exitCode = exitCodes.checkFailed;
  },
};

const folderName = ({ name, quick }: Arguments) => (quick ? `${name}-quick` : name);
const directoryOf = (args: Arguments) => join(args.results, folderName(args));

type Asked = Pick<Arguments, "name" | "quick" | "set">;

const commandOf = ({ name, quick, set }: Asked) =>
  ["moge experiment", name, ...(quick ? ["--quick"] : []), ...set.map((setting) => `--set ${setting}`)].join(" ");

/** What the report of an experiment that is worked out in one go says, whether its tables are new or were read. */
export async function computedPage(
  { experiment, figures }: { readonly experiment: ComputedExperiment; readonly figures?: ExperimentFile["figures"] },
  quick: boolean,
  options: Readonly<Record<string, number>>,
  tables: Tables,
) {
  const [{ stringify }, { checkClaims }] = await Promise.all([
    import("yaml"),
    import("../output/experiment-report.ts"),
  ]);
  const set = Object.entries(options).map(([key, value]) => `${key}=${value}`);
  const page: ExperimentPage = {
    ...experiment,
    claims: checkClaims(experiment.claims, tables),
    figures: figures?.(tables) ?? {},
    command: commandOf({ name: experiment.name, quick, set }),
  };
  const rows = tables["summary"] ?? Object.values(tables)[0] ?? [];
  return { page, table: { rows, config: stringify(options) } };
}

/** Worked out in one go. */
async function compute(
  experiment: ComputedExperiment,
  { figures }: ExperimentFile,
  args: Arguments,
): Promise<CheckedClaim[]> {
  const options = withSettings(experiment, args);
  const [{ stringify }, { writeExperiment }, directories, { programVersion }, { rmSync }, { writeExperimentReport }] =
    await Promise.all([
      import("yaml"),
      import("../output/experiment-report.ts"),
      import("../run/directory.ts"),
      import("../run/program-version.ts"),
      import("node:fs"),
      import("../output/report/experiment-html.ts"),
    ]);
  const directory = directories.claimRunDirectory(
    args.results,
    folderName(args),
    stringify(options),
    args.force ? "anything" : "nothing",
  );
  try {
    const tables = await experiment.run(options);
    const { page, table } = await computedPage({ experiment, figures }, args.quick, options, tables);
    await writeExperiment(directory.partial, page, tables);
    writeExperimentReport(directory.partial, page, table);
    directories.completeRunDirectory(directory, programVersion());
    return [...page.claims];
  } catch (error) {
    rmSync(directory.partial, { recursive: true, force: true });
    throw error;
  }
}

/** A sweep: what was interrupted goes on, what is done is not done again. */
async function train(
  experiment: TrainedExperiment,
  { figures }: ExperimentFile,
  args: Arguments,
): Promise<CheckedClaim[] | undefined> {
  const [
    { planExperiment, reportExperiment },
    { writePlan },
    { sweepState },
    { makeFolders },
    { dropLeftovers },
    { runHere },
    { announceSweep, sayOutcome },
  ] = await Promise.all([
    import("../run/trained-experiment.ts"),
    import("../run/sweep-plan.ts"),
    import("../run/sweep-state.ts"),
    import("../run/directory.ts"),
    import("../host/whole-file.ts"),
    import("./sweep-here.ts"),
    import("./sweep-report.ts"),
  ]);
  const changed = args.quick || args.set.length > 0 ? { command: commandOf(args) } : {};
  const plan = { ...(await planExperiment(experiment, args)), ...changed };
  const directory = directoryOf(args);
  makeFolders(directory);
  dropLeftovers(directory);
  writePlan(directory, plan);
  const before = sweepState(directory, plan, true);
  announceSweep(plan, before, args.force);
  const interruption = listenForSignals("stopping; what runs is saved, and the same command goes on from there");
  const options = { formats: {}, jobs: args.jobs, retries: 1, failFast: false, force: args.force };
  const after = await runHere(directory, plan, before, {
    options,
    progress: args.progress,
    signal: interruption.signal,
  });
  if (after.some(({ state }) => state !== "done")) {
    sayOutcome(directory, after);
    process.exitCode = interruption.signal.aborted ? interruption.exitCode() : exitCodes.partlyFailed;
    return undefined;
  }
  return reportExperiment(directory, plan, after, experiment, figures, commandOf(args));
}

/** More trials than anybody waits for. */
const MOST = 1e7;

/** The experiment's defaults, changed by `--quick` and `--set key=number`. */
function withSettings({ name, defaults, quick }: ComputedExperiment, args: Arguments): Record<string, number> {
  const options: Record<string, number> = { ...defaults };
  if (args.quick) for (const [key, value] of Object.entries(quick ?? {})) options[key] = value!;
  for (const setting of args.set) {
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
