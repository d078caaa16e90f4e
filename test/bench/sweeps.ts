/** What sweeps cost beside their runs: the scheduler, and looking at a sweep of ten thousand runs. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { carryOut, runsFolder } from "../../src/run/planned-run.ts";
import { planSweepFile, type SweepPlan, writePlan } from "../../src/run/sweep-plan.ts";
import { tinyText } from "../tiny-config.ts";
import { type Bench, median } from "./bench.ts";

const moge = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const formats = { parquet: false, tensorboard: false };

async function seconds(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

const run = (folder: string, ...args: string[]) =>
  execFileSync(process.execPath, [moge, ...args], { cwd: folder, stdio: "ignore" });

/** Plans a sweep of tiny runs. */
async function planned(folder: string, seeds: number): Promise<SweepPlan> {
  writeFileSync(join(folder, "tiny.yaml"), tinyText);
  writeFileSync(join(folder, "sweep.yaml"), "name: swept\nbase: tiny.yaml\n");
  return planSweepFile(join(folder, "sweep.yaml"), { seeds, maxRuns: 1e5, sets: [] });
}

/** The same runs in this process, without a scheduler: seconds a run. */
async function alone(folder: string, seeds: number): Promise<number> {
  const plan = await planned(folder, seeds);
  const directory = join(folder, "alone");
  mkdirSync(runsFolder(directory), { recursive: true });
  const observer = { notice: () => undefined, step: () => undefined };
  const { signal } = new AbortController();
  const each = async (options: { readonly force: boolean }) => {
    for (const one of plan.runs) {
      await carryOut({ directory, plan, planned: one }, { formats, threads: 1, ...options }, observer, signal);
    }
  };
  await each({ force: false });
  return (await seconds(() => each({ force: true }))) / plan.runs.length;
}

/** `moge sweep` with one process, from its start to its report: of a small sweep and of a larger one. */
async function swept(folder: string, seeds: readonly [few: number, many: number]) {
  const [few, many] = await Promise.all(seeds.map((each) => planned(folder, each)));
  const times: number[] = [];
  for (const each of seeds) {
    const args = ["sweep", "sweep.yaml", "--seeds", String(each), "--jobs", "1", "--progress", "none"];
    times.push(await seconds(() => run(folder, ...args, "--results", `of-${each}`)));
  }
  const runs = [few!.runs.length, many!.runs.length] as const;
  const aRun = (times[1]! - times[0]!) / (runs[1] - runs[0]);
  return { runs, aRun, fixed: times[0]! - runs[0] * aRun };
}

/** A sweep that looks done: its runs' folders are there, which is what being done means. */
async function finished(folder: string, count: number): Promise<void> {
  const { runs, ...plan } = await planned(folder, 1);
  const many = Array.from({ length: count }, (_, seed) => ({
    ...runs[0]!,
    seed,
    id: createHash("sha256").update(String(seed)).digest("hex").slice(0, 12),
  }));
  const directory = join(folder, "many");
  mkdirSync(runsFolder(directory), { recursive: true });
  writePlan(directory, { ...plan, runs: many });
  for (const { id } of many) mkdirSync(join(runsFolder(directory), id));
}

export const bench: Bench = {
  title: "what sweeps cost beside their runs",
  async run({ quick }) {
    const folder = mkdtempSync(join(tmpdir(), "moge-bench-"));
    try {
      const seeds = quick ? ([1, 3] as const) : ([10, 60] as const);
      const bare = await alone(folder, seeds[1]);
      const { runs: counts, aRun, fixed } = await swept(folder, seeds);
      const runs = quick ? 1000 : 10_000;
      await finished(folder, runs);
      const status: number[] = [];
      for (let round = 0; round < (quick ? 1 : 5); round++) {
        status.push(await seconds(() => run(folder, "status", "many")));
      }
      const overhead = aRun - bare;
      return {
        tables: [
          {
            title: "runs of a sweep, one at a time: milliseconds",
            columns: ["what", "ms", "wanted"],
            rows: [
              ["a run alone, in a warm process without a scheduler", 1e3 * bare, "-"],
              [`a run more in moge sweep (${counts.join(" to ")} runs)`, 1e3 * aRun, "-"],
              ["overhead of the scheduler, a run", 1e3 * overhead, 30],
              ["a sweep's start, planning and report, once", 1e3 * fixed, "-"],
            ],
          },
          {
            title: "looking at it",
            columns: ["what", "ms", "wanted"],
            rows: [[`moge status of ${runs.toLocaleString("en-US")} finished runs`, 1e3 * median(status), 1000]],
          },
        ],
        notes: [`Of a run of 10 s the overhead is ${((100 * overhead) / 10).toFixed(2)} % (wanted: under 1 %).`],
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
