/** `moge sweep`: runs what is missing of a sweep, here or by a scheduler. */
import { join } from "node:path";
import type { CommandModule } from "yargs";
import type { SweepPlan } from "../run/sweep-plan.ts";
import type { RunStatus } from "../run/sweep-state.ts";
import { UsageError } from "./failure.ts";
import { formatSeconds } from "./format.ts";
import { listenForSignals } from "./interruption.ts";
import { formatOptions, jobsOption, progressOption, resultOptions, setOption, wholeNumber } from "./options.ts";
import type { ProgressMode } from "./progress-modes.ts";

const executors = ["local", "slurm", "k8s"] as const;

interface Arguments {
  file: string;
  set: string[];
  seeds?: number;
  maxRuns: number;
  dryRun: boolean;
  results: string;
  force: boolean;
  failFast: boolean;
  retries: number;
  timeout?: number;
  jobs?: number;
  parquet: boolean;
  tensorboard: boolean;
  progress: ProgressMode;
  executor: (typeof executors)[number];
  printCommands: boolean;
  manifest: boolean;
  image: string;
  volume: string;
  report: boolean;
  wait: boolean;
  cancel: boolean;
  slurm: string[];
}

const seconds = (value: unknown) => {
  const number = Number(value);
  if (Array.isArray(value) || !(number > 0 && number < 1e7)) {
    throw new UsageError(`--timeout ${String(value)}: expected seconds, more than 0`);
  }
  return number;
};

export const sweepCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "the sweep, a YAML file" })
      .option("set", { ...setOption, describe: "override a value of the base, as often as you like" })
      .option("seeds", {
        ...wholeNumber("seeds", 1, 1e6),
        describe: "seeds of each combination, instead of the file's",
      })
      .option("max-runs", {
        ...wholeNumber("max-runs", 1, 1e6),
        default: 1000,
        describe: "refuse more runs than these",
      })
      .option("dry-run", { type: "boolean", default: false, describe: "list the runs, their state and cost, and stop" })
      .options(resultOptions)
      .option("force", { type: "boolean", default: false, describe: "run again what is done, too" })
      .option("keep-going", { type: "boolean", describe: "go on after a failed run; this is the default" })
      .option("fail-fast", { type: "boolean", default: false, describe: "stop at the first run that fails for good" })
      .conflicts("keep-going", "fail-fast")
      .option("retries", { ...wholeNumber("retries", 0, 100), default: 1, describe: "attempts after a failed one" })
      .option("timeout", {
        type: "string",
        requiresArg: true,
        coerce: seconds,
        describe: "seconds that an attempt may take; it is saved and tried again",
      })
      .option("jobs", jobsOption)
      .options(formatOptions)
      .option("report", { type: "boolean", default: true, describe: "figures and report.html at the end; --no-report" })
      .option("progress", progressOption)
      .option("executor", { choices: executors, default: "local" as const, describe: "where the runs are computed" })
      .option("wait", { type: "boolean", default: false, describe: "slurm: return when the sweep has ended" })
      .option("cancel", { type: "boolean", default: false, describe: "slurm: cancel what was submitted" })
      .option("slurm", {
        type: "string",
        array: true,
        requiresArg: true,
        default: [] as string[],
        describe: "slurm: an option of sbatch, e.g. --slurm=--partition=long",
      })
      .option("manifest", { type: "boolean", default: false, describe: "k8s: print an Indexed Job, for kubectl apply" })
      .option("image", {
        type: "string",
        default: "moge",
        requiresArg: true,
        describe: "k8s: container image with moge",
      })
      .option("volume", {
        type: "string",
        default: "moge-results",
        requiresArg: true,
        describe: "k8s: volume claim for results",
      })
      .option("print-commands", {
        type: "boolean",
        default: false,
        describe: "print a command for each run that is due, for GNU parallel or anything else",
      }) as never,
  handler: async (args) => {
    refuseMisplaced(args);
    const { planSweepFile, writePlan } = await import("../run/sweep-plan.ts");
    const { makeFolders } = await import("../run/directory.ts");
    const { dropLeftovers } = await import("../host/whole-file.ts");
    const { force, results } = args;
    const plan = await planSweepFile(args.file, { seeds: args.seeds, maxRuns: args.maxRuns, sets: args.set });
    const directory = join(results, plan.name);
    const statuses = await stateOf(directory, plan);
    if (args.dryRun) return list(plan, statuses);
    makeFolders(directory);
    await refuseOther(directory, force);
    dropLeftovers(directory);
    writePlan(directory, plan);
    if (args.printCommands) return printCommands(directory, statuses, args);
    if (args.executor === "k8s") return printManifest(directory, plan, args);
    const { announceSweep, concludeSweep } = await import("./sweep-report.ts");
    announceSweep(plan, statuses, force);
    if (args.executor === "slurm") {
      const { sweepBySlurm } = await import("./sweep-slurm.ts");
      return sweepBySlurm(directory, plan, statuses, args);
    }
    const { runHere } = await import("./sweep-here.ts");
    const interruption = listenForSignals("stopping; what runs is saved, and the same command goes on from there");
    const { parquet, tensorboard, jobs, retries, timeout, failFast } = args;
    const options = { formats: { parquet, tensorboard }, jobs, retries, timeoutSeconds: timeout, failFast, force };
    const outcome = await runHere(directory, plan, statuses, {
      options,
      progress: args.progress,
      signal: interruption.signal,
    });
    await concludeSweep(directory, plan, outcome, { parquet: args.parquet, page: args.report });
    if (interruption.signal.aborted) process.exitCode = interruption.exitCode();
  },
};

/** Flags of one executor that another would not heed: --cancel, of all, would start the sweep here. */
function refuseMisplaced({ executor, wait, cancel, slurm, manifest }: Arguments): void {
  const given = [
    ["--wait", "slurm", wait],
    ["--cancel", "slurm", cancel],
    ["--slurm", "slurm", slurm.length > 0],
    ["--manifest", "k8s", manifest],
  ] as const;
  const misplaced = given.find(([, of, isGiven]) => isGiven && of !== executor);
  if (misplaced !== undefined) throw new UsageError(`${misplaced[0]} goes with --executor ${misplaced[1]}`);
}

async function stateOf(directory: string, plan: SweepPlan): Promise<RunStatus[]> {
  const { sweepState } = await import("../run/sweep-state.ts");
  return sweepState(directory, plan, true);
}

/** A folder with something else in it is not made into a sweep. */
async function refuseOther(directory: string, force: boolean): Promise<void> {
  const { existsSync, readdirSync } = await import("node:fs");
  const { planFile, readPlan } = await import("../run/sweep-plan.ts");
  if (existsSync(planFile(directory))) {
    if (!force) readPlan(directory); // of another version? then it says so
    return;
  }
  const others = readdirSync(directory).filter((name) => name !== "runs" && !name.endsWith(".partial"));
  if (others.length > 0) {
    throw new UsageError(
      `${directory} holds something else than a sweep (${others[0]}); rename the sweep, or choose --results`,
    );
  }
}

/** One line a run on stdout; what it comes to on stderr. */
async function list(plan: SweepPlan, statuses: readonly RunStatus[]): Promise<void> {
  const [{ labels }, { estimatedSeconds }, { plannedConfig }] = await Promise.all([
    import("../run/labels.ts"),
    import("../run/plan.ts"),
    import("../run/sweep-plan.ts"),
  ]);
  const label = labels(plan);
  let left = 0;
  for (const { run, state } of statuses) {
    const cost = estimatedSeconds([{ name: run.id, config: plannedConfig(plan, run), origins: new Map() }]);
    if (state !== "done") left += cost;
    process.stdout.write(`${run.id}  ${state.padEnd(11)}  ${formatSeconds(cost).padStart(6)}  ${label(run.id)}\n`);
  }
  const due = statuses.filter(({ state }) => state !== "done").length;
  process.stderr.write(
    `${plan.runs.length} runs, ${due} of them to be run: ${formatSeconds(left)} on two cores, from the operation count\n`,
  );
}

async function printCommands(directory: string, statuses: readonly RunStatus[], args: Arguments): Promise<void> {
  const [{ mogeCommand, taskFlags }, { resolve }, { dueRuns }] = await Promise.all([
    import("./task.ts"),
    import("node:path"),
    import("../run/sweep.ts"),
  ]);
  for (const { id } of dueRuns(statuses, args.force)) {
    process.stdout.write(`${mogeCommand(["task", resolve(directory), id, ...taskFlags(args)])}\n`);
  }
}

async function printManifest(directory: string, plan: SweepPlan, args: Arguments): Promise<void> {
  if (!args.manifest) {
    throw new UsageError(
      "--executor k8s: this program does not talk to a cluster; add --manifest and pipe it to kubectl apply -f -",
    );
  }
  const [{ indexedJob }, { planFile }, { tasksOf }, { taskFlags }, { readFileSync }] = await Promise.all([
    import("../host/executors/kubernetes.ts"),
    import("../run/sweep-plan.ts"),
    import("../run/sweep.ts"),
    import("./task.ts"),
    import("node:fs"),
  ]);
  const tasks = await tasksOf(plan, plan.runs);
  process.stdout.write(
    indexedJob({
      name: plan.name,
      runs: plan.runs.length,
      plan: readFileSync(planFile(directory), "utf8"),
      image: args.image,
      volume: args.volume,
      flags: taskFlags(args),
      bytes: tasks.reduce((most, { bytes }) => Math.max(most, bytes), 0),
    }),
  );
}
