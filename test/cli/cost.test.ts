import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { expect } from "chai";
import { readCsv } from "../../src/output/csv.ts";

const program = resolve("dist/src/cli/main.js");

const job = `
name: small
model: { preset: qwen3-30b-a3b, layers: 8 }
cluster: { devices: 16, device: ascend-910b3 }
layout: { pipeline: 2, expert: 8 }
batch: { globalBatch: 64 }
routing: { kind: burst, factor: 3, every: 4 }
recompute: full
`;

interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid?: number;
  readonly ts: number;
  readonly dur: number;
  readonly id?: string;
  readonly args: Readonly<Record<string, string | number>>;
}

interface CostReport {
  readonly seconds: number;
  readonly split: Readonly<Record<"compute" | "communication" | "hottestWait" | "slowWait" | "bubble", number>>;
  readonly stages: readonly CostReport["split"][];
}

const sumOf = ({ compute, communication, hottestWait, slowWait, bubble }: CostReport["split"]) =>
  compute + communication + hottestWait + slowWait + bubble;

describe("moge cost and moge plan", function () {
  this.timeout(120_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-cost-"));
    writeFileSync(join(folder, "job.yaml"), job);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const moge = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: "utf8", maxBuffer: 1e8 });
  const written = (name: string) => readFileSync(join(folder, name), "utf8");

  for (const name of readdirSync("configs").filter((file) => /^cost-.*\.yaml$/.test(file))) {
    it(`prices what comes with it, which fits: ${name}`, () => {
      const { status, stderr } = moge("cost", basename(name, ".yaml"));
      expect(stderr).to.equal("");
      expect(status).to.equal(0);
    });
  }

  it("splits the step into parts that add up to it, in JSON, in CSV and on every stage", () => {
    const { status, stdout, stderr } = moge("cost", "job.yaml", "--json", "--csv", "cost.csv");
    expect(status, stderr).to.equal(0);
    const report = JSON.parse(stdout) as CostReport;
    expect(sumOf(report.split)).to.equal(report.seconds);
    for (const stage of report.stages) expect(sumOf(stage)).to.be.closeTo(report.seconds, 1e-12 * report.seconds);
    const rows = readCsv(join(folder, "cost.csv"));
    const [step] = rows.filter(({ scope }) => scope === "step");
    const nineDigits = (value: number) => Number(value.toPrecision(9));
    expect(Number(step!["seconds"])).to.equal(nineDigits(report.seconds));
    for (const part of ["compute", "communication", "bubble"] as const) {
      expect(Number(step![`${part}_seconds`]), part).to.equal(nineDigits(report.split[part]));
    }
    expect(rows.filter(({ scope }) => scope === "stage").length).to.equal(2);
    expect(rows.filter(({ scope }) => scope === "layer").length).to.equal(2 * 8);
  });

  it("says of a device without bounds that its memory has none, not a number of 300 digits", () => {
    const { status, stdout, stderr } = moge("cost", "job.yaml", "--set=cluster.device=ideal");
    expect(status, stderr).to.equal(0);
    expect(stdout).to.match(/^fits: the fullest device needs [\d.]+ GB; there is no limit$/m);
  });

  it("prints lines of at most 80 letters", () => {
    const { stdout } = moge("cost", "job.yaml");
    expect(stdout).to.match(/^small: SIMULATED training step/);
    for (const line of stdout.split("\n")) expect(line.length, line).to.be.at.most(80);
  });

  it("traces every stage without a gap: lanes add up to the step, and micro-batches take their own times", () => {
    const { stdout } = moge("cost", "job.yaml", "--json", "--trace", "trace.json");
    const report = JSON.parse(stdout) as CostReport;
    const { traceEvents } = JSON.parse(written("trace.json")) as { traceEvents: TraceEvent[] };
    const named = traceEvents.filter(({ name }) => name === "process_name").map(({ args }) => args["name"]);
    expect(named.length).to.equal(2 + 1 + 8);
    expect(named.every((name) => String(name).endsWith("SIMULATED"))).to.equal(true);
    const lanesOf = (stage: number) =>
      traceEvents.filter(({ name, pid }) => name === "thread_name" && pid === stage).map(({ args }) => args["name"]);
    for (const stage of [0, 1]) {
      expect(lanesOf(stage)).to.deep.equal(["pipeline", "compute", "communication", "wait"]);
      const slices = traceEvents.filter(({ ph, pid, tid }) => ph === "X" && pid === stage && tid! > 0);
      const total = slices.reduce((sum, { dur }) => sum + dur, 0);
      expect(total / 1e6).to.be.closeTo(report.seconds, 1e-9 * slices.length);
      const ordered = slices.sort((a, b) => a.ts - b.ts);
      for (const [i, { ts, dur }] of ordered.slice(0, -1).entries()) {
        expect(ordered[i + 1]!.ts).to.be.closeTo(ts + dur, 0.0021);
      }
    }
    const forwards = traceEvents.filter(({ name, pid }) => pid === 0 && name.startsWith("forward of micro-batch"));
    expect(forwards.length).to.equal(8);
    // One in four is hot.
    const long = forwards
      .filter(({ dur }) => dur > forwards[1]!.dur + 1)
      .map(({ ts }) => forwards.findIndex((f) => f.ts === ts));
    expect(long).to.deep.equal([0, 4]);
  });

  it("gives every arrow of the trace a beginning and an end, not before it", () => {
    moge("cost", "job.yaml", "--trace", "trace.json");
    const { traceEvents } = JSON.parse(written("trace.json")) as { traceEvents: TraceEvent[] };
    const starts = new Map(traceEvents.filter(({ ph }) => ph === "s").map((event) => [event.id, event]));
    const ends = new Map(traceEvents.filter(({ ph }) => ph === "f").map((event) => [event.id, event]));
    // One for each micro-batch, forward and backward, and one from every device of the group to the hottest.
    expect([...starts.keys()].sort()).to.deep.equal([...ends.keys()].sort());
    expect(starts.size).to.equal(2 * 8 + 8);
    for (const [id, { ts }] of starts) expect(ends.get(id)!.ts, id).to.be.at.least(ts);
  });

  it("writes the bytes of every pair, which add up to those of the links", () => {
    const { stdout } = moge("cost", "job.yaml", "--json", "--traffic", "pairs.csv");
    const { sentBytes } = JSON.parse(stdout) as { sentBytes: { purpose: string; mean: number; links: string }[] };
    const rows = readCsv(join(folder, "pairs.csv"));
    // Of the exchange every pair of a group of 8, on 2 stages; of the rest what the first device of a stage sends.
    const senders = { experts: 8, pipeline: 1, gradients: 1 };
    const of = (name: string) => rows.filter(({ purpose }) => purpose === name);
    expect(Object.keys(senders).map((name) => of(name).length)).to.deep.equal([2 * 8 * 7, 2, 2 * 7]);
    expect(new Set(sentBytes.map(({ purpose }) => purpose))).to.deep.equal(new Set(Object.keys(senders)));
    for (const { purpose, mean, links } of sentBytes) {
      const own = of(purpose);
      const total = own.reduce((sum, row) => sum + Number(row["simulated_bytes"]), 0);
      const sent = total / 2 / senders[purpose as keyof typeof senders];
      expect(sent / mean, purpose).to.be.closeTo(1, 1e-7);
      expect(new Set(own.map((row) => row["links"])), purpose).to.deep.equal(new Set([links]));
    }
    expect(
      new Set(
        of("experts")
          .filter(({ stage }) => stage === "1")
          .map((row) => row["from_device"]),
      ).has("8"),
    ).to.equal(true);
  });

  it("ends with 2 and one line where a file cannot be written", () => {
    for (const flag of ["csv", "trace", "traffic"]) {
      const { status, stdout, stderr } = moge("cost", "job.yaml", `--${flag}`, "nowhere/x");
      expect(status).to.equal(2);
      expect(stdout).to.equal("");
      expect(stderr).to.match(new RegExp(`^moge: --${flag}: cannot write nowhere/x \\(ENOENT\\); .*\n$`));
    }
  });

  it("ends with 2 and says which device is too full and what would fit", () => {
    const { status, stderr } = moge("cost", "job.yaml", "--set", "model.layers=48", "--set", "recompute=none");
    expect(status).to.equal(2);
    expect(stderr).to.match(
      /^moge: out of memory: device \d+ \(stage \d, most of it in layer \d+\) needs [\d.]+ of 64\.0 GB; /,
    );
    expect(stderr).to.match(/any one of these would fit: |no single change would fit/);
  });

  it("finds the same best layout pruned as by the whole grid, and writes all candidates", () => {
    const args = ["plan", "job.yaml", "--set", "routing.kind=hot-rank", "--json"];
    const whole = moge(...args, "--csv", "all.csv");
    const pruned = moge(...args, "--prune");
    expect(whole.status, whole.stderr).to.equal(0);
    const best = (text: string) => (JSON.parse(text) as { seconds: number }[])[0]!;
    expect(best(pruned.stdout)).to.deep.equal(best(whole.stdout));
    const [, refused, tried] = /(\d+) contradict.*of (\d+) fit/.exec(whole.stderr)!;
    const rows = readCsv(join(folder, "all.csv"));
    expect(rows.length).to.equal(Number(tried));
    expect(Number(refused)).to.be.greaterThan(0);
    const fitting = rows.filter(({ fits }) => fits === "yes").map((row) => Number(row["simulated_step_seconds"]));
    expect(Math.min(...fitting)).to.be.closeTo(best(whole.stdout).seconds, 1e-8);
  });

  it("plays the winner of a plan as events, and comes to what moge cost says of that layout", () => {
    const { stdout, stderr } = moge("plan", "job.yaml", "--set", "routing.kind=hot-rank", "--json", "--top", "1");
    const [best] = JSON.parse(stdout) as {
      layout: { tensor: number; pipeline: number; virtual: number; expert: number; schedule: string };
      microBatch: number;
      recompute: string;
      playedSeconds: number;
    }[];
    const { tensor, pipeline, virtual, expert, schedule } = best!.layout;
    const sets = { tensor, pipeline, virtual, expert, schedule };
    const { stdout: cost } = moge(
      ...["cost", "job.yaml", "--json", "--set", "routing.kind=hot-rank"],
      ...Object.entries(sets).flatMap(([key, value]) => ["--set", `layout.${key}=${value}`]),
      ...["--set", `batch.microBatch=${best!.microBatch}`, "--set", `recompute=${best!.recompute}`],
    );
    expect((JSON.parse(cost) as CostReport).seconds).to.equal(best!.playedSeconds);
    expect(stderr).to.match(/played as events the first takes [\d.,]+ ms/);
  });
});
