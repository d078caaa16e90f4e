/** What sweeps cost beside their runs: the scheduler, and looking at a sweep of ten thousand runs. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LocalExecutor } from "../../src/host/executors/local.ts";
import { carryOut, runsFolder } from "../../src/run/planned-run.ts";
import { planSweepFile, type SweepPlan, writePlan } from "../../src/run/sweep-plan.ts";
import { tinyText } from "../tiny-config.ts";
import { type Bench, interleaved, median, secondsOf } from "./bench.ts";

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

/** A run more in this process, without a scheduler, on one thread as in a sweep of many: seconds. */
async function alone(folder: string, plan: SweepPlan): Promise<number> {
  const directory = join(folder, "results", "swept");
  const observer = { notice: () => undefined, step: () => undefined };
  const { signal } = new AbortController();
  const options = { formats, threads: 1, force: true };
  const each = async (count: number) => {
    for (const one of plan.runs.slice(0, count))
      await carryOut({ directory, plan, planned: one }, options, observer, signal);
  };
  await each(2);
  return (await seconds(() => each(10))) / 10;
}

/**
 * Seconds a task that the executor needs beside the task: told to a warm process, looked for, answered. The runs are all
 * there, so nothing is left to be done; with runs to be done, their own time hides this in its noise.
 */
async function scheduled(folder: string, plan: SweepPlan, rounds: number): Promise<number> {
  const ids = plan.runs.map(({ id }) => id);
  const work = async (tasks: readonly string[]) => {
    const none = () => undefined;
    const executor = new LocalExecutor({
      worker: new URL("../../dist/src/run/sweep-worker.js", import.meta.url),
      arguments: [join(folder, "results", "swept"), JSON.stringify({ formats, force: false })],
      jobs: 1,
      retries: 0,
      failFast: true,
      observer: { started: none, progress: none, notice: none, done: none, failed: none },
    });
    await executor.submit(tasks.map((id) => ({ id, bytes: 0 })));
    await executor.work();
  };
  const few = await seconds(() => work(ids.slice(0, 1)));
  const many = Array.from({ length: rounds }, () => ids).flat();
  return ((await seconds(() => work(many))) - few) / (many.length - 1);
}

/** `moge sweep` once more when all is done: what planning, looking and collecting take for a run more. */
async function booked(folder: string, counts: readonly [few: number, many: number]) {
  const again = (seeds: number) => () =>
    secondsOf(() => run(folder, "sweep", "sweep.yaml", "--seeds", String(seeds), "--no-report", "--progress", "none"));
  const { few, many } = await interleaved(3, { few: again(counts[0]), many: again(counts[1]) });
  const aRun = (many - few) / (2 * (counts[1] - counts[0]));
  return { aRun, fixed: few - 2 * counts[0] * aRun };
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
      const seeds = quick ? ([1, 3] as const) : ([1, 40] as const);
      const plan = await planned(folder, seeds[1]);
      run(folder, "sweep", "sweep.yaml", "--seeds", String(seeds[1]), "--no-report", "--progress", "none");
      const told = await scheduled(folder, plan, quick ? 2 : 10);
      const { aRun: kept, fixed } = await booked(folder, seeds);
      const bare = await alone(folder, plan);
      const report = await seconds(() => run(folder, "report", join("results", "swept")));
      const runs = quick ? 1000 : 10_000;
      await finished(folder, runs);
      const status: number[] = [];
      for (let round = 0; round < (quick ? 1 : 5); round++) {
        status.push(await seconds(() => run(folder, "status", "many")));
      }
      const overhead = told + kept;
      return {
        tables: [
          {
            title: "beside the runs of a sweep: milliseconds",
            columns: ["what", "ms", "wanted"],
            rows: [
              ["a run of six tiny steps, by itself", 1e3 * bare, "-"],
              ["told to a process, looked for, answered: a run", 1e3 * told, "-"],
              ["planned, looked at and collected: a run", 1e3 * kept, "-"],
              ["overhead, a run", 1e3 * overhead, 30],
              ["a sweep's start, once", 1e3 * fixed, "-"],
              [`figures and report of ${plan.runs.length} runs, once`, 1e3 * report, "-"],
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
