import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { skipAloud } from "../skip.ts";
import type { JsonObject } from "./golden-case.ts";
import { NoGoldenFiles, runFolder } from "./runner.ts";

const shared = join(import.meta.dirname, "../../../shared/golden");

const run = (...folders: string[]) => {
  const command = ["--import", "tsx", join(import.meta.dirname, "run.ts"), ...folders];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: "utf8" });
  return { status, lines: stdout.trimEnd().split("\n"), stderr };
};

/** Softmax 1/16 … 4/16, by hand: two groups of four, the best of each, equal ones by lower id. */
const moge = {
  name: "moge by hand",
  params: { num_groups: 2 },
  input: { logits: [[1, 4, 2, 3, 1, 1, 2, 2].map(Math.log)] },
  expected: { topk_experts: [[1, 6]], topk_weights: [[0.25, 0.125]], tokens_per_expert: [0, 1, 0, 0, 0, 0, 1, 0] },
  expected_f64: { topk_weights: [[0.25, 0.125]] },
};

const bias = {
  name: "bias by hand",
  params: { update_rate: 0.25 },
  input: { tokens_per_expert: [[6, 1, 3, 2]], expert_bias: [[1, 1, 1, 1]] },
  expected: { bias: [[0.75, 1.25, 1, 1.25]] },
};

const edge = {
  name: "ties by hand",
  source: "Megatron-LM::topk_routing_with_score_function",
  tags: ["implementation-defined"],
  params: { topk: 2, use_pre_softmax: true },
  input: { logits: [[0, 0, 0, 0]] },
  expected: {
    f32: { experts: [[2, 3]], weights: [[0.25, 0.25]] },
    f64: { experts: [[2, 3]], weights: [[0.25, 0.25]] },
  },
};

describe("golden runner", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-golden-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (file: string, family: string, ...cases: unknown[]) =>
    writeFileSync(join(folder, file), JSON.stringify({ family, cases }));

  it("passes cases worked out by hand and ends with the counts, exit code 0", () => {
    write("moge.json", "moge_pangu", moge);
    write("bias.json", "expert_bias_update", bias);
    write("edge.json", "edge_cases", edge);
    const { status, lines } = run(folder);
    expect(lines).to.deep.equal(["3 passed, 0 failed, 0 skipped"]);
    expect(status).to.equal(0);
  });

  it("names the file, the case, the field and the place of a wrong number, exit code 4", () => {
    write("moge.json", "moge_pangu", moge, {
      ...moge,
      name: "corrupted",
      expected: { ...moge.expected, topk_weights: [[0.25, 0.375]] },
      expected_f64: {},
    });
    const { status, lines } = run(folder);
    expect(lines[0]).to.match(/^FAILED moge\.json: corrupted: topk_weights\[0\]\[1\]: got 0\.125\d*, expected 0\.375$/);
    expect(lines.at(-1)).to.equal("1 passed, 1 failed, 0 skipped");
    expect(status).to.equal(4);
  });

  const wrong: [string, JsonObject, RegExp][] = [
    [
      "a count that is off by one",
      { expected: { tokens_per_expert: [0, 1, 0, 0, 0, 0, 2, 0] } },
      /tokens_per_expert\[6\]: got 1, expected 2/,
    ],
    [
      "a digit of the double-precision run",
      { expected_f64: { topk_weights: [[0.25, 0.1250000002]] } },
      /topk_weights\[0\]\[1\].*double precision/,
    ],
    [
      "a row too many",
      {
        expected: {
          topk_experts: [
            [1, 6],
            [1, 6],
          ],
        },
      },
      /topk_experts: got 1 entries, expected 2/,
    ],
    [
      "NaN where there is a number",
      { expected: { topk_weights: [["NaN", 0.125]] }, expected_f64: {} },
      /topk_weights\[0\]\[0\].*expected NaN/,
    ],
    ["a field nobody knows", { expected: { entropy: 1 } }, /entropy: unknown field/],
    ["nothing expected", { expected: {} }, /malformed: expects nothing/],
    ["no logits", { input: {} }, /no array 'logits'/],
    ["ragged logits", { input: { logits: [[1, 2], [3]] } }, /'logits' is ragged/],
    ["no input", { input: null }, /'input' is missing/],
  ];
  for (const [what, change, message] of wrong) {
    it(`fails on ${what}`, () => {
      write("moge.json", "moge_pangu", { ...moge, ...change });
      const { failed, lines } = runFolder(folder);
      expect(lines[0]).to.match(message);
      expect(lines[0]).to.contain("moge.json: moge by hand");
      expect(failed).to.equal(1);
    });
  }

  it("checks an implementation-defined choice for validity: other weights, or not the best experts, fail", () => {
    const expecting = (f64: JsonObject) => {
      write("edge.json", "edge_cases", { ...edge, expected: { f32: {}, f64 } });
      return runFolder(folder).lines[0];
    };
    expect(expecting({ experts: [[1, 3]], weights: [[0.25, 0.25]] })).to.equal("1 passed, 0 failed, 0 skipped");
    expect(expecting({ experts: [[2, 3]], weights: [[0.25, 0.2]] })).to.contain("ties by hand: weights[0][1]");
    expect(expecting({ experts: [[2, 2]], weights: [[0.25, 0.25]] })).to.contain("token 0 has an expert twice");
    write("edge.json", "edge_cases", {
      ...edge,
      input: { logits: [[1, 0, 0, 0]] },
      expected: { f32: {}, f64: { experts: [[2, 3]] } },
    });
    expect(runFolder(folder).lines[0]).to.contain("token 0 leaves out a better expert");
  });

  it("counts a file that is no JSON, or no case file, as a failure and goes on", () => {
    writeFileSync(join(folder, "a.json"), "{");
    writeFileSync(join(folder, "b.json"), "[1, 2]");
    write("c.json", "moge_pangu", moge);
    const { lines } = runFolder(folder);
    expect(lines[0]).to.match(/^FAILED a\.json: malformed: /);
    expect(lines[1]).to.equal("FAILED b.json: malformed: expected {family, cases: [...]}");
    expect(lines.at(-1)).to.equal("1 passed, 2 failed, 0 skipped");
  });

  it("says which families no adapter knows, and how many cases they have", () => {
    write("a.json", "no_such_family", moge, moge);
    write("b.json", "moge_pangu", moge);
    expect(runFolder(folder).lines).to.deep.equal([
      "skipped: family no_such_family, which no adapter knows, 2 cases",
      "1 passed, 0 failed, 2 skipped",
    ]);
  });

  it("lets a stop test that depends on rounding differ in single precision, and nothing else", () => {
    const logits = [
      [0, 1],
      [1, 0],
    ];
    const source = "Megatron-LM::sinkhorn";
    const sinkhorn = { name: "sinkhorn", source, input: { logits }, expected: {}, expected_f64: {} };
    const expecting = (single: number, double: number) => {
      const expected = { expected: { iterations: single }, expected_f64: { iterations: double } };
      write("a.json", "sinkhorn", { ...sinkhorn, ...expected });
      return runFolder(folder).lines[0];
    };
    expect(expecting(99, 1)).to.equal("1 passed, 0 failed, 0 skipped"); // equal columns keep their factors at 1: one pass
    expect(expecting(1, 99)).to.contain("expected 99 (double precision)");
  });

  it("refuses a folder that is absent, is a file, or holds no cases: one line, exit code 2", () => {
    const { status, stderr } = run(join(folder, "absent"));
    expect(status).to.equal(2);
    expect(stderr.trimEnd().split("\n")).to.have.length(1);
    expect(stderr).to.contain("cannot be read");
    expect(() => runFolder(folder)).to.throw(NoGoldenFiles, "holds no *.json file");
    write("a.json", "moge_pangu", moge);
    expect(() => runFolder(join(folder, "a.json"))).to.throw(NoGoldenFiles, "is not a folder");
    expect(run().status).to.equal(2);
  });
});

describe("golden cases of published implementations", () => {
  it("all agree", function () {
    if (!existsSync(shared)) skipAloud(this, `${shared} is absent`);
    const { failed, passed, lines } = runFolder(shared);
    expect(failed, lines.join("\n")).to.equal(0);
    expect(passed).to.be.at.least(131);
    expect(lines.filter((line) => line.startsWith("skipped:"))).to.deep.equal([]);
  });
});
