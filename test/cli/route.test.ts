import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";
import { metricTables } from "../../src/metrics/tables.ts";
import { newRouting, route } from "../../src/routing/route.ts";
import { routers } from "../../src/routing/routers.ts";
import { normalLogits } from "../routing/small-batch.ts";

const program = resolve("dist/src/cli/main.js");
const [tokens, experts] = [24, 8];
const logits = normalLogits(tokens, experts);
const rows = Array.from({ length: tokens }, (_, t) => Array.from(logits.subarray(t * experts, (t + 1) * experts)));

interface Routed {
  readonly shape: { readonly topK: number };
  readonly experts: number[][];
  readonly weights: number[][];
  readonly deviceLoad: number[];
  readonly metrics: { readonly metric: string; readonly of?: string; readonly value: number | null }[];
}

describe("moge route, routers, rules and metrics", () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-route-"));
    const facts = {
      tokenIds: rows.map((_, t) => t % 7),
      domains: rows.map((_, t) => (t % 3 === 0 ? "law" : "code")),
      rawNoise: rows,
    };
    writeFileSync(join(folder, "logits.json"), JSON.stringify({ logits: rows, ...facts }));
    writeFileSync(join(folder, "logits.csv"), rows.map((row) => row.join(",")).join("\n"));
    writeFileSync(join(folder, "nan.csv"), "1,2\n3,nan\n");
    writeFileSync(join(folder, "short.json"), '{"experts": [[0, 1]]}');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const moge = (args: readonly string[], input?: string) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
      cwd: folder,
      encoding: "utf8",
      input,
    });
    return { status, stdout, stderr };
  };
  const routed = (...args: string[]) => {
    const { stdout, stderr, status } = moge(["route", ...args, "--json"]);
    expect(stderr).to.equal("");
    expect(status).to.equal(0);
    return JSON.parse(stdout) as Routed;
  };
  const metric = ({ metrics }: Routed, name: string, of?: string) =>
    metrics.find((each) => each.metric === name && each.of === of)!.value;
  const fits = (stdout: string) => {
    for (const line of stdout.split("\n")) expect([...line].length, line).to.be.at.most(80);
  };

  it("gives the experts and weights of the routing room, bit for bit, from JSON, CSV and standard input", () => {
    const shape = { experts, topK: 4, groups: 4 };
    const routing = newRouting(logits, shape, {
      selection: "moge",
      scoreFunction: "sigmoid",
      normalisation: "chosen",
      scale: 2.5,
      epsilon: 1e-20,
    });
    route(routing);
    const settings = ["--router", "moge", "--groups", "4", "--topk", "4", "--set", "scoreFunction=sigmoid"];
    const args = [...settings, "--set", "scale=2.5"];
    for (const file of ["logits.json", "logits.csv"]) {
      const result = routed(file, ...args);
      expect(result.experts.flat()).to.deep.equal(Array.from(routing.assignment.experts));
      expect(result.weights.flat()).to.deep.equal(Array.from(routing.assignment.weights));
    }
    const { stdout } = moge(["route", "-", ...args, "--json"], readFileSync(join(folder, "logits.csv"), "utf8"));
    expect((JSON.parse(stdout) as Routed).experts.flat()).to.deep.equal(Array.from(routing.assignment.experts));
  });

  it("shows MoGE's promise and its price: no imbalance of devices, the largest fan-out", () => {
    const result = routed("logits.json", "--router", "moge", "--topk", "4", "--groups", "4", "--devices", "4");
    expect(result.deviceLoad).to.deep.equal([24, 24, 24, 24]);
    expect(metric(result, "imbalance-score", "devices")).to.equal(0);
    expect(metric(result, "fan-out")).to.equal(4);
    expect(metric(result, "same-device-pairs")).to.equal(0);
  });

  for (const name of Object.keys(routers)) {
    it(`routes, reports and explains by ${name}, in 80 columns`, () => {
      const args = ["logits.json", "--router", name, "--devices", "4", "--set", "capacity.factor=1"];
      const grouped = name === "moge-voted" || name === "group-limited" ? ["--groups", "4", "--topk", "4"] : [];
      const report = moge(["route", ...args, ...grouped]);
      expect(report.stderr).to.equal("");
      expect(report.status).to.equal(0);
      fits(report.stdout);
      expect(report.stdout).to.match(/^drop-rate +0/m);
      const { stdout, status } = moge(["route", ...args, ...grouped, "--explain", "23"]);
      expect(status).to.equal(0);
      fits(stdout);
      const router = routers[name as keyof typeof routers];
      expect(stdout.replace(/\s+/g, " ")).to.include(`choice: ${router.title}`);
      expect(stdout).to.match(/^\d\. scores s, /m);
      expect(stdout).to.match(/^\d\. capacity: /m);
    });
  }

  it("draws the same for the same seed, and otherwise for another", () => {
    const drawn = (seed: string) => routed("logits.csv", "--router", "uniform", "--seed", seed).experts;
    expect(drawn("5")).to.deep.equal(drawn("5"));
    expect(drawn("6")).to.not.deep.equal(drawn("5"));
  });

  it("explains with numbers that are the token's own", () => {
    writeFileSync(join(folder, "tiny.json"), '{"logits": [[0, 1, 2, 3]], "bias": [0, 0, -9, 0]}');
    const { stdout } = moge([
      "route",
      "tiny.json",
      "--set",
      "scoreFunction=sigmoid",
      "--explain",
      "0",
      "--devices",
      "2",
    ]);
    const lines = stdout.split("\n").map((line) => line.trim());
    expect(lines.find((line) => line.startsWith("0: 0.5 "))).to.match(/^0: 0\.5 +1: 0\.7311 +2: 0\.8808 +3: 0\.9526$/);
    expect(lines).to.include("chosen: 3 (score 0.9526, no. 1 by score), 1 (score 0.7311, no. 3 by score)");
    expect(lines).to.include("w_3 = 0.9526 / 1.684 = 0.5658");
    expect(lines).to.include("fan-out: 2 with de-duplication, 2 copies without");
  });

  it("writes what it reads back: a routing agrees with itself, from JSON and from CSV", () => {
    expect(moge(["route", "logits.csv", "--out", "kept.json"]).status).to.equal(0);
    expect(moge(["route", "logits.csv", "--out", "kept"]).status).to.equal(0);
    expect(readdirSync(join(folder, "kept"))).to.include.members([
      "assignments.csv",
      "metrics.csv",
      "co-activation.csv",
    ]);
    for (const kept of ["kept.json", "kept/assignments.csv"]) {
      const result = routed("logits.csv", "--against", kept);
      for (const name of ["router-saturation", "routing-overlap", "first-choice-agreement"]) {
        expect(metric(result, name), name).to.equal(1);
      }
      const measured = moge(["metrics", "--of", kept, "--experts", "8", "--json"]);
      expect((JSON.parse(measured.stdout) as Routed).experts).to.deep.equal(result.experts);
    }
    const again = moge(["route", "logits.csv", "--out", "kept"]);
    expect(again.stderr).to.match(/^moge: --out: kept\/assignments\.csv is there already; --force replaces it\n$/);
    expect(again.status).to.equal(2);
    expect(moge(["route", "logits.csv", "--out", "kept", "--force"]).status).to.equal(0);
  });

  it("measures loads of several layers, each and together", () => {
    const table = "layer,expert,count\n0,0,3\n0,1,1\n1,0,1\n1,1,3\n";
    const { stdout, status } = moge(["metrics", "--of", "-", "--experts", "2", "--topk", "2"], table);
    expect(status).to.equal(0);
    fits(stdout);
    expect(stdout).to.match(/^max-over-mean +experts 1\.5$/m);
    expect(stdout).to.match(/^max-violation-global +experts 0$/m);
    expect(stdout).to.match(/^max-violation-batch-mean +experts 0\.5$/m);
    expect(stdout).to.match(/^imbalance-score +experts 1$/m);
  });

  it("measures the experts of several layers, all or one of them", () => {
    const log = [
      { layer: 3, topk_ids: [0, 1] },
      { layer: 3, topk_ids: [0, 1] },
      { layer: 4, topk_ids: [0, 1] },
      { layer: 4, topk_ids: [2, 3] },
    ];
    const text = log.map((line) => `${JSON.stringify(line)}\n`).join("");
    const all = moge(["metrics", "--of", "-", "--experts", "4", "--devices", "2"], text);
    fits(all.stdout);
    expect(all.stdout).to.match(/^max-over-mean +experts 1\.5 +devices 1\.5$/m); // 2 and 1
    expect(all.stdout).to.match(/^fan-out +1$/m);
    const one = moge(["metrics", "--of", "-", "--experts", "4", "--layer", "4", "--json"], text);
    expect(metric(JSON.parse(one.stdout) as Routed, "max-over-mean", "experts")).to.equal(1);
    const none = moge(["metrics", "--of", "-", "--experts", "4", "--layer", "5"], text);
    expect(none.stderr).to.match(/^moge: --layer 5: standard input has layer 3, layer 4\n$/);
    expect(none.status).to.equal(2);
  });

  it("takes bare numbers for loads where it is told so", () => {
    const { stdout } = moge(["metrics", "--of", "-", "--loads", "--topk", "1"], "3,3\n1,5\n");
    expect(stdout).to.match(/^max-over-mean +experts 1\.333$/m); // 1 and 5/3
  });

  const usage: [args: string, message: RegExp][] = [
    ["route", /^moge: Not enough non-option arguments/],
    ["route nowhere.csv", /^moge: nowhere\.csv: there is no such file/],
    ["route nan.csv", /^moge: nan\.csv:2:3: the logit of token 1 for expert 1 is NaN/],
    ["route logits.csv --router mogee", /^moge: there is no router "mogee", did you mean "moge"\?\n$/],
    ["route logits.csv --preset pangu-mge", /^moge: there is no preset "pangu-mge", did you mean "pangu-moge"\?\n$/],
    ["route logits.csv --topk 9", /^moge: router topk: topK 9 is more than the 8 experts there are\n$/],
    ["route logits.csv --topk -1", /^moge: --topk -1: expected a whole number, 1 or more\n$/],
    ["route logits.csv --experts 16", /^moge: the file has 8 experts, but --experts says 16\n$/],
    ["route logits.csv --router moge --groups 3", /^moge: router moge: 8 experts do not divide into 3 groups/],
    ["route logits.csv --devices 3", /^moge: 8 experts do not divide among 3 devices/],
    ["route logits.csv --set capacity.factor=-1", /^moge: capacity\.factor: expected more than 0, got -1/],
    [
      "route logits.csv --set capacity.factor=0",
      /^moge: capacity\.factor: 0 with rule megatron gives an expert room for 0/,
    ],
    ["route logits.csv --set capacity.priority=confidence", /^moge: capacity\.priority: confidence has no effect with/],
    [
      "route logits.csv --set normalisation=none --set capacity.renormalise=true",
      /^moge: capacity\.renormalise: has no effect with normalisation none/,
    ],
    [
      "route logits.csv --preset deepseek-v3",
      /4 is more than the 1 groups there are; say how many there are with --groups/,
    ],
    ["route logits.csv --set capacity.factor=x", /^moge: --set capacity\.factor=x: expected a number/],
    ["route logits.csv --set capacity.level=device", /^moge: capacity\.level is device; say how many devices/],
    ["route logits.csv --set sclae=2", /^moge: --set sclae=2: unknown key sclae, did you mean "scale"\?\n$/],
    ["route logits.csv --set scoreFunction=sigmoit", /expected one of softmax, .*did you mean "sigmoid"\?\n$/],
    ["route logits.csv --set scoreFunction=constructor", /expected one of softmax, /],
    [
      "route logits.csv --router hash",
      /^moge: router hash goes by the tokenIds of the tokens, which logits\.csv does not/,
    ],
    ["route logits.csv --router noisy-topk", /^moge: router noisy-topk adds noise of a learned width/],
    ["route logits.csv --explain 24", /^moge: --explain 24: the file has 24 tokens, 0 … 23\n$/],
    [
      "route logits.csv --against short.json",
      /^moge: short\.json: holds 1 tokens, the other 24; both must be the same/,
    ],
    ["route logits.csv --out nan.csv", /^moge: --out nan\.csv: cannot be written \(EEXIST\)\n$/],
    ["routers mgoe", /^moge: there is no router "mgoe", did you mean "moge"\?\n$/],
    ["rules los-free-bias", /^moge: there is no rule "los-free-bias", did you mean "loss-free-bias"\?\n$/],
    ["metrics gni", /^moge: there is no metric "gni", did you mean "gini"\?\n$/],
    ["metrics gini --of short.json", /^moge: gini beside --of: with --of all metrics are measured\n$/],
  ];
  for (const [args, message] of usage) {
    it(`exits with 2 and one line: moge ${args}`, () => {
      const { status, stdout, stderr } = moge(args.split(" "));
      expect(stderr).to.match(message);
      expect(stderr.trimEnd().split("\n")).to.have.length(1);
      expect(status).to.equal(2);
      expect(stdout).to.equal("");
    });
  }

  it("leaves nothing behind when it refuses", () => {
    expect(existsSync(join(folder, "none"))).to.equal(false);
    moge(["route", "nan.csv", "--out", "none"]);
    expect(existsSync(join(folder, "none"))).to.equal(false);
  });

  for (const list of ["routers", "rules", "metrics"]) {
    it(`lists the ${list} in 80 columns, one by one, and as JSON`, () => {
      const text = moge([list]);
      fits(text.stdout);
      const sections = JSON.parse(moge([list, "--json"]).stdout) as { entries: { name: string; title: string }[] }[];
      const [first] = sections[0]!.entries;
      for (const { name } of sections.flatMap(({ entries }) => entries)) {
        expect(text.stdout).to.match(new RegExp(`^${name}$`, "m"));
      }
      const one = moge([list, first!.name]);
      expect(one.stdout.replace(/\s+/g, " ")).to.include(`${first!.name}: ${first!.title}`);
      fits(one.stdout);
    });
  }

  it("lists every router and every metric of the tables", () => {
    const names = (list: string) =>
      (JSON.parse(moge([list, "--json"]).stdout) as { entries: { name: string }[] }[]).flatMap(({ entries }) =>
        entries.map(({ name }) => name),
      );
    expect(names("routers")).to.include.members(Object.keys(routers));
    expect(names("metrics")).to.deep.equal(metricTables.flatMap(({ metrics }) => Object.keys(metrics)));
  });

  it("fits its help into 80 columns", () => {
    for (const command of ["route", "routers", "rules", "metrics"]) fits(moge([command, "--help"]).stdout);
  });

  it("counts assignments to the last one, however many", () => {
    expect(moge(["metrics", "--of", "-"], "0\n".repeat(12_345)).stdout).to.match(/^ +0: 12345$/m);
  });
});
