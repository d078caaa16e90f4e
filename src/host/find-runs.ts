/** Finds results on disk: runs, sweeps and experiments below a folder, and a run by the beginning of its id. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface FoundResult {
  readonly directory: string;
  readonly kind: "run" | "sweep" | "experiment";
  readonly complete: boolean;
}

/** What stands below a folder of results, by name; files that are none are left out. */
export function findResults(results: string): FoundResult[] {
  if (!existsSync(results)) return [];
  return readdirSync(results, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !wasReplaced(entry.name))
    .map(({ name }) => join(results, name))
    .sort()
    .flatMap((directory): FoundResult[] => {
      const has = (file: string) => existsSync(join(directory, file));
      const complete = !directory.endsWith(".partial");
      if (has("sweep.json")) return [{ directory, kind: "sweep", complete }];
      if (has("steps.csv")) return [{ directory, kind: "run", complete }];
      return has("config.yaml") && has("summary.md") ? [{ directory, kind: "experiment", complete }] : [];
    });
}

/** Folders of runs whose id begins so: a folder itself, or one of a sweep below the results. */
export function findRuns(results: string, wanted: string): string[] {
  if (existsSync(join(wanted, "config.yaml"))) return [wanted];
  if (!/^[0-9a-f]{4,12}$/.test(wanted)) return [];
  return findResults(results).flatMap(({ directory, kind }) => {
    const runs = join(directory, "runs");
    if (kind !== "sweep" || !existsSync(runs)) return [];
    return readdirSync(runs)
      .filter((name) => name.startsWith(wanted) && !wasReplaced(name))
      .map((name) => join(runs, name));
  });
}

/** An older result that has just given way to a new one, or whose successor's process was killed at that. */
const wasReplaced = (name: string): boolean => name.endsWith(".replaced");
