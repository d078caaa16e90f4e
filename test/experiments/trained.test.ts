import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { expect } from "chai";
import { experimentNames, loadExperiment } from "../../src/cli/experiment-files.ts";
import { estimate } from "../../src/experiment/rows.ts";
import { readCsv } from "../../src/output/csv.ts";
import { planExperiment } from "../../src/run/trained-experiment.ts";

const program = resolve("dist/src/cli/main.js");

describe("the experiments that train", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-experiment-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const moge = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: "utf8" });

  it("are all there", () => {
    expect(experimentNames()).to.deep.equal([
      "balance-scope",
      "capacity",
      "devices-beyond-groups",
      "domain-shift",
      "fan-out",
      "groups",
      "imbalance-distribution",
      "moge-vs-topk",
      "step-time",
      "stragglers",
    ]);
    expect(moge("experiments").stdout).to.match(/^moge-vs-topk: MoGE against top-k and a dense twin\n {2}What does/m);
  });

  it("run in small, end to end: tables, figures, claims one way or the other, and the report", () => {
    const { status, stdout, stderr } = moge("experiment", "domain-shift", "--quick", "--progress", "none");
    expect(stderr).to.match(/results are in results\/domain-shift-quick/);
    expect([0, 4]).to.include(status);
    expect(stdout).to.match(/^✓ MoGE's devices stay equal on every domain, seen or not: imbalance score 0$/m);
    const results = join(folder, "results", "domain-shift-quick");
    for (const file of [
      "runs.csv",
      "means.csv",
      "domains.csv",
      "experts.csv",
      "report.html",
      "summary.md",
      "loss.svg",
      "loss.png",
    ]) {
      expect(existsSync(join(results, file)), file).to.equal(true);
    }
    const domains = readCsv(join(results, "domains.csv"));
    expect(new Set(domains.map(({ domain }) => domain)).size).to.equal(7);
    for (const row of domains.filter(({ variant }) => variant === "moge"))
      expect(Number(row["device_imbalance_score"])).to.equal(0);
    const probes = readCsv(join(results, "probes.csv"));
    expect(probes.length).to.equal(2 * domains.length);
    for (const row of domains) {
      const seeds = probes.filter((each) => ["variant", "layer", "domain"].every((key) => each[key] === row[key]));
      expect(seeds.map(({ seed }) => seed)).to.deep.equal(["1", "2"]);
      const sum = seeds.reduce((total, each) => total + Number(each["expert_max_over_mean"]), 0);
      expect(sum / 2).to.be.closeTo(Number(row["expert_max_over_mean"]), 1e-7);
    }
    const experts = readCsv(join(results, "experts.csv"));
    const share = experts
      .filter((row) => row["variant"] === "topk" && row["domain"] === "german" && row["layer"] === "0")
      .reduce((sum, row) => sum + Number(row["share"]), 0);
    expect(share).to.be.closeTo(1, 1e-6);
    const means = readCsv(join(results, "means.csv"));
    const runs = readCsv(join(results, "runs.csv")).map((row) => ({
      variant: row["variant"],
      loss: Number(row["validation_loss_nats_per_byte"]),
    }));
    const topk = means.find((row) => row["variant"] === "topk" && row["column"] === "validation_loss_nats_per_byte")!;
    const expected = estimate(runs, "loss", { variant: "topk" });
    expect(Number(topk["mean"])).to.be.closeTo(expected.mean, 1e-8);
    expect(Number(topk["low"])).to.be.closeTo(expected.low, 1e-8);
    expect(Number(topk["runs"])).to.equal(2);
  });

  it("do nothing twice", () => {
    const again = moge("experiment", "domain-shift", "--quick", "--progress", "none");
    expect(again.stderr).to.match(/6 runs, 6 done already, 0 to run/);
  });

  for (const name of experimentNames()) {
    it(`${name}: its sweep can be planned in full, and its committed results are those of its claims`, async () => {
      const { experiment } = await loadExperiment(name);
      if ("sweep" in experiment) {
        const { runs } = await planExperiment(experiment, { quick: false, set: [] });
        expect(runs.length).to.be.at.least(9);
        const small = await planExperiment(experiment, { quick: true, set: [] });
        expect(small.runs.length).to.be.at.most(runs.length);
      }
      const page = readFileSync(join("results", name, "summary.md"), "utf8");
      for (const { text } of experiment.claims)
        expect(page).to.match(new RegExp(`^- [✓✗] ${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`, "m"));
      expect(existsSync(join("results", name, "report.html"))).to.equal(true);
    });
  }

  for (const name of experimentNames()) {
    it(`${name}: its committed report comes out again from the committed tables, without the runs`, () => {
      const copy = join(folder, "committed", name);
      cpSync(join("results", name), copy, { recursive: true, filter: (path) => basename(path) !== "runs" });
      rmSync(join(copy, "report.html"));
      const { status, stderr } = moge("report", copy);
      expect(status, stderr).to.equal(0);
      const [again, committed] = [copy, join("results", name)].map((of) =>
        readFileSync(join(of, "report.html"), "utf8"),
      );
      expect(again === committed, "the same bytes").to.equal(true);
    });
  }

  it("have committed plans that say nothing of the machine they were made on", async () => {
    for (const name of experimentNames()) {
      const { experiment } = await loadExperiment(name);
      if (!("sweep" in experiment)) continue;
      const { origins } = await planExperiment(experiment, { quick: false, set: [] });
      const committed = JSON.parse(readFileSync(join("results", name, "sweep.json"), "utf8")) as { origins: unknown };
      expect(committed.origins, name).to.deep.equal(JSON.parse(JSON.stringify(origins)));
      expect(JSON.stringify(origins), name).not.to.include(resolve("."));
    }
  });

  it("have committed results of less than 20 MB altogether", () => {
    const size = (path: string): number =>
      statSync(path).isDirectory()
        ? readdirSync(path)
            .filter((entry) => entry !== "runs")
            .reduce((sum, entry) => sum + size(join(path, entry)), 0)
        : statSync(path).size;
    expect(size("results")).to.be.below(20e6);
  });
});
