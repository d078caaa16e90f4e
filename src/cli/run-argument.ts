/** A run as commands take it: its folder, or the first letters of its id. */
import { findRuns } from "../host/find-runs.ts";
import { UsageError } from "./failure.ts";

export const runArgument = {
  type: "string",
  demandOption: true,
  describe: "folder of a run, or the start of its id",
} as const;

export const resultsOption = {
  type: "string",
  default: "results",
  requiresArg: true,
  describe: "folder that ids are looked for in",
} as const;

/** @throws UsageError unless there is exactly one */
export function runDirectory(results: string, wanted: string): string {
  const found = findRuns(results, wanted);
  if (found.length === 1) return found[0]!;
  if (found.length === 0) {
    throw new UsageError(
      `${wanted}: neither a folder of a run nor the start of an id below ${results}; moge ls lists what there is`,
    );
  }
  throw new UsageError(
    `${wanted}: stands for ${found.length} runs, ${found.slice(0, 3).join(", ")}${found.length > 3 ? ", …" : ""}; write more of the id, or the folder`,
  );
}
