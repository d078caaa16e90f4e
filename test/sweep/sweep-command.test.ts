import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";
import { parseAllDocuments } from "yaml";
import { carryOut } from "../../src/run/planned-run.ts";
import { readPlan } from "../../src/run/sweep-plan.ts";
import { skipAloud } from "../skip.ts";
import { tinyText } from "../tiny-config.ts";
import { torture } from "./torture.ts";
import { bytesOfTree } from "./tree-bytes.ts";

const program = resolve("dist/src/cli/main.js");

const sweepText = `
name: small
base: tiny.yaml
grid: { training.learningRate: [1.0e-3, 3.0e-3] }
seeds: 2
`;

interface Container {
  readonly command: string[];
  readonly image: string;
  readonly resources: { readonly requests: { readonly memory: string } };
}

describe("moge sweep", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-sweep-"));
    writeFileSync(join(folder, "tiny.yaml"), tinyText);
    writeFileSync(join(folder, "sweep.yaml"), sweepText);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

  /** Without a report, unless that is what the test is about: it takes longer than the runs. */
  const moge = (...args: string[]) => {
    if (args[0] === "sweep" && !args.includes("--report")) args.push("--no-report");
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
      cwd: folder,
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };
  const start = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [program, ...args, "--no-report"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const end = (child: ChildProcess) =>
    new Promise<{ code: number | null; said: string }>((done) => {
      let said = "";
      child.stderr!.on("data", (text: Buffer) => {
        said += text.toString();
      });
      child.on("close", (code) => done({ code, said }));
    });
  const runs = (results = "results") => join(folder, results, "small", "runs");

  it("lists runs, ids and cost in a dry run, and does nothing", () => {
    const { status, stdout, stderr } = moge("sweep", "sweep.yaml", "--dry-run");
    expect(status).to.equal(0);
    const lines = stdout.trim().split("\n");
    expect(lines).to.have.length(8);
    for (const line of lines) {
      expect(line).to.match(
        /^[0-9a-f]{12} {2}missing +\d+ s {2}variant (topk|moge), training\.learningRate 0\.00[13], seed [12]$/,
      );
    }
    expect(stderr).to.match(/^8 runs, 8 of them to be run: \d+ s on two cores/);
    expect(existsSync(join(folder, "results"))).to.equal(false);
  });

  it("runs what is missing, and only that, to the same bytes", () => {
    expect(moge("sweep", "sweep.yaml").status).to.equal(0);
    const before = bytesOfTree(join(folder, "results"));
    const [kept, lost] = readdirSync(runs());
    const keptAt = statSync(join(runs(), kept!)).mtimeMs;
    rmSync(join(runs(), lost!), { recursive: true });
    const again = moge("sweep", "sweep.yaml");
    expect(again.stderr).to.include("8 runs, 7 done already, 1 to run");
    expect(again.stderr).to.match(new RegExp(`1/1 ${lost} done`));
    expect(bytesOfTree(join(folder, "results"))).to.deep.equal(before);
    expect(statSync(join(runs(), kept!)).mtimeMs).to.equal(keptAt);
  });

  it("finds what it has done again when the sweep grows", () => {
    moge("sweep", "sweep.yaml");
    writeFileSync(join(folder, "sweep.yaml"), sweepText.replace("3.0e-3]", "3.0e-3, 5.0e-3]"));
    expect(moge("sweep", "sweep.yaml").stderr).to.include("12 runs, 8 done already, 4 to run");
  });

  it("names a file that was cut short, and runs that run again", () => {
    moge("sweep", "sweep.yaml");
    const before = bytesOfTree(join(folder, "results"));
    const [damaged] = readdirSync(runs());
    truncateSync(join(runs(), damaged!, "steps.csv"), 100);
    expect(moge("status", "results/small").stdout).to.include("8 done");
    expect(moge("status", "results/small", "--check").stdout).to.match(
      /7 done, 1 damaged\n.*steps\.csv has 100 bytes instead of \d+/,
    );
    const again = moge("sweep", "sweep.yaml");
    expect(
      again.stderr.match(new RegExp(`${damaged} is not whole \\(steps\\.csv has 100 bytes`, "g")),
      "said once",
    ).to.have.length(1);
    expect(again.status).to.equal(0);
    expect(bytesOfTree(join(folder, "results"))).to.deep.equal(before);
  });

  it("runs again what another version wrote, and says so", () => {
    moge("sweep", "sweep.yaml");
    const before = bytesOfTree(join(folder, "results"));
    const mark = join(runs(), readdirSync(runs())[0]!, "complete.json");
    writeFileSync(mark, readFileSync(mark, "utf8").replace('"format": 1', '"format": 99'));
    const again = moge("sweep", "sweep.yaml");
    expect(again.stderr).to.match(
      /is not whole \(it was written by another version, moge \d+\.\d+\.\d+\); it is run again/,
    );
    expect(again.status).to.equal(0);
    expect(bytesOfTree(join(folder, "results"))).to.deep.equal(before);
  });

  it("goes on after a run that fails, keeps its log, its partial figures and its error, and exits with 3", () => {
    writeFileSync(join(folder, "sweep.yaml"), sweepText.replace("3.0e-3", "1.0e+30"));
    const { status, stderr } = moge("sweep", "sweep.yaml");
    expect(status).to.equal(3);
    expect(stderr).to.include("4 done, 4 failed");
    const failed = readdirSync(runs()).filter((name) => name.endsWith(".partial"));
    expect(failed).to.have.length(4);
    const error = JSON.parse(readFileSync(join(runs(), failed[0]!, "error.json"), "utf8")) as Record<string, unknown>;
    expect(error).to.include({ kind: "failed", attempts: 1 });
    expect(error["message"]).to.match(/a number that is not finite first appears in/);
    expect(readFileSync(join(runs(), failed[0]!, "log.txt"), "utf8")).to.match(/from step 0\n.*failed: /s);
    expect(readFileSync(join(runs(), failed[0]!, "steps.csv"), "utf8").split("\n").length).to.be.above(2);
    const status2 = moge("status", "results/small");
    expect(status2.stdout).to.match(/4 done, 4 failed/);
    expect(status2.stdout).to.match(/failed +variant topk, training\.learningRate 1e\+30, seed 1/);
  });

  it("stops at the first failure with --fail-fast", () => {
    writeFileSync(join(folder, "sweep.yaml"), sweepText.replace("1.0e-3, 3.0e-3", "1.0e+30, 1.0e-3"));
    const { status, stderr } = moge("sweep", "sweep.yaml", "--fail-fast", "--jobs", "1");
    expect(status).to.equal(3);
    expect(stderr).to.match(/1 failed, 7 missing|1 interrupted, 1 failed, 6 missing/);
  });

  it("saves a run that takes too long and tries it again from there", () => {
    const slow = [
      "--set",
      "training.steps=12000",
      "--set",
      "record.checkpointEvery=10000",
      "--seeds",
      "1",
      "--jobs",
      "1",
    ];
    writeFileSync(join(folder, "sweep.yaml"), "name: small\nbase: tiny.yaml\nvariants: [{ name: topk }]\n");
    const hasSaved = () => readdirSync(runs()).some((name) => existsSync(join(runs(), name, "checkpoint.bin")));
    let timeout = 2.5;
    do {
      const late = moge("sweep", "sweep.yaml", ...slow, "--timeout", String(timeout), "--retries", "0");
      expect(late.stderr).to.include(`timeout, took longer than ${timeout} s`);
      expect(late.status).to.equal(3);
      timeout *= 2;
    } while (!hasSaved()); // a busy machine may not even have begun in that time
    const [partial] = readdirSync(runs());
    expect(JSON.parse(readFileSync(join(runs(), partial!, "error.json"), "utf8"))).to.include({ kind: "timeout" });
    const again = moge("sweep", "sweep.yaml", ...slow);
    expect(again.status).to.equal(0);
    expect(readFileSync(join(runs(), partial!.replace(".partial", ""), "log.txt"), "utf8")).to.match(
      /going on from the checkpoint/,
    );
  });

  it("leaves a damaged run alone that another process mended in the meantime", async () => {
    const small = sweepText.replace(/grid.*\n/, "").replace("seeds: 2", "seeds: 1");
    writeFileSync(join(folder, "sweep.yaml"), small);
    moge("sweep", "sweep.yaml");
    const directory = join(folder, "results", "small");
    const plan = readPlan(directory);
    const planned = plan.runs[0]!;
    const steps = join(runs(), planned.id, "steps.csv");
    const whole = readFileSync(steps);
    const before = bytesOfTree(directory);
    const provenance = readFileSync(join(runs(), planned.id, "provenance.json"), "utf8");
    truncateSync(steps, 100);
    const heard: string[] = [];
    const observer = {
      notice(text: string) {
        heard.push(text);
        writeFileSync(steps, whole);
      },
      step: () => expect.fail("it trains"),
    };
    const result = await carryOut(
      { directory, plan, planned },
      { formats: {} },
      observer,
      new AbortController().signal,
    );
    expect(result).to.deep.equal({ kind: "done" });
    expect(heard).to.have.length(1);
    expect(bytesOfTree(directory)).to.deep.equal(before);
    expect(readFileSync(join(runs(), planned.id, "provenance.json"), "utf8")).to.equal(provenance);
  });

  it("saves what runs at Ctrl-C and ends with 130", async () => {
    const child = start("sweep", "sweep.yaml", "--jobs", "1", "--set", "training.steps=100000");
    const ended = end(child);
    await until(() => readdirSync(runs()).some((name) => existsSync(join(runs(), name, "checkpoint.bin"))));
    child.kill("SIGINT");
    expect((await ended).code).to.equal(130);
    const logs = readdirSync(runs()).map((name) => readFileSync(join(runs(), name, "log.txt"), "utf8"));
    for (const log of logs) expect(log).to.match(/interrupted after step \d+\n$/);
  });

  it("begins anew, and says so, where a checkpoint is corrupt", async () => {
    moge("sweep", "sweep.yaml", "--print-commands");
    const directory = join(folder, "results", "small");
    const plan = readPlan(directory);
    const planned = plan.runs[0]!;
    const interruption = new AbortController();
    const observer = { notice: () => undefined, step: () => interruption.abort() };
    const result = await carryOut({ directory, plan, planned }, { formats: {} }, observer, interruption.signal);
    expect(result).to.deep.equal({ kind: "interrupted" });
    truncateSync(join(runs(), `${planned.id}.partial`, "checkpoint.bin"), 500);
    const again = moge("sweep", "sweep.yaml");
    expect(again.stderr).to.match(/checkpoint\.bin is damaged; starting from the beginning/);
    expect(again.status).to.equal(0);
    moge("sweep", "sweep.yaml", "--results", "other");
    expect(bytesOfTree(runs())).to.deep.equal(bytesOfTree(runs("other")));
  });

  it("is done once by two executors at the same time", async () => {
    const both = [start("sweep", "sweep.yaml"), start("sweep", "sweep.yaml")].map(end);
    const [a, b] = await Promise.all(both);
    expect([a!.code, b!.code]).to.deep.equal([0, 0]);
    moge("sweep", "sweep.yaml", "--results", "alone");
    expect(bytesOfTree(join(folder, "results"))).to.deep.equal(bytesOfTree(join(folder, "alone")));
    const logs = readdirSync(runs()).map((name) => readFileSync(join(runs(), name, "log.txt"), "utf8"));
    for (const log of logs) expect(log.match(/from step 0/g), "begun once").to.have.length(1);
  });

  it("survives a full disk: nothing half done counts, and the same command goes on when there is room", function () {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=400k", "tmpfs", disk], { stdio: "pipe" });
    } catch {
      skipAloud(this, "no small disk can be mounted here");
    }
    try {
      const full = moge("sweep", "sweep.yaml", "--results", "disk", "--retries", "0");
      expect(full.status).to.equal(3);
      expect(full.stderr).to.match(/disk is full|cannot be written \(ENOSPC\)/);
      execFileSync("mount", ["-o", "remount,size=50m", disk]);
      expect(moge("sweep", "sweep.yaml", "--results", "disk").status).to.equal(0);
      moge("sweep", "sweep.yaml");
      expect(bytesOfTree(runs("disk"))).to.deep.equal(bytesOfTree(runs()));
    } finally {
      execFileSync("umount", [disk]);
    }
  });

  it("ends with the bytes of an undisturbed sweep after 30 kills at random points", async function () {
    this.timeout(600_000);
    const { kills, differences } = await torture(30, 2);
    expect(differences).to.deep.equal([]);
    expect(kills.sweep + kills.worker + kills.all).to.equal(30);
  });

  it("prints commands that a shell can run, in any order and twice", () => {
    const { stdout } = moge("sweep", "sweep.yaml", "--print-commands");
    const commands = stdout.trim().split("\n");
    expect(commands).to.have.length(8);
    for (const command of [...commands.slice(0, 2).reverse(), commands[0]!]) {
      execFileSync("sh", ["-c", command], { cwd: "/", stdio: "pipe" });
    }
    expect(readdirSync(runs())).to.have.length(2);
    expect(moge("sweep", "sweep.yaml", "--print-commands").stdout.trim().split("\n")).to.have.length(6);
  });

  it("prints a Kubernetes Indexed Job whose slices make up the sweep", () => {
    const { stdout, status } = moge(
      "sweep",
      "sweep.yaml",
      "--executor",
      "k8s",
      "--manifest",
      "--image",
      "registry/moge:1",
      "--parquet",
    );
    expect(status).to.equal(0);
    const [plan, job] = parseAllDocuments(stdout).map((document) => document.toJS() as Record<string, never>);
    expect(plan).to.include({ apiVersion: "v1", kind: "ConfigMap" });
    const { spec } = job as unknown as {
      spec: {
        completions: number;
        completionMode: string;
        template: { spec: { containers: Container[] } };
      };
    };
    expect(spec).to.include({ completionMode: "Indexed", completions: 8 });
    const [{ command, image, resources }] = spec.template.spec.containers as [Container];
    expect(image).to.equal("registry/moge:1");
    expect(command).to.include("--parquet");
    expect(Number.parseInt(resources.requests.memory, 10), "a process and its model").to.be.within(190, 400);
    writeFileSync(join(folder, "plan.json"), (plan as unknown as { data: Record<string, string> }).data["sweep.json"]!);
    for (let index = 0; index < spec.completions; index++) {
      const words = command
        .slice(1)
        .map((word) =>
          word
            .replace("$(JOB_COMPLETION_INDEX)", String(index))
            .replace("/results/", "pods/")
            .replace("/plan/sweep.json", "plan.json"),
        );
      expect(moge(...words).status).to.equal(0);
    }
    moge("sweep", "sweep.yaml", "--parquet");
    expect(bytesOfTree(join(folder, "pods", "small", "runs"))).to.deep.equal(bytesOfTree(runs()));
  });

  it("says where a value of a run comes from, what two runs differ in, and that a run comes out again", () => {
    moge("sweep", "sweep.yaml", "--set", "training.weightDecay=0.2");
    const ids = readdirSync(runs());
    const why = moge("why", ids[0]!, "training").stdout;
    expect(why).to.match(/^training\.learningRate: 0\.00[13] {2}# sweep\.yaml:4:9$/m);
    expect(why).to.match(/^training\.weightDecay: 0\.2 {2}# --set training\.weightDecay=0\.2$/m);
    expect(why).to.match(/^training\.steps: 6 {2}# tiny\.yaml:4:13$/m);
    expect(why).to.match(/^training\.beta1: 0\.9 {2}# default$/m);
    const plan = JSON.parse(moge("status", "results/small", "--json").stdout) as {
      id: string;
      seed: number;
      variant: string;
      set: Record<string, number>;
    }[];
    const [a, b] = [1, 2].map(
      (seed) =>
        plan.find((run) => run.variant === "topk" && run.seed === seed && run.set["training.learningRate"] === 1e-3)!,
    );
    const diff = JSON.parse(moge("diff", a!.id, b!.id, "--json").stdout) as {
      config: unknown;
      figures: { key: string }[];
    };
    expect(diff.config).to.deep.equal([{ key: "seed", a: 1, b: 2 }]);
    expect(diff.figures.map(({ key }) => key)).to.include("validation_loss_nats_per_byte");
    const verified = moge("verify", a!.id.slice(0, 6));
    expect(verified.stdout).to.match(/^(\d+) of \1 files are the same, byte for byte\n$/);
    const steps = join(runs(), a!.id, "steps.csv");
    writeFileSync(steps, readFileSync(steps, "utf8").replace(/(\n[^\n]*)\d\n/, "$19\n"));
    const spoilt = moge("verify", a!.id);
    expect(spoilt.status).to.equal(4);
    expect(spoilt.stdout).to.match(/✗ steps\.csv: line 2 was /);
  });

  const badSweeps: [what: string, text: string, message: RegExp][] = [
    ["an empty grid", "grid: {}", /^moge: bad\.yaml:3:1 grid: names no key to vary, such as .+\n$/],
    ["an axis without values", "grid: { seed: [] }", /^moge: bad\.yaml:3:9 grid\.seed: expected at least 1 .+\n$/],
    [
      "a key that no config has",
      "grid: { training.stpes: [1] }",
      /^moge: bad\.yaml:3:9 training\.stpes: unknown key, did you mean "steps"\?\n$/,
    ],
    ["a key that no sweep has", "gird: {}", /^moge: bad\.yaml:3:1 gird: unknown key, did you mean "grid"\?\n$/],
    [
      "too many runs",
      "seeds: 2000",
      /^moge: bad\.yaml:1:1: 4,000 runs are more than 1,000; vary less, or allow them with --max-runs 4000\n$/,
    ],
    ["no YAML", "grid: [", /^moge: bad\.yaml:\d+:\d+: not YAML: .+\n$/],
    [
      "a description that is no text",
      "seeds: 1\nset: {}\ndescription: [1]",
      /^moge: bad\.yaml:5:\d+ description: expected text.*\n$/,
    ],
  ];
  for (const [what, text, message] of badSweeps) {
    it(`exits with 2 and one line that says where: ${what}`, () => {
      writeFileSync(join(folder, "bad.yaml"), `name: bad\nbase: tiny.yaml\n${text}\n`);
      const { status, stderr, stdout } = moge("sweep", "bad.yaml");
      expect(stderr).to.match(message);
      expect(stdout).to.equal("");
      expect(status).to.equal(2);
      expect(existsSync(join(folder, "results")), "nothing was begun").to.equal(false);
    });
  }

  const usage: [what: string, args: string[], message: RegExp][] = [
    ["a missing file", ["sweep", "nothing.yaml"], /^moge: nothing\.yaml: there is no such file/],
    ["too many runs", ["sweep", "sweep.yaml", "--max-runs", "3"], /8 runs are more than 3; .* --max-runs 8/],
    ["seeds that are none", ["sweep", "sweep.yaml", "--seeds", "0"], /--seeds 0: expected a whole number from 1 to/],
    [
      "seeds of two kinds",
      ["sweep", "sweep.yaml", "--seeds", "1", "--seeds", "2"],
      /--seeds 1,2: expected a whole number/,
    ],
    [
      "a timeout that is none",
      ["sweep", "sweep.yaml", "--timeout", "-1"],
      /--timeout -1: expected seconds, more than 0/,
    ],
    ["jobs that are none", ["sweep", "sweep.yaml", "--jobs", "x"], /--jobs x: expected a whole number/],
    ["an unknown executor", ["sweep", "sweep.yaml", "--executor", "pbs"], /Invalid values:.*executor/s],
    [
      "a cluster without a manifest",
      ["sweep", "sweep.yaml", "--executor", "k8s"],
      /add --manifest and pipe it to kubectl/,
    ],
    ["a flag of another executor", ["sweep", "sweep.yaml", "--cancel"], /--cancel goes with --executor slurm/],
    ["a manifest of nothing", ["sweep", "sweep.yaml", "--manifest"], /--manifest goes with --executor k8s/],
    ["a folder that is no sweep", ["status", "."], /holds no sweep/],
    ["a run that is none", ["task", ".", "abc"], /holds no sweep/],
    ["an id of nothing", ["why", "abcdef"], /neither a folder of a run nor the start of an id/],
    ["a report of nothing", ["report", "."], /holds neither a sweep nor a finished run/],
  ];
  for (const [what, args, message] of usage) {
    it(`exits with 2 and says why: ${what}`, () => {
      const { status, stderr, stdout } = moge(...args);
      expect(stderr).to.match(message);
      expect(stderr).not.to.match(/\n {4}at /);
      expect(stdout).to.equal("");
      expect(status).to.equal(2);
    });
  }

  it("refuses a folder of another version, and says which", () => {
    mkdirSync(join(folder, "results", "small"), { recursive: true });
    writeFileSync(join(folder, "results", "small", "sweep.json"), JSON.stringify({ format: 99, moge: "9.0.0" }));
    const { status, stderr } = moge("sweep", "sweep.yaml");
    expect(stderr).to.match(/sweep\.json is of another version of moge \(format 99, this one has 1\)/);
    expect(status).to.equal(2);
  });

  it("says in one line that Slurm is not here, and what to do", () => {
    const { status, stderr } = spawnSync(process.execPath, [program, "sweep", "sweep.yaml", "--executor", "slurm"], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, PATH: "/nowhere" },
    });
    expect(stderr).to.match(
      /^moge: Slurm is not here: scontrol was not found; log in to a machine that submits jobs, or leave out --executor slurm/m,
    );
    expect(status).to.equal(2);
  });
});

async function until(holds: () => boolean): Promise<void> {
  for (const last = Date.now() + 30_000; Date.now() < last; await new Promise((done) => setTimeout(done, 10))) {
    try {
      if (holds()) return;
    } catch {
      // not yet
    }
  }
  throw new Error("it did not happen within half a minute");
}
