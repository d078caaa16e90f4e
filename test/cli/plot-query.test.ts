import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";
import { parquetReadObjects } from "hyparquet";
import { readCsv } from "../../src/output/csv.ts";
import { skipAloud } from "../skip.ts";
import { tinyText } from "../tiny-config.ts";

const program = resolve("dist/src/cli/main.js");
const hasDuckDb = (() => {
  try {
    createRequire(import.meta.url).resolve("@duckdb/node-api");
    return true;
  } catch {
    return false;
  }
})();

describe("moge plot and moge query", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-plot-"));
    writeFileSync(join(folder, "tiny.yaml"), tinyText);
    writeFileSync(join(folder, "sweep.yaml"), "name: small\nbase: tiny.yaml\nseeds: 2\n");
    moge("sweep", "sweep.yaml", "--no-report");
    moge("run", "tiny.yaml", "--results", "single");
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const moge = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: "utf8" });

  it("draws means over rows, by a column, as SVG, PNG and CSV", () => {
    const { status } = moge(
      "plot",
      "results/small/runs.csv",
      "--x",
      "variant",
      "--y",
      "imbalance_score_mean",
      "--out",
      "figures/a",
    );
    expect(status).to.equal(0);
    const runs = readCsv(join(folder, "results/small/runs.csv")).filter((row) => row["variant"] === "topk");
    const [topk, moges] = readCsv(join(folder, "figures", "a.csv"));
    const mean = runs.reduce((sum, row) => sum + Number(row["imbalance_score_mean"]), 0) / 2;
    expect(Number(topk!["imbalance_score_mean"])).to.be.closeTo(mean, 1e-8);
    expect(moges).to.include({ variant: "moge", imbalance_score_mean: "0", rows: "2" });
    expect(readFileSync(join(folder, "figures", "a.svg"), "utf8")).to.match(/^<svg[\s\S]*imbalance score mean/);
    expect(
      readFileSync(join(folder, "figures", "a.png"))
        .subarray(1, 4)
        .toString(),
    ).to.equal("PNG");
  });

  it("draws the user's own Vega-Lite", () => {
    writeFileSync(
      join(folder, "own.json"),
      JSON.stringify({
        mark: "bar",
        encoding: {
          x: { field: "variant" },
          y: { field: "fan_out_devices_per_token", type: "quantitative", aggregate: "max" },
        },
      }),
    );
    expect(moge("plot", "single/tiny/summary.csv", "--spec", "own.json", "--out", "own").status).to.equal(0);
    expect(readFileSync(join(folder, "own.svg"), "utf8")).to.include("Max of fan_out_devices_per_token");
  });

  const refused: [what: string, args: string[], message: RegExp][] = [
    ["a missing file", ["nothing.csv", "--x", "a", "--y", "b"], /nothing\.csv: there is no such file/],
    ["no axes", ["single/tiny/steps.csv"], /say what to draw: --x and --y, of the columns variant, step/],
    [
      "an unknown column",
      ["single/tiny/steps.csv", "--x", "stpe", "--y", "balance_loss"],
      /--x stpe: no such column, did you mean "step"\?/,
    ],
    ["a column of text", ["single/tiny/steps.csv", "--x", "step", "--y", "variant"], /--y variant: holds no number/],
    ["a specification that is none", ["single/tiny/steps.csv", "--spec", "tiny.yaml"], /tiny\.yaml: /],
    [
      "a specification and axes",
      ["single/tiny/steps.csv", "--spec", "own.json", "--x", "step"],
      /leave out --x, --y and --by/,
    ],
  ];
  for (const [what, args, message] of refused) {
    it(`refuses ${what} in one line`, () => {
      const { status, stderr } = moge("plot", ...args, "--out", "refused");
      expect(stderr).to.match(message);
      expect(stderr.trim().split("\n")).to.have.length(1);
      expect(status).to.equal(2);
    });
  }

  it("says in one line that a place is not its own", function () {
    if (!existsSync("/sys/kernel")) skipAloud(this, "no place here is closed even to the system's own user");
    const { status, stderr } = moge(
      "plot",
      "single/tiny/steps.csv",
      "--x",
      "step",
      "--y",
      "imbalance_score",
      "--out",
      "/sys/a",
    );
    expect(stderr).to.match(/^moge: \/sys\/a\.svg is not ours to read or write \(E[A-Z]+\); choose another place.*\n$/);
    expect(status).to.equal(2);
  });

  it("reports a run with the rows of each figure, and says which file they are", () => {
    expect(moge("report", "single/tiny").status).to.equal(0);
    const run = join(folder, "single", "tiny");
    const page = readFileSync(join(run, "report.html"), "utf8");
    const rows = [...page.matchAll(/<script type="text\/csv" data-file="([^"]+)">([^<]*)<\/script>/g)];
    expect(rows.map(([, file]) => file)).to.deep.equal(["steps.csv", "steps.csv", "expert-load.csv", "summary.csv"]);
    for (const [, file, text] of rows) expect(text).to.equal(readFileSync(join(run, file!), "utf8"));
    expect(page).to.include("one line a variant (rows: steps.csv)");
  });

  it("does not write over the report of runs that are not there", () => {
    const report = join(folder, "results", "alone");
    mkdirSync(report, { recursive: true });
    writeFileSync(join(report, "sweep.json"), readFileSync(join(folder, "results", "small", "sweep.json")));
    writeFileSync(join(report, "runs.csv"), "run\na\n");
    const { status, stderr } = moge("report", "results/alone");
    expect(stderr).to.match(/^moge: results\/alone: none of its 4 runs is there; its report stays as it is/);
    expect(status).to.equal(2);
    expect(readFileSync(join(report, "runs.csv"), "utf8")).to.equal("run\na\n");
  });

  it("makes one Parquet file of each table of all runs, with what tells them apart", async () => {
    expect(moge("report", "results/small", "--parquet", "--no-report").status).to.equal(0);
    expect(existsSync(join(folder, "results", "small", "report.html"))).to.equal(false);
    const bytes = readFileSync(join(folder, "results", "small", "steps.parquet"));
    const rows = (await parquetReadObjects({ file: Uint8Array.from(bytes).buffer })) as Record<string, unknown>[];
    const runs = readCsv(join(folder, "results", "small", "runs.csv"));
    expect(Object.keys(rows[0]!).slice(0, 4)).to.deep.equal(["run", "variant", "seed", "step"]);
    const expected = runs.flatMap(({ run, variant, seed }) =>
      readCsv(join(folder, "results", "small", "runs", run!, "steps.csv")).map(
        ({ step, training_loss_nats_per_byte }) => ({
          run,
          variant,
          seed: Number(seed),
          step: Number(step),
          training_loss_nats_per_byte: Number(training_loss_nats_per_byte),
        }),
      ),
    );
    const found = rows.map(({ run, variant, seed, step, training_loss_nats_per_byte }) => ({
      run,
      variant,
      seed,
      step,
      training_loss_nats_per_byte,
    }));
    expect(found).to.deep.equal(expected);
  });

  it("answers SQL over all runs, each table with its result and run", function () {
    if (!hasDuckDb) skipAloud(this, "@duckdb/node-api is not installed");
    const counts = JSON.parse(
      moge(
        "query",
        "SELECT result, run, count(*)::INT AS rows FROM steps GROUP BY ALL ORDER BY ALL",
        "--format",
        "json",
      ).stdout,
    ) as { result: string; rows: number }[];
    expect(counts).to.have.length(4);
    for (const row of counts) expect(row).to.include({ result: "small", rows: 6 });
    const { stdout } = moge(
      "query",
      "SELECT variant, sum(imbalance_score_mean) AS total FROM runs WHERE variant = 'moge' GROUP BY ALL",
      "--format",
      "csv",
    );
    expect(stdout).to.match(/^variant,total\nmoge,0(\.0)?\n$/);
    const single = moge("query", "SELECT DISTINCT result FROM steps", "--results", "single", "--format", "csv");
    expect(single.stdout).to.equal("result\ntiny\n");
    const wrong = moge("query", "SELECT nothing FROM nowhere");
    expect(wrong.stderr).to.match(/^moge: .*nowhere.*\(tables: runs, summary, steps/);
    expect(wrong.status).to.equal(2);
    mkdirSync(join(folder, "empty"));
    expect(moge("query", "SELECT 1", "--results", "empty").stderr).to.match(
      /^moge: empty holds no results to ask about/,
    );
  });
});
