import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { findResults, findRuns } from "../../src/host/find-runs.ts";

describe("finding results", () => {
  let results: string;
  before(() => {
    results = mkdtempSync(join(tmpdir(), "moge-find-"));
    const files = [
      "run/steps.csv",
      "run.replaced/steps.csv",
      "begun.partial/steps.csv",
      "study/config.yaml",
      "study/summary.md",
      "sweep/sweep.json",
      "sweep/runs/abc123000000/steps.csv",
      "sweep/runs/abc123000000.replaced/steps.csv",
      "notes/steps.txt",
      "steps.csv",
    ];
    for (const file of files) {
      mkdirSync(join(results, file, ".."), { recursive: true });
      writeFileSync(join(results, file), "");
    }
  });
  after(() => rmSync(results, { recursive: true, force: true }));

  it("tells runs, sweeps and experiments apart, and leaves out what is none and what was just replaced", () => {
    const found = findResults(results).map(({ directory, ...rest }) => ({
      name: directory.slice(results.length + 1),
      ...rest,
    }));
    expect(found).to.deep.equal([
      { name: "begun.partial", kind: "run", complete: false },
      { name: "run", kind: "run", complete: true },
      { name: "study", kind: "experiment", complete: true },
      { name: "sweep", kind: "sweep", complete: true },
    ]);
  });

  it("knows a run of a sweep by the beginning of its id", () => {
    expect(findRuns(results, "abc1")).to.deep.equal([join(results, "sweep", "runs", "abc123000000")]);
    expect(findRuns(results, "abd1")).to.deep.equal([]);
    expect(findRuns(results, "run")).to.deep.equal([]);
  });
});
