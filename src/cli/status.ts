/** `moge status`: how far a sweep is, read off its folder. */
import type { CommandModule } from "yargs";
import { table, terminalWidth } from "./format.ts";

interface Arguments {
  directory: string;
  check: boolean;
  all: boolean;
  json: boolean;
}

export const statusCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("directory", { type: "string", demandOption: true, describe: "folder of a sweep or experiment" })
      .option("check", { type: "boolean", default: false, describe: "also look at the size of each result file" })
      .option("all", { type: "boolean", default: false, describe: "list the runs that are done, too" })
      .option("json", { type: "boolean", default: false, describe: "as JSON, every run" }),
  handler: async ({ directory, check, all, json }) => {
    const [{ readPlan }, { sweepState, countStates }, { labels }] = await Promise.all([
      import("../run/sweep-plan.ts"),
      import("../run/sweep-state.ts"),
      import("../run/labels.ts"),
    ]);
    const plan = readPlan(directory);
    const statuses = sweepState(directory, plan, check);
    if (json) {
      const runs = statuses.map(({ run, state, detail }) => ({ ...run, state, ...(detail && { detail }) }));
      process.stdout.write(`${JSON.stringify(runs, null, 1)}\n`);
      return;
    }
    const counts = countStates(statuses).map(([state, count]) => `${count} ${state}`);
    process.stdout.write(`${plan.name}: ${plan.runs.length} runs: ${counts.join(", ")}\n`);
    const label = labels(plan);
    const shown = statuses.filter(({ state }) => all || state !== "done");
    const rows = shown
      .slice(0, all ? Number.POSITIVE_INFINITY : MOST_SHOWN)
      .map(({ run, state, detail }) => [run.id, state, label(run.id), detail ?? ""]);
    if (rows.length > 0) process.stdout.write(`${table(rows, terminalWidth())}\n`);
    if (shown.length > rows.length)
      process.stdout.write(`… and ${shown.length - rows.length} more; --all lists them\n`);
    await tellSlurm(directory);
  },
};

const MOST_SHOWN = 40;

/** What Slurm knows, where the sweep was handed to it. */
async function tellSlurm(directory: string): Promise<void> {
  const { wasSubmitted } = await import("../host/executors/slurm-submissions.ts");
  if (!wasSubmitted(directory)) return;
  const { accountOf, SlurmExecutor } = await import("../host/executors/slurm.ts");
  const { ExecutorError } = await import("../host/executors/executor.ts");
  try {
    const { states, reasons } = await SlurmExecutor.of(directory).look();
    const of = (state: string) => [...states.values()].filter((each) => each === state).length;
    const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).join(", ");
    const waiting = `${of("waiting")} waiting${why === "" ? "" : ` (tasks: ${why})`}`;
    process.stdout.write(`Slurm: ${of("running")} running, ${waiting}\n`);
    const accounted = await accountOf(directory);
    if (typeof accounted === "string") {
      process.stdout.write("Slurm keeps no accounts here; why a task ended is in its log, in slurm/ of the sweep\n");
      return;
    }
    const failed = accounted.filter(({ state }) => /^(FAILED|TIMEOUT|OUT_OF_ME|NODE_FAIL|CANCELLED)/.test(state));
    for (const { task, state, elapsed } of failed) process.stdout.write(`${task} ${state} after ${elapsed}\n`);
  } catch (error) {
    if (!(error instanceof ExecutorError)) throw error;
    process.stderr.write(`${error.message}\n`);
  }
}
