/** Whole programs, started cold: how long a person waits for help, and a run for its first training step. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Bench, interleaved, secondsOf } from "./bench.ts";

const moge = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

const start = (...args: string[]) => secondsOf(() => execFileSync(process.execPath, args, { stdio: "ignore" }));

/** From the start of the process until the first row of steps.csv lies on the disk. */
async function firstStepSeconds(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "moge-bench-"));
  const begin = performance.now();
  const args = [moge, "run", "quickstart", "--results", folder, "--progress", "none"];
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    while (!hasStep(folder)) {
      if (child.exitCode !== null) throw new Error(`moge run ended with ${child.exitCode} before its first step`);
      await delay(2);
    }
    return (performance.now() - begin) / 1000;
  } finally {
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true });
  }
}

function hasStep(folder: string): boolean {
  for (const run of readdirSync(folder)) {
    const path = join(folder, run, "steps.csv");
    if (existsSync(path) && readFileSync(path, "utf8").split("\n").length > 2) return true; // a row behind the header
  }
  return false;
}

export const bench: Bench = {
  title: "from the start of the process, on what `npm run build` made",
  async run({ quick }) {
    const seconds = await interleaved(quick ? 3 : 15, {
      node: () => start("-e", "0"),
      help: () => start(moge, "--help"),
      routers: () => start(moge, "routers"),
    });
    const { first } = await interleaved(quick ? 1 : 5, { first: firstStepSeconds });
    return {
      tables: [
        {
          title: "milliseconds",
          columns: ["program", "median", "wanted"],
          rows: [
            ["node -e 0, the least there is", 1e3 * seconds.node, "-"],
            ["moge --help", 1e3 * seconds.help, 150],
            ["moge routers", 1e3 * seconds.routers, "-"],
            ["moge run, first training step", 1e3 * first, 1000],
          ],
        },
      ],
      notes: [],
    };
  },
};
