import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";

const program = resolve("dist/src/cli/main.js");

interface Placed {
  readonly rebalancers: {
    readonly name: string;
    readonly impossible?: string;
    readonly maxOverMean: number;
    readonly fanOut: number | null;
    readonly expertMemory: number;
  }[];
}

describe("moge place", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-place-"));
    // Experts 0 and 1 carry 6 of 12 tokens a layer: 8 against 4 on the contiguous devices.
    writeFileSync(
      join(folder, "loads.csv"),
      "layer,expert,count\n0,0,4\n0,1,4\n0,2,2\n0,3,2\n1,0,3\n1,1,3\n1,2,3\n1,3,3\n",
    );
    writeFileSync(
      join(folder, "tokens.json"),
      JSON.stringify({
        experts: [
          [0, 1],
          [0, 1],
          [0, 1],
          [2, 3],
        ],
      }),
    );
    writeFileSync(join(folder, "one.json"), '{"physical_to_logical_map": [[0, 1, 2, 3]]}');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const moge = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, "place", ...args], {
      cwd: folder,
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };
  const named = ({ stdout }: { stdout: string }, name: string) =>
    (JSON.parse(stdout) as Placed).rebalancers.find((each) => each.name === name)!;

  it("shows what each rebalancer gives beside what it costs, within 80 columns", () => {
    const { status, stdout } = moge("loads.csv", "--experts", "4", "--devices", "2");
    expect(status).to.equal(0);
    expect(stdout).to.match(/contiguous +1\.167 +1\.333 +- +×1 +0\n/);
    expect(stdout).to.match(/eplb +1 +1 +- +×1\.5 /);
    for (const line of stdout.split("\n")) expect([...line].length, line).to.be.at.most(80);
  });

  it("gives the fan-out where the tokens' experts are known", () => {
    const packed = moge("tokens.json", "--experts", "4", "--devices", "2", "--slots", "2", "--json");
    expect(named(packed, "contiguous")).to.include({ maxOverMean: 1.5, fanOut: 1, expertMemory: 1 });
    expect(named(packed, "eplb")).to.include({ maxOverMean: 1, fanOut: 2, expertMemory: 1 });
  });

  it("writes deployments that it reads back as given ones", () => {
    const written = moge("loads.csv", "--experts", "4", "--devices", "2", "--out", "out");
    expect(written.stderr).to.contain("eplb.expert_map.json");
    expect(readFileSync(join(folder, "out/rebalancing.csv"), "utf8").split("\n")).to.have.length(8);
    const again = moge(
      "loads.csv",
      "--experts",
      "4",
      "--devices",
      "2",
      "--given",
      "out/eplb.expert_map.json",
      "--json",
    );
    expect(named(again, "given").maxOverMean).to.equal(named(again, "eplb").maxOverMean);
  });

  it("measures on loads that the deployment was not made of", () => {
    // Made of the past, the devices hold 0 and 2, 1 and 3 of the first layer: now 10 against 2, a mean of 6.
    const other = "layer,expert,count\n0,0,1\n0,1,1\n0,2,9\n0,3,1\n1,0,3\n1,1,3\n1,2,3\n1,3,3\n";
    writeFileSync(join(folder, "other.csv"), other);
    const args = ["loads.csv", "--experts", "4", "--devices", "2", "--slots", "2", "--json"];
    expect(named(moge(...args), "eplb").maxOverMean).to.equal(1);
    expect(named(moge(...args, "--on", "other.csv"), "eplb").maxOverMean).to.equal((10 / 6 + 1) / 2);
  });

  it("shows the others where one is not possible", () => {
    const { status, stdout } = moge("loads.csv", "--experts", "4", "--devices", "3", "--slots", "2", "--json");
    expect(status).to.equal(0);
    expect(named({ stdout }, "contiguous").impossible).to.contain("3 devices do not divide 4 experts");
    expect(named({ stdout }, "eplb").impossible).to.equal(undefined);
  });

  const wrong: [args: string[], message: RegExp][] = [
    [["loads.csv"], /devices/],
    [["absent.csv", "--devices", "2"], /there is no such file/],
    [
      ["loads.csv", "--experts", "4", "--devices", "2", "--given", "one.json"],
      /one\.json: is of 1 layers, but loads\.csv holds 2/,
    ],
    [["loads.csv", "--experts", "4", "--devices", "2", "--on", "tokens.json"], /is of 1 layers/],
    [["loads.csv", "--experts", "4", "--devices", "0"], /expected a whole number, 1 or more/],
  ];
  for (const [args, message] of wrong) {
    it(`refuses ${args.join(" ")} in one line, exit code 2`, () => {
      const { status, stderr } = moge(...args);
      expect(status).to.equal(2);
      expect(stderr).to.match(message);
      expect(
        stderr
          .trimEnd()
          .split("\n")
          .filter((line) => line.startsWith("moge:")),
      ).to.have.length(1);
    });
  }
});
