/** What of a sweep was handed to Slurm, noted in the folder of the sweep: whoever asks about it or cancels it reads that. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../whole-file.ts";

export interface Submission {
  readonly job: string;
  /** Job that collects the results of the other; absent where Slurm refused it. */
  readonly collector?: string;
  /** Slices of the whole plan, and the ids of the plan at that time. */
  readonly count: number;
  readonly indices: readonly number[];
  readonly ids: readonly string[];
}

/** A file for each job: two processes may submit at once. */
export function noteSubmission(directory: string, submission: Submission): void {
  writeWhole(join(directory, "slurm", `${submission.job}.json`), `${JSON.stringify(submission, null, 1)}\n`);
}

/** In the order of their jobs. */
export function readSubmissions(directory: string): Submission[] {
  const folder = join(directory, "slurm");
  try {
    const jobs = readdirSync(folder).flatMap((name) => /^(\d+)\.json$/.exec(name)?.[1] ?? []);
    return jobs
      .sort((a, b) => Number(a) - Number(b))
      .map((job) => JSON.parse(readFileSync(join(folder, `${job}.json`), "utf8")) as Submission);
  } catch {
    return [];
  }
}

/** Whether anything of a sweep was ever handed to Slurm. */
export const wasSubmitted = (directory: string): boolean => readSubmissions(directory).length > 0;
