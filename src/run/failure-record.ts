/** `error.json`: why a run failed, beside what it had written by then. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TaskFailure } from "../host/executors/local.ts";
import { writeWhole } from "../host/whole-file.ts";

export const ERROR_FILE = "error.json";

export interface FailureRecord extends Omit<TaskFailure, "certain"> {
  /** How often it was tried in that go. */
  readonly attempts: number;
}

/** Best effort: on a full disk there may be no room for it, and the run is failed without it too. */
export function recordFailure(directory: string, record: FailureRecord): void {
  try {
    writeWhole(join(directory, ERROR_FILE), `${JSON.stringify(record, null, 2)}\n`);
  } catch {
    // the message goes to the terminal in any case
  }
}

export function readFailure(directory: string): FailureRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, ERROR_FILE), "utf8")) as FailureRecord;
  } catch {
    return undefined;
  }
}

export const forgetFailure = (directory: string): void => rmSync(join(directory, ERROR_FILE), { force: true });
