import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { resolveCost } from "../../src/config/cost-job.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { openRouting } from "../../src/run/cost-routing.ts";

const EXPERTS = 8;

const job = `
name: test
model: { layers: 2, hiddenSize: 64, heads: 4, vocabulary: 100, experts: ${EXPERTS}, topK: 2, expertHiddenSize: 64 }
cluster: { devices: 4, device: ascend-910b3 }
layout: { expert: 4 }
batch: { globalBatch: 4 }
routing: { kind: table, file: FILE }
`;

describe("a table of loads", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-loads-"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const opened = (rows: readonly string[]) => {
    const file = join(folder, "loads.csv");
    writeFileSync(file, `${rows.join("\n")}\n`);
    return openedFile(file);
  };
  const openedFile = (file: string) => {
    const text = job.replace("FILE", file);
    const resolved = resolveCost({ path: "job.yaml", sets: [], read: () => text, besides: (_, path) => path });
    return openRouting(resolved, () => undefined);
  };
  const rows = (column: string, of: (layer: number, expert: number) => unknown, layers = 2) => [
    `layer,expert,${column}`,
    ...Array.from({ length: layers * EXPERTS }, (_, i) => {
      const [layer, expert] = [Math.floor(i / EXPERTS), i % EXPERTS];
      return `${layer},${expert},${of(layer, expert)}`;
    }),
  ];

  it("gives every layer its own loads", async () => {
    const routing = await opened(rows("assignments", (layer, expert) => (layer === 0 ? 10 : expert < 4 ? 15 : 5)));
    expect([...routing.profile(0, 0, 0).picks]).to.deep.equal(new Array(EXPERTS).fill(2 / EXPERTS));
    const { picks } = routing.profile(1, 0, 0);
    expect(picks[0]! / picks[7]!).to.be.closeTo(3, 1e-12);
  });

  const bad: readonly [string, readonly string[], RegExp][] = [
    [
      "shares that add up to too little",
      rows("share", () => 0.1),
      /the shares of layer 0 add up to 0\.79\d+, not to 1; correct/,
    ],
    [
      "layers with different numbers of assignments",
      rows("assignments", (layer) => 10 + layer),
      /the assignments of layer 1 add up to 88, not to the 80 of layer 0; correct the table/,
    ],
    ["loads beyond all numbers", rows("assignments", () => 1e308), /layer 0 add up to Infinity, which are no loads/],
    ["no loads at all", rows("assignments", () => 0), /layer 0 add up to 0, which are no loads/],
    ["a load of text", rows("assignments", () => "many"), /layer 0, expert 0: assignments "many" is not a load/],
    ["a negative load", rows("share", (_, e) => (e === 0 ? -0.4 : 0.2)), /expert 0: share "-0\.4" is not a load/],
    [
      "an expert with two rows",
      [...rows("share", () => 1 / EXPERTS), "1,3,0.125"],
      /layer 1, expert 3: has two rows; leave one of them out/,
    ],
    [
      "an expert that is not there",
      [...rows("share", () => 1 / EXPERTS), "0,8,0.125"],
      /layer 0, expert 8: the model has experts 0 … 7/,
    ],
    ["other columns", ["a,b", "1,2"], /needs rows with the columns layer, expert, and assignments or share/],
    ["nothing", [""], /needs rows with the columns layer, expert, and assignments or share/],
  ];
  for (const [what, table, message] of bad) {
    it(`is refused in one line with ${what}`, async () => {
      let caught: unknown;
      await opened(table).catch((error: unknown) => {
        caught = error;
      });
      expect(caught).to.be.instanceOf(ConfigError);
      expect((caught as ConfigError).message).to.match(message);
      expect((caught as ConfigError).message.split("\n").length).to.equal(1);
    });
  }

  it("is refused if it is a folder or not there", async () => {
    for (const file of [folder, join(folder, "nowhere.csv")]) {
      let caught: unknown;
      await openedFile(file).catch((error: unknown) => {
        caught = error;
      });
      expect((caught as Error).message).to.match(/routing\.file: cannot be read \((EISDIR|ENOENT)\)/);
    }
  });
});
