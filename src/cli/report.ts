/** `moge report`: makes the report of a sweep, experiment or run anew from its files. */
import { basename, join, resolve } from "node:path";
import type { CommandModule } from "yargs";
import type { SweepPlan } from "../run/sweep-plan.ts";
import type { RunStatus } from "../run/sweep-state.ts";
import type { ExperimentFile } from "./experiment-files.ts";
import { UsageError } from "./failure.ts";

interface Arguments {
  directory: string;
  parquet: boolean;
  report: boolean;
}

export const reportCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("directory", { type: "string", demandOption: true, describe: "folder of a result" })
      .option("parquet", { type: "boolean", default: false, describe: "a Parquet file for each table of a sweep, too" })
      .option("report", {
        type: "boolean",
        default: true,
        describe: "figures and the page; --no-report: tables alone",
      }),
  handler: async (args) => {
    const { directory, report } = args;
    const [{ existsSync }, { planFile, readPlan }] = await Promise.all([
      import("node:fs"),
      import("../run/sweep-plan.ts"),
    ]);
    const file = await experimentOf(directory);
    if (existsSync(planFile(directory))) await reportPlanned(args, readPlan(directory), file);
    else if (file !== undefined && (await isItsPage(directory, file))) await reportComputed(directory, file);
    else (await import("../run/report-run.ts")).reportRun(directory);
    process.stderr.write(`${directory}/${report ? "report.html" : "runs.csv"}\n`);
  },
};

/** The experiment that a folder is called after. */
async function experimentOf(directory: string): Promise<ExperimentFile | undefined> {
  const { experimentNames, loadExperiment } = await import("./experiment-files.ts");
  const name = basename(resolve(directory)).replace(/-quick$/, "");
  return experimentNames().includes(name) ? loadExperiment(name) : undefined;
}

/** A run or sweep of somebody's own may be called like an experiment. */
async function isItsPage(directory: string, { experiment }: ExperimentFile): Promise<boolean> {
  const { existsSync, readFileSync } = await import("node:fs");
  const page = join(directory, "summary.md");
  return existsSync(page) && readFileSync(page, "utf8").startsWith(`# ${experiment.title}\n`);
}

/** From the runs that are there; of an experiment without any, from the tables that they came to. */
async function reportPlanned(
  { directory, parquet, report }: Arguments,
  plan: SweepPlan,
  file: ExperimentFile | undefined,
): Promise<void> {
  const { sweepState } = await import("../run/sweep-state.ts");
  const statuses = sweepState(directory, plan, true);
  const done = statuses.filter(({ state }) => state === "done").length;
  const command = plan.command ?? `moge experiment ${plan.name}`;
  const isOurs = file !== undefined && plan.description === file.experiment.title;
  if (report && isOurs && "sweep" in file.experiment && (done === 0 || done === plan.runs.length)) {
    const { reportExperiment, reportTrainedTables } = await import("../run/trained-experiment.ts");
    const { experiment, figures } = file;
    if (done === 0) return reportTrainedTables(directory, plan, experiment, figures, command);
    await reportExperiment(directory, plan, statuses, experiment, figures, command);
    if (parquet) await writeParquet(directory, plan, statuses);
    return;
  }
  if (done === 0) {
    throw new UsageError(
      `${directory}: none of its ${plan.runs.length} runs is there; its report stays as it is: carry them out with ${plan.command ?? "moge sweep"}`,
    );
  }
  const { reportSweep } = await import("../run/report-sweep.ts");
  await reportSweep(directory, plan, statuses, { parquet, page: report });
}

async function writeParquet(directory: string, plan: SweepPlan, statuses: readonly RunStatus[]): Promise<void> {
  const { collectRuns, writeTables } = await import("../run/collect.ts");
  await writeTables(directory, plan, collectRuns(directory, plan, statuses));
}

/** One that was worked out in one go: from its tables. */
async function reportComputed(directory: string, { experiment, figures }: ExperimentFile): Promise<void> {
  if ("sweep" in experiment) throw new UsageError(`${directory}: its sweep.json is missing; carry it out again`);
  const [{ readFileSync }, { parse }, { readTables }, { writeExperimentReport }, { computedPage }] = await Promise.all([
    import("node:fs"),
    import("yaml"),
    import("../output/experiment-report.ts"),
    import("../output/report/experiment-html.ts"),
    import("./experiment.ts"),
  ]);
  const options = parse(readFileSync(join(directory, "config.yaml"), "utf8")) as Record<string, number>;
  const quick = basename(resolve(directory)).endsWith("-quick");
  const { page, table } = await computedPage({ experiment, figures }, quick, options, readTables(directory));
  writeExperimentReport(directory, page, table);
}
