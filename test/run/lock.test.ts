import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect } from "chai";
import { claimRunDirectory, completeRunDirectory } from "../../src/run/directory.ts";
import { clearingFile, lockFile } from "../../src/run/lock.ts";

const PROCESSES = 4;
const RUNS = 40;

describe("the lock of a run", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-lock-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("lets several processes complete each run once, and tells those that come too late the truth", async () => {
    const contender = join(import.meta.dirname, "contender.ts");
    const start = (): ChildProcess =>
      spawn(process.execPath, ["--import", "tsx", contender, folder, String(RUNS)], {
        stdio: ["ignore", "pipe", "inherit"],
      });
    const children = Array.from({ length: PROCESSES }, start);
    const answers = children.map(({ stdout }) => text(stdout!));
    await Promise.all(children.map(({ stdout }) => new Promise((ready) => stdout!.once("data", ready))));
    writeFileSync(join(folder, "go"), "");
    const outcomes = (await Promise.all(answers)).map(
      (answer) => JSON.parse(answer.split("\n")[1]!) as (boolean | string)[],
    );
    expect(outcomes.flat().filter((outcome) => typeof outcome === "string")).to.deep.equal([]);
    for (let i = 0; i < RUNS; i++) {
      expect(
        outcomes.filter((own) => own[i] === true),
        `completed run ${i}`,
      ).to.have.lengthOf.at.least(1);
      expect(readdirSync(join(folder, `run-${i}`)).sort()).to.deep.equal(["complete.json", "config.yaml", "steps.csv"]);
    }
    expect(readdirSync(folder).filter((name) => name.endsWith(".partial"))).to.deep.equal([]);
  });

  it("is taken from nobody, and leaves nothing in a result, where processes were killed or the machine went down", () => {
    const partial = join(folder, "run.partial");
    mkdirSync(partial);
    writeFileSync(lockFile(partial), ""); // its content did not reach the disk
    completeRunDirectory(claimRunDirectory(folder, "run", "config", "nothing"), "test");
    mkdirSync(partial);
    writeFileSync(clearingFile(partial), ""); // killed before it could take the lock that it had cleared
    const directory = claimRunDirectory(folder, "run", "config", "anything");
    completeRunDirectory(directory, "test");
    expect(readdirSync(directory.final).sort()).to.deep.equal(["complete.json", "config.yaml"]);
  });
});
