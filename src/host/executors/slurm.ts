/**
 * Slurm: a job array whose tasks carry out slices of the sweep. Slurm queues, restarts and accounts; a task is one
 * idempotent command, so it does not matter how often, or where, it is carried out.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Executor, Task, TaskState } from "./executor.ts";
import { shellWord } from "./shell-word.ts";
import { mostSlices, type Queued, queueOf, slurm } from "./slurm-programs.ts";
import { noteSubmission, readSubmissions } from "./slurm-submissions.ts";

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
  /** Restarts of a task whose process was killed or failed. */
  readonly retries: number;
  readonly timeLimitSeconds?: number | undefined;
  /** Tasks at a time. */
  readonly jobs?: number | undefined;
  /** For sbatch, after ours. */
  readonly extra: readonly string[];
}

export interface Outlook {
  readonly states: ReadonlyMap<string, TaskState>;
  /** How many tasks wait for what. */
  readonly reasons: ReadonlyMap<string, number>;
  /** A job that is to write the report, or is at it. */
  readonly collecting: Queued | undefined;
}

const MEGABYTE = 1_048_576;

/** For the report of a large sweep. */
const COLLECT_MEGABYTES = 2048;

/** Slice of a run. */
export const sliceOf = (place: number, total: number, count: number): number => Math.floor((place * count) / total);

export class SlurmExecutor implements Executor {
  readonly #options: SlurmOptions;

  constructor(options: SlurmOptions) {
    this.#options = options;
  }

  /** To ask about, or cancel, what was submitted of a sweep. */
  static of(directory: string): SlurmExecutor {
    const nothing = { ids: [], command: () => "", collect: "", name: "", retries: 0, extra: [] };
    return new SlurmExecutor({ directory, ...nothing });
  }

  /** Leaves out what an earlier submission still has in the queue. @throws ExecutorError */
  async submit(tasks: readonly Task[]): Promise<void> {
    const { directory, ids, jobs, extra, name } = this.#options;
    const queued = await this.status();
    const due = tasks.filter(({ id }) => (queued.get(id) ?? "ended") === "ended");
    if (due.length === 0) return;
    const count = Math.min(ids.length, await mostSlices());
    const places = new Map(ids.map((id, place) => [id, place]));
    const slices = due.map(({ id }) => sliceOf(places.get(id)!, ids.length, count));
    const indices = [...new Set(slices)].sort((a, b) => a - b);
    const bytes = due.reduce((most, task) => Math.max(most, task.bytes), 0);
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
        `--output=${this.#log("%A_%a")}`,
        `--mem=${Math.ceil(bytes / MEGABYTE)}M`,
        ...timeLimit(this.#options),
        ...extra,
      ],
      this.#script(count),
    );
    const job = jobOf(answer);
    noteSubmission(directory, { job, count, indices, ids });
    const collector = await slurm(
      "sbatch",
      [
        "--parsable",
        `--job-name=moge-${name}-collect`,
        `--dependency=afterany:${job}`,
        "--requeue",
        `--output=${this.#log("%j-collect")}`,
        `--mem=${COLLECT_MEGABYTES}M`,
        ...extra,
      ],
      `#!/bin/bash\nexec ${this.#options.collect}\n`,
    );
    noteSubmission(directory, { job, collector: jobOf(collector), count, indices, ids });
  }

  async status(): Promise<ReadonlyMap<string, TaskState>> {
    return (await this.look()).states;
  }

  /** What Slurm still has of the sweep. @throws ExecutorError */
  async look(): Promise<Outlook> {
    const submissions = readSubmissions(this.#options.directory);
    const collectors = submissions.flatMap(({ collector }) => collector ?? []);
    const queue = await queueOf([...submissions.map(({ job }) => job), ...collectors]);
    const states = new Map<string, TaskState>();
    for (const { job, count, ids, indices } of submissions) {
      const submitted = new Set(indices);
      ids.forEach((id, place) => {
        const slice = sliceOf(place, ids.length, count);
        const state = submitted.has(slice) ? (queue.get(`${job}_${slice}`)?.state ?? "ended") : undefined;
        if (state !== undefined && (states.get(id) ?? "ended") === "ended") states.set(id, state);
      });
    }
    const collecting = collectors.flatMap((job) => queue.get(job) ?? []).at(0);
    for (const job of collectors) queue.delete(job);
    const reasons = new Map<string, number>();
    for (const { state, reason } of queue.values()) {
      if (state === "waiting") reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    return { states, reasons, collecting };
  }

  /** Tasks that run save what they have: Slurm sends TERM, and KILL only after a while. */
  async cancel(): Promise<void> {
    const queue = await queueOf(readSubmissions(this.#options.directory).map(({ job }) => job));
    const jobs = [...new Set([...queue.keys()].map((task) => task.split("_")[0]!))];
    if (jobs.length > 0) await slurm("scancel", ["--quiet", ...jobs]);
  }

  /** Slurm's pattern of a log; a % of the folder's own is doubled. */
  #log(name: string): string {
    return join(this.#options.directory.replaceAll("%", "%%"), "slurm", `${name}.log`);
  }

  /**
   * The batch shell passes USR2, which comes a minute before the time is up, on to the command, which saves and ends
   * with 75, and has itself queued again; likewise when the signal came before the command listened, and killed it. A
   * command that was killed otherwise, or failed in a way that may not come again, goes back as often as retries allow:
   * Slurm's own count of restarts will not do, as it holds those at checkpoints, too.
   */
  #script(count: number): string {
    const task = `"\${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID`;
    return `#!/bin/bash
child= asked= heard= stop= again=
pass() { heard=1 asked=$1; [ -z "$child" ] || kill -s "$1" "$child" 2>/dev/null; }
trap 'pass USR2' USR2
trap 'stop=1; pass TERM' TERM
${this.#options.command('"$SLURM_ARRAY_TASK_ID"', count)} &
child=$!
[ -z "$asked" ] || kill -s "$asked" "$child" 2>/dev/null
while heard=; wait "$child"; code=$?; [ "$heard" ] && [ "$code" -gt 128 ]; do :; done
child=
failures=${shellWord(join(this.#options.directory, "slurm"))}/${task}.failures"
if [ "$code" -eq ${CHECKPOINTED} ] || [ "$code" -eq $((128 + $(kill -l USR2))) ]; then
  again=1
elif [ "$code" -eq ${FAILED} ] || [ "$code" -gt 128 ]; then
  echo "$code" >>"$failures"
  [ "$(wc -l <"$failures")" -le ${this.#options.retries} ] && again=1
fi
if [ "$again" ] && [ -z "$stop" ] && scontrol requeue ${task}"; then
  sleep 60 & # Slurm ends this script before
  wait $!
fi
exit "$code"
`;
  }
}

/** Exit codes of the command: it has saved and wants to be started again; it failed, and another attempt may not. */
const CHECKPOINTED = 75;
const FAILED = 1;

/** sbatch --parsable says "job" or "job;cluster". */
const jobOf = (answer: string): string => answer.trim().split(";")[0]!;

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

export interface Accounted {
  readonly task: string;
  readonly state: string;
  readonly elapsed: string;
}

/** What Slurm's accounting has on the tasks of a sweep; why not, where it keeps none. */
export async function accountOf(directory: string): Promise<Accounted[] | string> {
  const jobs = readSubmissions(directory).map(({ job }) => job);
  if (jobs.length === 0) return [];
  try {
    const listing = await slurm("sacct", ["-X", "-n", "-P", "-o", "JobID,State,Elapsed", "-j", jobs.join(",")]);
    return listing.split("\n").flatMap((line) => {
      const [task, state, elapsed] = line.split("|");
      return task && state && elapsed ? [{ task, state, elapsed }] : [];
    });
  } catch (error) {
    return (error as Error).message;
  }
}
