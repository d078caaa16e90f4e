import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "chai";
import { ranges, sliceOf } from "../../src/host/executors/slurm.ts";
import { bytesOfTree } from "../sweep/tree-bytes.ts";
import { tinyText } from "../tiny-config.ts";
import { type Cluster, startCluster, whyNoCluster } from "./cluster.ts";

const program = resolve("dist/src/cli/main.js");

const sweepText = `
name: queued
base: tiny.yaml
set: { training.steps: 3000, record.checkpointEvery: 100, record.every: 100, record.validationEvery: 400 }
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
  this.timeout(240_000);
  let folder: string;
  let cluster: Cluster;

  before(async function () {
    const reason = whyNoCluster();
    if (reason !== undefined) {
      console.log(`      skipped: no Slurm here (${reason})`);
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), "moge-queue-"));
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
  const slurm = (name: string, ...args: string[]) =>
    execFileSync(name, args, { env: cluster.environment, encoding: "utf8" });

  it("ends with the bytes of a local one, though a task, and then the node's daemon, are killed and one is told to save", async () => {
    expect(moge("sweep", "sweep.yaml", "--results", "local", "--progress", "none").status).to.equal(0);
    const child = spawn(
      process.execPath,
      [program, "sweep", "sweep.yaml", "--results", "queued", "--executor", "slurm", "--wait"],
      { cwd: folder, env: cluster.environment, stdio: ["ignore", "ignore", "pipe"] },
    );
    const end = endOf(child);

    const first = await runningTask();
    process.kill(first.pid, "SIGKILL");
    const second = await runningTask(first.index);
    slurm("scancel", "--signal=USR2", "--batch", `1_${second.index}`);
    await waitFor(() => logOf(second.index).includes("stopping after this step"));
    await runningTask(second.index);
    expect(moge("status", join("queued", "queued")).stdout).to.match(/running/);
    await cluster.killNode();
    await delay(1000);
    await cluster.startNode();

    const { code, said } = await end;
    expect(said).to.include("12 done");
    expect(code).to.equal(0);
    const [local, queued] = ["local", "queued"].map((results) => bytesOfTree(join(folder, results, "queued")));
    expect(queued).to.deep.equal(local);
    expect(restartsOf(first.index)).to.be.at.least(1);
    expect(restartsOf(second.index)).to.be.at.least(1);
  });

  it("submits nothing when all is done, and again what is missing", async () => {
    const again = moge("sweep", "sweep.yaml", "--results", "queued", "--executor", "slurm", "--wait");
    expect(again.stderr).to.include("12 runs, 12 done already, 0 to run");
    expect(submissions()).to.have.length(1);
    const runs = join(folder, "queued", "queued", "runs");
    const [lost] = readdirSync(runs);
    rmSync(join(runs, lost!), { recursive: true });
    const one = moge("sweep", "sweep.yaml", "--results", "queued", "--executor", "slurm", "--wait");
    expect(one.stderr).to.include("12 runs, 11 done already, 1 to run");
    expect(one.status).to.equal(0);
    expect(submissions()[1]!.indices).to.have.length(1);
    expect(bytesOfTree(join(folder, "queued", "queued"))).to.deep.equal(bytesOfTree(join(folder, "local", "queued")));
  });

  const submissions = () =>
    JSON.parse(readFileSync(join(folder, "queued", "queued", "slurm", "submissions.json"), "utf8")) as {
      indices: number[];
    }[];

  const logOf = (index: number): string => {
    try {
      return readFileSync(join(folder, "queued", "queued", "slurm", `1_${index}.log`), "utf8");
    } catch {
      return "";
    }
  };

  const restartsOf = (index: number): number =>
    Number(/Restarts=(\d+)/.exec(slurm("scontrol", "show", "job", `1_${index}`))![1]);

  /** A task whose run has begun, and its process. */
  async function runningTask(but = -1): Promise<{ index: number; pid: number }> {
    let found: { index: number; pid: number } | undefined;
    await waitFor(() => {
      const runs = join(folder, "queued", "queued", "runs");
      for (const name of readdirSync(runs).filter((each) => each.endsWith(".partial"))) {
        try {
          const { pid, task } = JSON.parse(readFileSync(join(runs, name, "lock"), "utf8")) as {
            pid: number;
            task: string;
          };
          const index = Number(task.split("_")[1]);
          if (index !== but && readFileSync(join(runs, name, "steps.csv"), "utf8").split("\n").length > 60) {
            process.kill(pid, 0);
            found = { index, pid };
          }
        } catch {
          // not yet, or over
        }
      }
      return found !== undefined;
    });
    return found!;
  }
});

async function waitFor(holds: () => boolean): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await delay(20)) {
    try {
      if (holds()) return;
    } catch {
      // not yet
    }
  }
  throw new Error("it did not happen within a minute");
}

const endOf = (child: ChildProcess) =>
  new Promise<{ code: number | null; said: string }>((done) => {
    let said = "";
    child.stderr!.on("data", (text: Buffer) => {
      said += text.toString();
    });
    child.on("exit", (code) => done({ code, said }));
  });
