/**
 * Kills a sweep with SIGKILL at random points: the process that leads it, a worker, or all of them. Now and then two
 * lead it at once, and what lies on the disk is damaged between two attempts. The same command is given again until the
 * sweep is done, and its results are held to the bytes of an undisturbed one. As a program:
 * `npm run torture -- [kills] [seed]`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Random, randomStream } from "../../src/core/random.ts";
import { tinyText } from "../tiny-config.ts";
import { bytesOfTree } from "./tree-bytes.ts";

const program = resolve("dist/src/cli/main.js");

const sweepText = `
name: tortured
base: tiny.yaml
set: { training.steps: 60, probe: { batches: 1 } }
grid: { training.learningRate: [1.0e-3, 3.0e-3] }
seeds: 4
`;

export interface Tortured {
  /** SIGKILLs by victim: the sweep's own process, one of its workers, all at once. */
  readonly kills: Readonly<Record<Victim, number>>;
  /** Times that two processes led the sweep at once. */
  readonly twins: number;
  /** Files that were cut short or overwritten. */
  readonly damages: number;
  /** Sweeps that the kills were spread over. */
  readonly sweeps: number;
  /** Files whose bytes differ from the undisturbed sweep's, or that only one of the two has. */
  readonly differences: readonly string[];
}

type Victim = "sweep" | "worker" | "all";

/** A worker is cheapest to replace, so most kills are of one. */
const VICTIMS: readonly Victim[] = ["sweep", "all", "worker", "worker", "worker", "worker"];

interface Tally {
  readonly kills: Record<Victim, number>;
  twins: number;
  damages: number;
}

const sum = ({ sweep, worker, all }: Tally["kills"]) => sweep + worker + all;

/** @param say told of every sweep that came to its end */
export async function torture(kills: number, seed: number, say: (text: string) => void = () => {}): Promise<Tortured> {
  const folder = mkdtempSync(join(tmpdir(), "moge-torture-"));
  const random = randomStream(seed, "torture");
  const tally: Tally = { kills: { sweep: 0, worker: 0, all: 0 }, twins: 0, damages: 0 };
  try {
    writeFileSync(join(folder, "tiny.yaml"), tinyText);
    writeFileSync(join(folder, "sweep.yaml"), sweepText);
    await ended(sweep(folder, "undisturbed"));
    const before = Date.now();
    await ended(sweep(folder, "undisturbed"));
    const pause = Date.now() - before;
    const expected = bytesOfTree(join(folder, "undisturbed", "tortured"));
    const differences: string[] = [];
    let sweeps = 0;
    while (sum(tally.kills) < kills) {
      const results = `tortured-${sweeps++}`;
      const most = Math.min(kills, sum(tally.kills) + MOST_KILLS);
      await tortureOne({ folder, results, random, pause, tally, most });
      const found = differing(expected, bytesOfTree(join(folder, results, "tortured")));
      differences.push(...found.map((name) => `${results}/${name}`));
      say(`${sum(tally.kills)} kills, ${sweeps} sweeps, ${differences.length} differences`);
      rmSync(join(folder, results), { recursive: true, maxRetries: 10 });
    }
    return { ...tally, sweeps, differences };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Kills that one sweep gets at most: what it is like at its end matters as well. */
const MOST_KILLS = 60;

interface Chamber {
  readonly folder: string;
  readonly results: string;
  readonly random: Random;
  /** Milliseconds until the next kill, at most: what a sweep takes that has nothing to do, about as long as a worker takes to start. */
  readonly pause: number;
  readonly tally: Tally;
  /** Kills in all, after which it is left alone. */
  readonly most: number;
}

/** Kills one sweep until it comes to its end. */
async function tortureOne({ folder, results, random, pause, tally, most }: Chamber): Promise<void> {
  const lead = () => {
    const child = sweep(folder, results);
    return { child, end: ended(child) };
  };
  let leaders = [lead()];
  const orphans = new Set<number>();
  for (;;) {
    const [first, second] = leaders;
    if (sum(tally.kills) >= most) {
      const codes = await Promise.all(leaders.map(({ end }) => end));
      if (codes.every((code) => code === 0)) return;
      leaders = [lead()];
      continue;
    }
    const over = await Promise.race([first!.end, delay(random.below(pause)).then(() => "not yet" as const)]);
    if (over !== "not yet") {
      const code = second === undefined ? over : await second.end;
      if (code === 0) return;
      leaders = [lead()];
      continue;
    }
    const workers = workersOf(first!.child.pid!);
    const victim = VICTIMS[random.below(VICTIMS.length)]!;
    if (victim === "worker") {
      if (workers.length > 0 && kill(workers[random.below(workers.length)]!)) tally.kills.worker++;
      continue;
    }
    if (kill(first!.child.pid!)) tally.kills[victim]++;
    if (victim === "all") for (const worker of workers) kill(worker);
    await first!.end;
    for (const worker of workers) orphans.add(worker);
    if (victim === "all" && second === undefined && random.below(3) === 0) {
      await Promise.all([...orphans].map(gone)); // what somebody is writing is not for others to cut
      orphans.clear();
      if (damage(join(folder, results, "tortured", "runs"), random)) tally.damages++;
    }
    leaders = [...(second === undefined ? [] : [second]), lead()];
    if (leaders.length === 1 && random.below(8) === 0) {
      leaders.push(lead());
      tally.twins++;
    }
  }
}

/** Cuts a file of one run short, or writes over the middle of its checkpoint. @returns whether there was any */
function damage(runs: string, random: Random): boolean {
  try {
    const names = readdirSync(runs);
    const run = join(runs, names[random.below(names.length)]!);
    const files = readdirSync(run).filter((name) => /^(checkpoint\.bin|complete\.json|.*\.csv)$/.test(name));
    const path = join(run, files[random.below(files.length)]!);
    const { size } = statSync(path);
    if (path.endsWith(".bin") && random.below(2) === 0) overwrite(path, random.below(size));
    else truncateSync(path, random.below(size));
    return true;
  } catch {
    return false; // nothing there yet, or just gone
  }
}

function overwrite(path: string, at: number): void {
  const descriptor = openSync(path, "r+");
  writeSync(descriptor, "damaged", at);
  closeSync(descriptor);
}

/** Until a process has ended, whoever its parent is by now. */
async function gone(pid: number): Promise<void> {
  const lives = () => {
    try {
      return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
    } catch {
      return false;
    }
  };
  while (lives()) await delay(5);
}

const sweep = (folder: string, results: string): ChildProcess =>
  spawn(
    process.execPath,
    [program, "sweep", "sweep.yaml", "--results", results, "--retries", "100", "--jobs", "2", "--no-report"],
    { cwd: folder, stdio: "ignore" },
  );

const ended = (child: ChildProcess) => new Promise<number | null>((done) => child.on("exit", done));

/** Children of a process, by the system's own list; none where it keeps none. */
function workersOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** @returns whether it was there */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    return false;
  }
}

function differing(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]);
}

if (import.meta.filename === process.argv[1]) {
  const [kills = 1000, seed = 1] = process.argv.slice(2).map(Number);
  const tortured = await torture(kills, seed, (text) => process.stderr.write(`${text}\n`));
  const { sweep: sweeps, worker, all } = tortured.kills;
  process.stdout.write(
    `seed ${seed}: ${sum(tortured.kills)} kills over ${tortured.sweeps} sweeps: ${sweeps} of the sweep's process, ${worker} of a worker, ${all} of all; ` +
      `led by two ${tortured.twins} times, ${tortured.damages} files damaged; ${tortured.differences.length} files differ\n`,
  );
  for (const name of tortured.differences) process.stdout.write(`${name}\n`);
  process.exitCode = tortured.differences.length === 0 ? 0 : 1;
}
