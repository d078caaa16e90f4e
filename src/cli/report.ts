/** `moge report`: makes the report of a sweep, experiment or run anew from its files. */
import type { CommandModule } from "yargs";

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
  handler: async ({ directory, parquet, report }) => {
    const [{ existsSync }, { planFile, readPlan }, { sweepState }] = await Promise.all([
      import("node:fs"),
      import("../run/sweep-plan.ts"),
      import("../run/sweep-state.ts"),
    ]);
    if (existsSync(planFile(directory))) {
      const plan = readPlan(directory);
      const { experimentNames, loadExperiment } = await import("./experiment-files.ts");
      const statuses = sweepState(directory, plan, true);
      if (!statuses.some(({ state }) => state === "done")) {
        const { UsageError } = await import("./failure.ts");
        throw new UsageError(
          `${directory}: none of its ${plan.runs.length} runs is there; its report stays as it is: carry them out with ${plan.command ?? "moge sweep"}`,
        );
      }
      const file = experimentNames().includes(plan.name) ? await loadExperiment(plan.name) : undefined;
      if (
        report &&
        file !== undefined &&
        "sweep" in file.experiment &&
        statuses.every(({ state }) => state === "done")
      ) {
        const { reportExperiment } = await import("../run/trained-experiment.ts");
        await reportExperiment(
          directory,
          plan,
          statuses,
          file.experiment,
          file.figures,
          plan.command ?? `moge experiment ${plan.name}`,
        );
        if (parquet) {
          const { collectRuns, writeTables } = await import("../run/collect.ts");
          await writeTables(directory, plan, collectRuns(directory, plan, statuses));
        }
      } else {
        const { reportSweep } = await import("../run/report-sweep.ts");
        await reportSweep(directory, plan, statuses, { parquet, page: report });
      }
    } else {
      const { reportRun } = await import("../run/report-run.ts");
      reportRun(directory);
    }
    process.stderr.write(`${directory}/${report ? "report.html" : "runs.csv"}\n`);
  },
};
