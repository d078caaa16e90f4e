/** Runs a finished run again in a folder of its own and compares its files. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../host/read-config.ts";
import { stableFilesIn } from "./manifest.ts";
import { RunRefusedError } from "./refusal.ts";
import { run } from "./runner.ts";

export interface Verified {
  readonly compared: number;
  readonly differences: readonly { readonly file: string; readonly what: string }[];
}

/** Written on request, or anew at any time; they need not be there in both. */
const EXTRA = new Set(["report.html"]);

/** @throws RunRefusedError if the folder holds no finished run */
export async function verifyRun(
  directory: string,
  notice: (text: string) => void,
  signal: AbortSignal,
): Promise<Verified | "interrupted"> {
  if (!existsSync(join(directory, "summary.csv")) || directory.endsWith(".partial")) {
    throw new RunRefusedError(`${directory} is not a finished run; finish it first, by moge run or moge sweep`);
  }
  const resolved = await readConfig(join(directory, "config.yaml"), []);
  const files = stableFilesIn(directory);
  const again = mkdtempSync(join(tmpdir(), "moge-verify-"));
  try {
    const outcome = await run(
      {
        resolved,
        results: again,
        replaceable: "nothing",
        page: files.includes("summary.md"),
        formats: {
          parquet: files.includes("steps.parquet"),
          tensorboard: files.some((file) => file.startsWith("tensorboard/")),
        },
      },
      { notice, variant: (name) => notice(`running ${name} again`), step: () => undefined },
      signal,
    );
    if (outcome.kind === "interrupted") return "interrupted";
    const theirs = [...new Set([...files, ...stableFilesIn(outcome.directory)])]
      .filter((file) => !EXTRA.has(file))
      .sort();
    const differences = theirs.flatMap((file) => {
      const what = differenceOf(join(directory, file), join(outcome.directory, file));
      return what === undefined ? [] : [{ file, what }];
    });
    return { compared: theirs.length, differences };
  } finally {
    rmSync(again, { recursive: true, force: true });
  }
}

/** Where two files part, in words. */
function differenceOf(before: string, now: string): string | undefined {
  if (!existsSync(before)) return "is not there";
  if (!existsSync(now)) return "does not come out again";
  const [a, b] = [readFileSync(before), readFileSync(now)];
  if (a.equals(b)) return undefined;
  if (before.endsWith(".png")) return "other bytes; pictures may differ in single pixels between kinds of machines";
  const [lines, others] = [a.toString().split("\n"), b.toString().split("\n")];
  const at = lines.findIndex((line, i) => line !== others[i]);
  return at < 0
    ? `has ${lines.length} lines, now ${others.length}`
    : `line ${at + 1} was ${shown(lines[at])}, is now ${shown(others[at])}`;
}

const shown = (line = ""): string => JSON.stringify(line.length <= 60 ? line : `${line.slice(0, 57)}…`);
