import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "chai";
import { ranges, sliceOf } from "../../src/host/executors/slurm.ts";
import { skipAloud } from "../skip.ts";
import { bytesOfTree } from "../sweep/tree-bytes.ts";
import { tinyText } from "../tiny-config.ts";
import { type Cluster, startCluster, whyNoCluster } from "./cluster.ts";

const program = resolve("dist/src/cli/main.js");

const sweepText = `
name: queued
base: tiny.yaml
set: { training.steps: 800, record.checkpointEvery: 50, record.every: 100, record.validationEvery: 400 }
grid: { training.learningRate: [1.0e-3, 3.0e-3] }
seeds: 3
`;

describe("slices of a sweep", () => {
  it("hold every run once, in order, none empty", () => {
    for (const [total, count] of [
      [12, 12],
      [2500, 1000],
      [7, 3],
    ] as const) {
      const slices = Array.from({ length: total }, (_, place) => sliceOf(place, total, count));
      expect([...new Set(slices)]).to.deep.equal(Array.from({ length: count }, (_, slice) => slice));
    }
  });

  it("are named as sbatch names them", () => {
    expect(ranges([0, 1, 2, 5, 7, 8])).to.equal("0-2,5,7-8");
  });
});

describe("a sweep by a real Slurm", function () {
  this.timeout(600_000);
  let folder: string;
  let cluster: Cluster;

  before(async function () {
    const reason = whyNoCluster();
    if (reason !== undefined) skipAloud(this, `no Slurm here (${reason})`);
    folder = mkdtempSync(join(tmpdir(), "moge 100% queue-"));
    writeFileSync(join(folder, "tiny.yaml"), tinyText);
    writeFileSync(join(folder, "sweep.yaml"), sweepText);
    cluster = await startCluster();
  });
  after(async () => {
    if (cluster as Cluster | undefined) await cluster.stop();
    if (folder) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  const moge = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { cwd: folder, env: cluster.environment, encoding: "utf8" });
  const queued = (...parts: string[]) => join(folder, "queued", "queued", ...parts);
  const wait = ["sweep", "sweep.yaml", "--results", "queued", "--executor", "slurm", "--wait"];

  it("ends with the bytes of a local one, though a task, and then the node's daemon, are killed and one is told to save", async () => {
    expect(moge("sweep", "sweep.yaml", "--results", "local", "--progress", "none").status).to.equal(0);
    const child = spawn(process.execPath, [program, ...wait], {
      cwd: folder,
      env: cluster.environment,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const end = endOf(child);

    const first = await caughtTask([]);
    process.kill(first.pid, "SIGKILL");

    const second = await caughtTask([first.index]);
    const telling = spawn("scancel", ["--signal=USR2", "--batch", `1_${second.index}`], {
      env: cluster.environment,
      stdio: "ignore",
    });
    await waitFor("the batch shell to pass the signal on", () => awaits(second.pid, "SIGUSR2"));
    telling.kill(); // it may ask on and on, though the signal is there
    process.kill(second.pid, "SIGCONT");
    await waitFor("the task to save", () => logOf(second.index).includes("stopping after this step"));

    const third = await caughtTask([first.index, second.index]);
    const status = moge("status", queued());
    expect(status.stdout).to.match(/running/);
    expect(status.stdout).to.match(/^Slurm: \d+ running, \d+ waiting( \(tasks: .+\))?$/m);
    expect(status.stdout).to.include("Slurm keeps no accounts here; why a task ended is in its log");
    await cluster.killNode();
    process.kill(third.pid, "SIGCONT");
    await waitFor("the run to end without the daemon", () => existsSync(queued("runs", third.id)));
    await cluster.startNode();

    const { code, said } = await end;
    expect(said).to.include("12 done");
    expect(code).to.equal(0);
    expect(bytesOfTree(queued())).to.deep.equal(bytesOfTree(join(folder, "local", "queued")));
    expect(beginnings(first.index), "begun again after it was killed").to.be.at.least(1);
    expect(beginnings(second.index), "gone on with after it had saved").to.be.at.least(1);
    expect(readFileSync(queued("slurm", `1_${first.index}.failures`), "utf8")).to.equal("137\n");
    expect(existsSync(queued("slurm", `1_${second.index}.failures`)), "saving is no failure").to.equal(false);
  });

  it("submits nothing when all is done, and again what is missing", () => {
    const again = moge(...wait);
    expect(again.stderr).to.include("12 runs, 12 done already, 0 to run");
    expect(submissions()).to.have.length(1);
    const [lost] = readdirSync(queued("runs"));
    rmSync(queued("runs", lost!), { recursive: true });
    const one = moge(...wait);
    expect(one.stderr).to.include("12 runs, 11 done already, 1 to run");
    expect(one.status).to.equal(0);
    expect(submissions()[1]!.indices).to.have.length(1);
    expect(bytesOfTree(queued())).to.deep.equal(bytesOfTree(join(folder, "local", "queued")));
  });

  it("saves what runs when it is cancelled, and leaves nothing in the queue", async () => {
    for (const id of readdirSync(queued("runs")).slice(0, 3)) rmSync(queued("runs", id), { recursive: true });
    const submit = wait.filter((word) => word !== "--wait");
    expect(moge(...submit).status).to.equal(0);
    const caught = await caughtTask([]);
    expect(moge(...submit, "--cancel").status).to.equal(0);
    // Slurm sends SIGCONT along with SIGTERM.
    await waitFor("the queue to empty", () => /Slurm: 0 running, 0 waiting/.test(moge("status", queued()).stdout));
    const log = readFileSync(queued("runs", `${caught.id}.partial`, "log.txt"), "utf8");
    expect(log).to.match(/interrupted after step \d+\n$/);
    expect(moge(...wait).status).to.equal(0);
    expect(bytesOfTree(queued())).to.deep.equal(bytesOfTree(join(folder, "local", "queued")));
  });

  const submissions = () =>
    readdirSync(queued("slurm"))
      .flatMap((name) => /^(\d+)\.json$/.exec(name)?.[1] ?? [])
      .sort((a, b) => Number(a) - Number(b))
      .map((job) => JSON.parse(readFileSync(queued("slurm", `${job}.json`), "utf8")) as { indices: number[] });

  const logOf = (index: number): string => {
    try {
      return readFileSync(queued("slurm", `1_${index}.log`), "utf8");
    } catch {
      return "";
    }
  };

  /** How often a task's run went on from a checkpoint. */
  const beginnings = (index: number): number => logOf(index).split("going on from the checkpoint").length - 1;

  /** A task whose run has saved something, stopped there lest it end before the test has done with it what it wants. */
  async function caughtTask(but: readonly number[]): Promise<{ index: number; pid: number; id: string }> {
    let caught: { index: number; pid: number; id: string } | undefined;
    await waitFor("a run to have begun", () => {
      const names = readdirSync(queued("runs")).filter((name) => name.endsWith(".partial"));
      for (const name of names) {
        const holder = holderOf(name);
        if (holder === undefined || but.includes(holder.index)) continue;
        process.kill(holder.pid, "SIGSTOP");
        if (holderOf(name)?.pid === holder.pid) {
          caught = { ...holder, id: name.replace(".partial", "") };
          return true;
        }
        process.kill(holder.pid, "SIGCONT"); // it was just at its end
      }
      return false;
    });
    return caught!;
  }

  /** Who is at a run, if it has saved something. */
  function holderOf(name: string): { index: number; pid: number } | undefined {
    try {
      if (!existsSync(queued("runs", name, "checkpoint.bin"))) return undefined;
      const lock = readFileSync(queued("runs", name, "lock"), "utf8");
      const { pid, task } = JSON.parse(lock) as { pid: number; task: string };
      process.kill(pid, 0);
      return { pid, index: Number(task.split("_")[1]) };
    } catch {
      return undefined; // not yet, or over
    }
  }
});

/** Whether a stopped process has been sent a signal that it will see when it goes on. */
function awaits(pid: number, signal: NodeJS.Signals): boolean {
  const [, pending = "0"] = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return ((BigInt(`0x${pending}`) >> BigInt(constants.signals[signal] - 1)) & 1n) === 1n;
}

async function waitFor(what: string, holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 180_000; Date.now() < end; await delay(20)) {
    try {
      if (holds()) return;
    } catch {
      // not yet
    }
  }
  throw new Error(`three minutes were not enough for ${what}`);
}

const endOf = (child: ChildProcess) =>
  new Promise<{ code: number | null; said: string }>((done) => {
    let said = "";
    child.stderr!.on("data", (text: Buffer) => {
      said += text.toString();
    });
    child.on("close", (code) => done({ code, said }));
  });
