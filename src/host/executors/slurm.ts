/**
 * Slurm: a job array whose tasks carry out slices of the sweep. Slurm queues, restarts and accounts; a task is one
 * idempotent command, so it does not matter how often, or where, it is carried out.
 */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { writeWhole } from "../whole-file.ts";
import { type Executor, ExecutorError, type Task, type TaskState } from "./executor.ts";

export interface SlurmOptions {
  /** Folder of the sweep; what was submitted is noted in it. */
  readonly directory: string;
  /** Ids of all runs of the plan, in its order: a task's slice is a place in it. */
  readonly ids: readonly string[];
  /** Shell command of one slice. @param index a shell word */
  command(index: string, count: number): string;
  /** Shell command that collects the results once all tasks have ended. */
  readonly collect: string;
  readonly name: string;
  /** Restarts of a task whose process was killed. */
  readonly retries: number;
  readonly timeLimitSeconds?: number | undefined;
  /** Tasks at a time. */
  readonly jobs?: number | undefined;
  /** For sbatch, after ours. */
  readonly extra: readonly string[];
}

interface Submission {
  readonly job: string;
  /** Slices of the whole plan, and the ids of the plan at that time. */
  readonly count: number;
  readonly indices: readonly number[];
  readonly ids: readonly string[];
}

const MEGABYTE = 1_048_576;

/** Slurm's own default of MaxArraySize is 1001, the first index that is not allowed. */
const MOST_SLICES = 1000;

/** Slice of a run. */
export const sliceOf = (place: number, total: number, count: number): number => Math.floor((place * count) / total);

export class SlurmExecutor implements Executor {
  readonly #options: SlurmOptions;

  constructor(options: SlurmOptions) {
    this.#options = options;
  }

  /** To ask about, or cancel, what was submitted of a sweep. */
  static of(directory: string): Pick<Executor, "status" | "cancel"> {
    const nothing = { ids: [], command: () => "", collect: "", name: "", retries: 0, extra: [] };
    return new SlurmExecutor({ directory, ...nothing });
  }

  /** Leaves out what an earlier submission still has in the queue. @throws ExecutorError */
  async submit(tasks: readonly Task[]): Promise<void> {
    const { directory, ids, jobs, extra, name } = this.#options;
    const queued = await this.status();
    const due = tasks.filter(({ id }) => (queued.get(id) ?? "ended") === "ended");
    if (due.length === 0) return;
    const count = Math.min(ids.length, MOST_SLICES);
    const places = new Map(ids.map((id, place) => [id, place]));
    const indices = [...new Set(due.map(({ id }) => sliceOf(places.get(id)!, ids.length, count)))].sort(
      (a, b) => a - b,
    );
    const megabytes = Math.ceil(Math.max(...due.map(({ bytes }) => bytes)) / MEGABYTE);
    mkdirSync(join(directory, "slurm"), { recursive: true });
    const limit = jobs === undefined ? "" : `%${jobs}`;
    const answer = await slurm(
      "sbatch",
      [
        "--parsable",
        `--job-name=moge-${name}`,
        `--array=${ranges(indices)}${limit}`,
        "--requeue",
        "--signal=B:USR2@60",
        "--open-mode=append",
        `--output=${join(directory, "slurm", "%A_%a.log")}`,
        `--mem=${megabytes}M`,
        ...timeLimit(this.#options),
        ...extra,
      ],
      this.#script(count),
    );
    const job = answer.trim().split(";")[0]!;
    const before = readSubmissions(directory);
    writeWhole(submissionsFile(directory), `${JSON.stringify([...before, { job, count, indices, ids }], null, 1)}\n`);
    await slurm(
      "sbatch",
      [
        "--parsable",
        `--job-name=moge-${name}-collect`,
        `--dependency=afterany:${job}`,
        `--output=${join(directory, "slurm", "%j-collect.log")}`,
        ...extra,
      ],
      `#!/bin/bash\nexec ${this.#options.collect}\n`,
    );
  }

  async status(): Promise<ReadonlyMap<string, TaskState>> {
    const states = new Map<string, TaskState>();
    for (const submission of readSubmissions(this.#options.directory)) {
      const queue = await queueOf(submission.job);
      submission.ids.forEach((id, place) => {
        const slice = sliceOf(place, submission.ids.length, submission.count);
        if (submission.indices.includes(slice)) states.set(id, queue.get(slice) ?? "ended");
      });
    }
    return states;
  }

  async cancel(): Promise<void> {
    const jobs = readSubmissions(this.#options.directory).map(({ job }) => job);
    if (jobs.length > 0) await slurm("scancel", ["--quiet", ...jobs]);
  }

  /**
   * The batch shell passes USR2, which comes a minute before the time is up, on to the command, which saves and ends
   * with 75, and has itself queued again. So has a command that was killed, as often as retries allow.
   */
  #script(count: number): string {
    return `#!/bin/bash
${this.#options.command('"$SLURM_ARRAY_TASK_ID"', count)} &
child=$!
stop=
trap 'kill -USR2 "$child"' USR2
trap 'stop=1; kill -TERM "$child"' TERM
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
restarts=\${SLURM_RESTART_COUNT:-0}
if [ -z "$stop" ] && { [ "$code" -eq 75 ] || { [ "$code" -gt 128 ] && [ "$restarts" -lt ${this.#options.retries} ]; }; }; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
exit "$code"
`;
  }
}

const submissionsFile = (directory: string) => join(directory, "slurm", "submissions.json");

/** Whether anything of a sweep was ever handed to Slurm. */
export const wasSubmitted = (directory: string): boolean => readSubmissions(directory).length > 0;

function readSubmissions(directory: string): Submission[] {
  try {
    return JSON.parse(readFileSync(submissionsFile(directory), "utf8")) as Submission[];
  } catch {
    return [];
  }
}

/** Minutes, rounded up, are what every version of Slurm understands; a minute more for saving. */
const timeLimit = ({ timeLimitSeconds }: SlurmOptions): string[] =>
  timeLimitSeconds === undefined ? [] : [`--time=${Math.ceil(timeLimitSeconds / 60) + 1}`];

/** "0-3,7". */
export function ranges(indices: readonly number[]): string {
  const parts: [number, number][] = [];
  for (const index of indices) {
    const last = parts.at(-1);
    if (last !== undefined && last[1] === index - 1) last[1] = index;
    else parts.push([index, index]);
  }
  return parts.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(",");
}

/** Array index → state, of the tasks that the queue still has; what it has forgotten, sacct would call ended too. */
async function queueOf(job: string): Promise<Map<number, TaskState>> {
  let listing: string;
  try {
    listing = await slurm("squeue", ["--array", "--noheader", "--format=%K|%T", `--jobs=${job}`]);
  } catch (error) {
    if (/invalid job id/i.test((error as Error).message)) return new Map(); // long ended
    throw error;
  }
  const lines = listing.split("\n").filter((line) => line !== "");
  return new Map(
    lines.flatMap((line) => {
      const [index, state = ""] = line.split("|");
      const waits = /^(PENDING|REQUEUED|REQUEUE_|CONFIGURING|SUSPENDED|SPECIAL_EXIT)/.test(state);
      const runs = /^(RUNNING|COMPLETING|STAGE_OUT|SIGNALING|STOPPED)/.test(state);
      return waits || runs ? [[Number(index), waits ? "waiting" : "running"] as [number, TaskState]] : [];
    }),
  );
}

export interface Accounted {
  readonly task: string;
  readonly state: string;
  readonly elapsed: string;
}

/** What Slurm's accounting has on the tasks of a sweep; nothing where it keeps none. */
export async function accountOf(directory: string): Promise<Accounted[]> {
  const jobs = readSubmissions(directory).map(({ job }) => job);
  if (jobs.length === 0) return [];
  try {
    const listing = await slurm("sacct", ["-X", "-n", "-P", "-o", "JobID,State,Elapsed", "-j", jobs.join(",")]);
    return listing.split("\n").flatMap((line) => {
      const [task, state, elapsed] = line.split("|");
      return task && state && elapsed ? [{ task, state, elapsed }] : [];
    });
  } catch {
    return [];
  }
}

const run = promisify(execFile);

/** @throws ExecutorError when the program is absent or Slurm does not answer */
async function slurm(program: string, args: readonly string[], input?: string): Promise<string> {
  try {
    const child = run(program, args, { encoding: "utf8", maxBuffer: 64 * MEGABYTE });
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
