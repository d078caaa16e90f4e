/**
 * Kills a sweep with SIGKILL at random points, its parent, a worker or all of them, gives the same command again, and
 * holds the results to the bytes of an undisturbed one. As a program: `npm run torture -- [kills] [seed]`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
set: { training.steps: 24, probe: { batches: 1 } }
grid: { training.learningRate: [1.0e-3, 3.0e-3] }
seeds: 2
`;

export interface Tortured {
  readonly kills: number;
  /** Sweeps that the kills were spread over. */
  readonly sweeps: number;
  /** Files whose bytes differ from the undisturbed sweep's, or that only one of the two has. */
  readonly differences: readonly string[];
}

/** @param say told of every sweep that came to its end */
export async function torture(kills: number, seed: number, say: (text: string) => void = () => {}): Promise<Tortured> {
  const folder = mkdtempSync(join(tmpdir(), "moge-torture-"));
  const random = randomStream(seed, "torture");
  try {
    writeFileSync(join(folder, "tiny.yaml"), tinyText);
    writeFileSync(join(folder, "sweep.yaml"), sweepText);
    await ended(sweep(folder, "undisturbed"));
    const expected = bytesOfTree(join(folder, "undisturbed", "tortured"));
    const differences: string[] = [];
    let killed = 0;
    let sweeps = 0;
    while (killed < kills) {
      const results = `tortured-${sweeps++}`;
      killed += await tortureOne(folder, results, random, kills - killed);
      const found = differing(expected, bytesOfTree(join(folder, results, "tortured")));
      differences.push(...found.map((name) => `${results}/${name}`));
      say(`${killed} kills, ${sweeps} sweeps, ${differences.length} differences`);
      rmSync(join(folder, results), { recursive: true });
    }
    return { kills: killed, sweeps, differences };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Kills one sweep until it has been killed `most` times or has come to its end. @returns kills */
async function tortureOne(folder: string, results: string, random: Random, most: number): Promise<number> {
  let killed = 0;
  for (;;) {
    const child = sweep(folder, results);
    const end = ended(child);
    if (killed === most) {
      await end;
      return killed;
    }
    const outcome = await Promise.race([end, delay(150 + random.below(900)).then(() => "time" as const)]);
    if (outcome !== "time") return killed;
    const workers = workersOf(child.pid!);
    const victims = [[child.pid!], workers.slice(0, 1), [child.pid!, ...workers]][random.below(3)]!;
    for (const pid of victims) kill(pid);
    if (victims.length > 0) killed++;
    if (victims.includes(child.pid!)) await end;
    else if ((await end) === 0) return killed; // it has replaced the worker and come to its end
  }
}

const sweep = (folder: string, results: string): ChildProcess =>
  spawn(
    process.execPath,
    [program, "sweep", "sweep.yaml", "--results", results, "--retries", "3", "--jobs", "2", "--no-report"],
    {
      cwd: folder,
      stdio: "ignore",
    },
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

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone already
  }
}

function differing(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name]);
}

if (import.meta.filename === process.argv[1]) {
  const [kills = 1000, seed = 1] = process.argv.slice(2).map(Number);
  const { differences, ...counts } = await torture(kills, seed, (text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`${counts.kills} kills over ${counts.sweeps} sweeps: ${differences.length} files differ\n`);
  for (const name of differences) process.stdout.write(`${name}\n`);
  process.exitCode = differences.length === 0 ? 0 : 1;
}
