/** What is handed to Slurm, on machines without one: programs of its names note what they are asked. */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "chai";
import { writeWhole } from "../../src/host/whole-file.ts";
import { bytesOfTree } from "../sweep/tree-bytes.ts";
import { tinyText } from "../tiny-config.ts";

const program = resolve("dist/src/cli/main.js");

describe("what Slurm is given", function () {
  this.timeout(120_000);
  let folder: string;
  let environment: NodeJS.ProcessEnv;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge it's 5% "));
    mkdirSync(join(folder, "bin"));
    environment = {
      ...process.env,
      PATH: `${join(folder, "bin")}:${process.env["PATH"]}`,
      ASKED: join(folder, "asked"),
    };
    install("squeue", 'echo >>"$ASKED.squeue"; cat "$ASKED.queue" 2>/dev/null; true');
    install("scancel", 'echo "$@" >>"$ASKED.scancel"');
    install("sacct", 'echo "sacct: error: Slurm accounting storage is disabled" >&2; exit 1');
    install(
      "sbatch",
      'n=$(ls "$ASKED".*.sh 2>/dev/null | wc -l); printf "%s\\n" "$@" >"$ASKED.$n"; cat >"$ASKED.$n.sh"; echo $((7 + n))',
    );
    install(
      "scontrol",
      'case $1 in show) echo "MaxArraySize            = 5";; *) echo "$@" >>"$ASKED.scontrol";; esac',
    );
    writeFileSync(join(folder, "tiny.yaml"), tinyText);
    writeFileSync(join(folder, "sweep.yaml"), "name: queued\nbase: tiny.yaml\nseeds: 3\n");
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL"); // of a test that failed
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  function install(name: string, body: string): void {
    writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, "bin", name), 0o755);
  }
  const moge = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { cwd: folder, env: environment, encoding: "utf8" });
  const submit = (...args: string[]) => {
    const { status, stderr } = moge("sweep", "sweep.yaml", "--executor", "slurm", ...args);
    expect(status, stderr).to.equal(0);
  };
  const asked = (name: string): string => {
    const path = join(folder, `asked.${name}`);
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  };
  /** What squeue says from now on, whole to whoever is just reading it. */
  const queue = (text: string) => writeWhole(join(folder, "asked.queue"), text);
  const start = (program: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    const child = spawn(program, args, options);
    children.push(child);
    return child;
  };
  const startMoge = (...args: string[]): ChildProcess =>
    start(process.execPath, [program, ...args], { cwd: folder, env: environment, stdio: ["ignore", "ignore", "pipe"] });
  /** Carries a task out as Slurm would. */
  const task = (index: number): ChildProcess =>
    start("bash", [join(folder, "asked.0.sh")], {
      cwd: "/",
      env: { ...environment, SLURM_ARRAY_JOB_ID: "7", SLURM_ARRAY_TASK_ID: String(index) },
      stdio: "ignore",
    });
  const end = (child: ChildProcess) => new Promise<number | null>((done) => child.on("close", (code) => done(code)));
  /** As Slurm ends a task that it has queued again: once may be before the script waits for it. */
  async function endByTerm(child: ChildProcess): Promise<number | null> {
    const ended = end(child);
    const timer = setInterval(() => child.kill("SIGTERM"), 100);
    const code = await ended;
    clearInterval(timer);
    return code;
  }
  const runs = (results = "results") => join(folder, results, "queued", "runs");

  it("is an array as large as it takes at most, with its signal a minute before the end, and one job that collects", () => {
    submit("--jobs", "2", "--timeout", "90", "--slurm=--partition=long");
    const array = asked("0").split("\n");
    expect(array).to.include.members([
      "--array=0-4%2",
      "--requeue",
      "--signal=B:USR2@60",
      "--time=3",
      "--partition=long",
    ]);
    const log = array.find((word) => word.startsWith("--output="))!;
    expect(log, "a % of the folder is none of Slurm's own").to.match(/5%% .*\/slurm\/%A_%a\.log$/);
    expect(asked("1").split("\n")).to.include.members(["--dependency=afterany:7", "--partition=long"]);
  });

  it("carries out slices that make up the sweep, from a folder with blanks and quotes, and is not had again", async () => {
    submit();
    for (let index = 0; index < 5; index++) expect(await end(task(index))).to.equal(0);
    expect(asked("scontrol")).to.equal("");
    moge("sweep", "sweep.yaml", "--results", "local", "--no-report");
    expect(bytesOfTree(runs())).to.deep.equal(bytesOfTree(runs("local")));
    expect(spawnSync("bash", [join(folder, "asked.1.sh")], { cwd: "/", env: environment }).status).to.equal(0);
    expect(existsSync(join(folder, "results", "queued", "report.html"))).to.equal(true);
  });

  it("has what was killed queued again, as often as retries allow", async () => {
    submit("--set", "training.steps=100000");
    const first = task(0);
    process.kill(await pidAtWork(), "SIGKILL");
    await until(() => asked("scontrol") === "requeue 7_0\n");
    expect(await endByTerm(first)).to.equal(137);
    const ended = end(task(0));
    process.kill(await pidAtWork(), "SIGKILL");
    expect(await ended).to.equal(137);
    expect(asked("scontrol"), "once, not twice").to.equal("requeue 7_0\n");
  });

  it("saves on USR2 and has itself queued again; told to end, it saves and does not", async () => {
    submit("--set", "training.steps=100000", "--retries", "0");
    const stopped = task(0);
    const ended = end(stopped);
    const pid = await pidAtWork();
    stopped.kill("SIGTERM");
    process.kill(pid, "SIGTERM"); // Slurm tells every process of the task
    expect(await ended).to.equal(75);
    expect(asked("scontrol")).to.equal("");
    const late = task(0);
    await pidAtWork();
    late.kill("SIGUSR2");
    await until(() => asked("scontrol") === "requeue 7_0\n");
    expect(await endByTerm(late)).to.equal(75);
    const [partial] = readdirSync(runs());
    expect(readFileSync(join(runs(), partial!, "log.txt"), "utf8").match(/interrupted after step \d+/g)).to.have.length(
      2,
    );
  });

  it("does not try again what would fail again", async () => {
    submit("--set", "training.learningRate=1e30", "--retries", "5");
    expect(await end(task(0))).to.equal(3);
    expect(asked("scontrol")).to.equal("");
  });

  it("is told of by moge status: what runs, why others wait, and how tasks ended where accounts are kept", () => {
    submit();
    queue("7|0|RUNNING|None\n7|1|PENDING|Resources\n7|2|PENDING|Resources\n");
    const status = moge("status", "results/queued").stdout;
    expect(status).to.match(/^Slurm: 2 running, 2 waiting \(tasks: 2 Resources\)$/m);
    expect(status).to.match(/^Slurm keeps no accounts here/m);
    install(
      "sacct",
      "printf '7_0|RUNNING|00:01:00\\n7_3|OUT_OF_MEMORY|00:02:03\\n7_4|CANCELLED by 0|00:00:04\\n7_[1-2]|PENDING|00:00:00\\n'",
    );
    expect(moge("status", "results/queued").stdout).to.match(
      /^7_3 OUT_OF_MEMORY after 00:02:03\n7_4 CANCELLED by 0 after 00:00:04$/m,
    );
    submit();
    expect(asked("2").split("\n"), "what is queued is not submitted again").to.include("--array=3-4");
    submit("--cancel");
    expect(asked("scancel"), "of the first job alone something is queued").to.equal("--quiet 7\n");
  });

  it("is waited for until nothing of it changes any more, the report by its other job included", async () => {
    queue("8|N/A|PENDING|Resources\n");
    const child = startMoge("sweep", "sweep.yaml", "--executor", "slurm", "--wait");
    const ended = end(child);
    const said: string[] = [];
    child.stderr!.on("data", (text: Buffer) => said.push(text.toString()));
    await until(() => /still to start the job that writes the report \(Resources\)/.test(said.join("")));
    expect(existsSync(join(folder, "results", "queued", "runs.csv"))).to.equal(false);
    queue("8|N/A|RUNNING|None\n");
    const before = asked("squeue").length;
    await until(() => asked("squeue").length >= before + 2); // it has heard that, and asks again
    expect(existsSync(join(folder, "results", "queued", "runs.csv"))).to.equal(false);
    queue("");
    expect(await ended, "no run was carried out").to.equal(3);
    expect(existsSync(join(folder, "results", "queued", "runs.csv"))).to.equal(true);
  });

  it("is known whole, though another process submits at the same time", async () => {
    const asks = readFileSync(join(folder, "bin", "sbatch"), "utf8").replace("#!/bin/sh\n", "");
    install(
      "sbatch",
      `case "$*" in *-collect*) mkdir "$ASKED.first" && while [ ! -e "$ASKED.go" ]; do sleep 0.05; done;; esac; ${asks}`,
    );
    const ended = end(startMoge("sweep", "sweep.yaml", "--executor", "slurm"));
    await until(() => existsSync(join(folder, "asked.first"))); // half of the first submission is noted
    submit();
    writeFileSync(join(folder, "asked.go"), "");
    expect(await ended).to.equal(0);
    queue("7|0|RUNNING|None\n8|0|RUNNING|None\n");
    submit("--cancel");
    expect(asked("scancel")).to.equal("--quiet 7 8\n");
  });

  it("is refused where arrays are", () => {
    install("scontrol", 'echo "MaxArraySize = 0"');
    const { status, stderr } = moge("sweep", "sweep.yaml", "--executor", "slurm");
    expect(stderr).to.match(/Slurm takes no job arrays here .*--print-commands/);
    expect(status).to.equal(2);
  });

  /** The process of the one run that is under way, once it has saved something. */
  async function pidAtWork(): Promise<number> {
    let found = 0;
    await until(() => {
      const partial = readdirSync(runs()).find((name) => name.endsWith(".partial"))!;
      if (!existsSync(join(runs(), partial, "checkpoint.bin"))) return false;
      found = (JSON.parse(readFileSync(join(runs(), partial, "lock"), "utf8")) as { pid: number }).pid;
      return isAlive(found);
    });
    return found;
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (const last = Date.now() + 60_000; Date.now() < last; await delay(20)) {
    try {
      if (holds()) return;
    } catch {
      // not yet
    }
  }
  throw new Error("it did not happen within a minute");
}
