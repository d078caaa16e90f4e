/** Files appear whole; what is no file, such as a pipe or /dev/null, is written to and stays what it is. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { writeWhole } from "../../src/host/whole-file.ts";

describe("a whole file", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-whole-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("takes the place of what was there and leaves nothing beside it", () => {
    const path = join(folder, "a.csv");
    writeWhole(path, "first, and longer");
    writeWhole(path, "second");
    expect(readFileSync(path, "utf8")).to.equal("second");
    expect(readdirSync(folder)).to.deep.equal(["a.csv"]);
  });

  it("takes what a killed process left of it away, and nothing else", () => {
    const { pid } = spawnSync(process.execPath, ["--version"]);
    const left = (name: string, of: number) => `${name}.${hostname()}-${of}.partial`;
    const kept = [left("b.csv", pid), left("a.csv", process.ppid), "a.csv.partial", `a.csv.elsewhere-${pid}.partial`];
    for (const name of [left("a.csv", pid), ...kept]) writeFileSync(join(folder, name), "half of i");
    writeWhole(join(folder, "a.csv"), "whole");
    expect(readdirSync(folder).sort()).to.deep.equal(["a.csv", ...kept].sort());
  });

  it("does not take the place of a pipe, but goes through it", () => {
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    const reader = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    try {
      writeWhole(path, "through");
      const read = Buffer.alloc(16);
      expect(read.toString("utf8", 0, readSync(reader, read))).to.equal("through");
      expect(lstatSync(path).isFIFO()).to.equal(true);
    } finally {
      closeSync(reader);
    }
  });
});
