/** `moge task`: carries out runs of a planned sweep, by id or by slice. It is what schedulers call, and does nothing twice. */
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { CommandModule } from "yargs";
import type { TaskFailure } from "../host/executors/local.ts";
import { shellWord } from "../host/executors/shell-word.ts";
import type { PlannedRun, SweepPlan } from "../run/sweep-plan.ts";
import { exitCodes, UsageError } from "./failure.ts";
import { say } from "./format.ts";
import { listenForSignals } from "./interruption.ts";
import { formatOptions, wholeNumber } from "./options.ts";

interface Arguments extends TaskFlags {
  directory: string;
  ids: string[];
  plan?: string;
  index?: number;
  count?: number;
  threads: number;
}

/** A shell command that runs this program again, from anywhere. */
export const mogeCommand = (words: readonly string[]): string =>
  [process.execPath, resolve(process.argv[1]!), ...words].map(shellWord).join(" ");

interface TaskFlags {
  readonly force: boolean;
  readonly parquet: boolean;
  readonly tensorboard: boolean;
}

/** What a sweep passes on to the commands of its runs. */
export const taskFlags = ({ force, parquet, tensorboard }: TaskFlags): string[] => [
  ...(force ? ["--force"] : []),
  ...(parquet ? ["--parquet"] : []),
  ...(tensorboard ? ["--tensorboard"] : []),
];

export const taskCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("directory", { type: "string", demandOption: true, describe: "folder of the sweep" })
      .positional("ids", { type: "string", array: true, default: [] as string[], describe: "ids of runs" })
      .option("plan", { type: "string", requiresArg: true, describe: "sweep.json, if it is elsewhere" })
      .option("index", {
        type: "number",
        requiresArg: true,
        describe: "instead of ids: this slice of the sweep, from 0 …",
      })
      .option("count", { type: "number", requiresArg: true, describe: "… of so many" })
      .implies("index", "count")
      .implies("count", "index")
      .option("threads", { ...wholeNumber("threads", 1, 64), default: 1, describe: "threads of the engine" })
      .option("force", { type: "boolean", default: false, describe: "run again what is done" })
      .options(formatOptions) as never,
  handler: async ({ directory, ids, plan: file, index, count, threads, force, parquet, tensorboard }) => {
    const interruption = listenForSignals("stopping after this step");
    const [{ readPlan, writePlan, planFile }, { carryOut }, { existsSync }, { makeFolders }] = await Promise.all([
      import("../run/sweep-plan.ts"),
      import("../run/planned-run.ts"),
      import("node:fs"),
      import("../run/directory.ts"),
    ]);
    const plan = file === undefined ? readPlan(directory) : readPlan(directory, file);
    const runs = await chosen(plan, ids, index, count);
    if (!existsSync(planFile(directory))) {
      makeFolders(directory);
      writePlan(directory, plan);
    }
    const observer = { notice: say, step: () => undefined };
    for (const planned of runs) {
      const attempt = () =>
        carryOut(
          { directory, plan, planned },
          { formats: { parquet, tensorboard }, threads, force },
          observer,
          interruption.signal,
        );
      let result = await attempt();
      while (result.kind === "held" && !interruption.signal.aborted) {
        await delay(HELD_DELAY_MILLISECONDS); // another process is at it
        result = await attempt();
      }
      if (interruption.signal.aborted && result.kind !== "done") {
        process.exitCode = interruption.exitCode();
        return;
      }
      say(
        result.kind === "failed" ? `${planned.id} failed: ${result.failure.message}` : `${planned.id} ${result.kind}`,
      );
      if (result.kind === "failed") process.exitCode = worse(process.exitCode, result.failure);
    }
  },
};

/** A scheduler tries again what failed, and leaves alone what would fail the same way again. */
const worse = (code: typeof process.exitCode, { certain }: TaskFailure): number =>
  code === exitCodes.failed || certain !== true ? exitCodes.failed : exitCodes.partlyFailed;

const HELD_DELAY_MILLISECONDS = 500;

async function chosen(
  plan: SweepPlan,
  ids: readonly string[],
  index: number | undefined,
  count: number | undefined,
): Promise<PlannedRun[]> {
  if (index !== undefined && count !== undefined) {
    if (ids.length > 0) throw new UsageError("give ids, or a slice by --index and --count, not both");
    if (!(Number.isSafeInteger(count) && count >= 1 && Number.isSafeInteger(index) && index >= 0 && index < count)) {
      throw new UsageError(`--index ${index} --count ${count}: expected whole numbers, 0 ≤ index < count`);
    }
    const { sliceOf } = await import("../host/executors/slurm.ts");
    return plan.runs.filter((_, place) => sliceOf(place, plan.runs.length, count) === index);
  }
  if (ids.length === 0) throw new UsageError("say which runs: their ids, or a slice by --index and --count");
  return ids.map((id) => {
    const run = plan.runs.find((each) => each.id === id);
    if (run === undefined)
      throw new UsageError(`${id}: the sweep ${plan.name} has no such run; moge status lists them`);
    return run;
  });
}
