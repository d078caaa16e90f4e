/** Slurm's own programs: how they are asked, and what their answers mean. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ExecutorError, type TaskState } from "./executor.ts";

export interface Queued {
  readonly state: TaskState;
  /** Why it waits, in Slurm's own words. */
  readonly reason: string;
}

/** Slurm's own default of MaxArraySize is 1001, the first index that is not allowed. */
const MOST_SLICES = 1000;

/** Tasks that an array may have here. */
export async function mostSlices(): Promise<number> {
  const [, size] = /^MaxArraySize\s*=\s*(\d+)/m.exec(await slurm("scontrol", ["show", "config"])) ?? [];
  if (size === "0")
    throw new ExecutorError("Slurm takes no job arrays here (MaxArraySize is 0); --print-commands works without");
  return Math.min(MOST_SLICES, Number(size ?? MOST_SLICES));
}

/** "job_index", or "job" of one that is no array → what the queue says; what it has forgotten has ended. */
export async function queueOf(jobs: readonly string[]): Promise<Map<string, Queued>> {
  if (jobs.length === 0) return new Map();
  let listing: string;
  try {
    listing = await slurm("squeue", ["--array", "--noheader", "--format=%F|%K|%T|%r", `--jobs=${jobs.join(",")}`]);
  } catch (error) {
    if (/invalid job id/i.test((error as Error).message)) return new Map(); // long ended
    throw error;
  }
  const lines = listing.split("\n").filter((line) => line !== "");
  return new Map(
    lines.flatMap((line) => {
      const [job, index, state = "", reason = ""] = line.split("|");
      const waits = /^(PENDING|REQUEUED|REQUEUE_|CONFIGURING|SUSPENDED|SPECIAL_EXIT)/.test(state);
      const runs = /^(RUNNING|COMPLETING|STAGE_OUT|SIGNALING|STOPPED)/.test(state);
      const task = index === "N/A" ? job! : `${job}_${index}`;
      return waits || runs ? [[task, { state: waits ? "waiting" : "running", reason }] as const] : [];
    }),
  );
}

/** The whole listing of a large array. */
const MOST_ANSWER_BYTES = 64 * 1_048_576;

const run = promisify(execFile);

/** @returns what it printed @throws ExecutorError when the program is absent or Slurm does not answer */
export async function slurm(program: string, args: readonly string[], input?: string): Promise<string> {
  try {
    const child = run(program, args, { encoding: "utf8", maxBuffer: MOST_ANSWER_BYTES });
    child.child.stdin?.on("error", () => undefined); // it may be gone before it has read
    child.child.stdin?.end(input);
    return (await child).stdout;
  } catch (error) {
    const { code, stderr, message } = error as NodeJS.ErrnoException & { stderr?: string };
    if (code === "ENOENT") {
      throw new ExecutorError(
        `Slurm is not here: ${program} was not found; log in to a machine that submits jobs, or leave out --executor slurm to run the sweep on this one`,
      );
    }
    const line = (stderr || message).trim().split("\n")[0]!;
    throw new ExecutorError(`Slurm refused (${line}); look at sinfo and at the options given with --slurm`);
  }
}
