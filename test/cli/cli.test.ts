import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";
import { helpText, LEAST_WIDTH } from "../../src/cli/help.ts";
import { parserOf } from "../../src/cli/parser.ts";
import { tinyText } from "../tiny-config.ts";

const program = resolve("dist/src/cli/main.js");

describe("the command line", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-cli-"));
    writeFileSync(join(folder, "tiny.yaml"), tinyText);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const moge = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
      cwd: folder,
      encoding: "utf8",
    });
    return { status, stdout, stderr };
  };

  it("runs a config, ends with a table that fits 80 columns, and keeps messages off stdout", () => {
    const { status, stdout, stderr } = moge("run", "tiny.yaml");
    expect(stderr).to.match(/^tiny\n {2}topk: topk with switch-loss; 0\.0\d M parameters, 384 tokens in 6 steps\n/);
    expect(stderr).to.match(/engine: wasm, plain SIMD/);
    expect(status).to.equal(0);
    for (const name of ["topk", "moge"]) expect(stdout).to.match(new RegExp(`^ *${name} `, "m"));
    for (const line of stdout.split("\n")) expect(line.length).to.be.at.most(80);
    expect(stdout.replaceAll("\n", " ")).to.match(
      /Against topk, moge has the lower device imbalance score \(0, against \d/,
    );
    expect(stdout).to.not.include("engine:");
    expect(readdirSync(join(folder, "results"))).to.deep.equal(["tiny"]);
  });

  it("tells of its own version, though a project with another one has installed it", () => {
    writeFileSync(join(folder, "package.json"), '{ "version": "9.9.9" }');
    mkdirSync(join(folder, "node_modules", ".bin"), { recursive: true });
    const installed = join(folder, "node_modules", ".bin", "moge");
    symlinkSync(program, installed);
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    const { stdout } = spawnSync(process.execPath, [installed, "--version"], { cwd: folder, encoding: "utf8" });
    expect(stdout).to.equal(`${version}\n`);
  });

  it("prints the summary as JSON when asked to", () => {
    const { status, stdout } = moge("run", "tiny.yaml", "--json", "--progress", "none");
    expect(status).to.equal(0);
    const rows = JSON.parse(stdout) as { variant: string; imbalance_score_max: string | number }[];
    expect(rows.map(({ variant }) => variant)).to.deep.equal(["topk", "moge"]);
    expect(Number(rows[1]!.imbalance_score_max)).to.equal(0);
    expect(Number(rows[0]!.imbalance_score_max)).to.be.above(0);
  });

  it("checks and announces without doing anything in a dry run", () => {
    const { status, stderr } = moge("run", "tiny.yaml", "--dry-run");
    expect(status).to.equal(0);
    expect(stderr).to.match(/moge: moge with switch-loss/);
    expect(readdirSync(folder)).to.deep.equal(["tiny.yaml"]);
  });

  const usage: [what: string, args: string[], message: RegExp][] = [
    ["no command", [], /^moge: say what to do, for example: moge run quickstart/],
    [
      "a choice that is none",
      ["run", "tiny.yaml", "--progress", "x"],
      /^moge: Invalid values: Argument: progress, .*\)\n$/,
    ],
    ["a list of what is no folder", ["ls", "tiny.yaml"], /^moge: tiny\.yaml is no folder; give a folder of results\n$/],
    ["unknown command", ["rnu"], /^moge: Did you mean run\?|^moge: Unknown argument: rnu/],
    ["unknown option", ["run", "tiny.yaml", "--frce"], /^moge: Unknown argument: frce/],
    [
      "missing file",
      ["run", "nowhere.yaml"],
      /^moge: nowhere\.yaml: there is no such file; give the path of a config, or one of the names .*quickstart/,
    ],
    [
      "unknown key",
      ["run", "tiny.yaml", "--set", "training.stpes=1"],
      /^moge: --set training\.stpes=1 training\.stpes: unknown key, did you mean "steps"\?\n$/,
    ],
    [
      "text that is missing",
      ["run", "tiny.yaml", "--set", "data={kind: text, domains: [{name: a, path: nowhere}]}"],
      /^.*moge: .*nowhere.*\n$/s,
    ],
    [
      "results under a file",
      ["run", "tiny.yaml", "--results", "tiny.yaml/x"],
      /moge: tiny\.yaml\/x cannot be written \(ENOTDIR\)/,
    ],
    [
      "unknown experiment",
      ["experiment", "nothing"],
      /^moge: there is no experiment "nothing"; there are balance-scope, .*step-time.*\n$/,
    ],
    [
      "no runs of an experiment at a time",
      ["experiment", "groups", "--jobs", "0"],
      /^moge: --jobs 0: expected a whole number from 1 to 1024\n$/,
    ],
  ];
  for (const [what, args, message] of usage) {
    it(`exits with 2 and one line: ${what}`, () => {
      const { status, stderr, stdout } = moge(...args);
      expect(stderr).to.match(message);
      expect(stderr).to.not.match(/\n {4}at /);
      expect(status).to.equal(2);
      expect(stdout).to.equal("");
    });
  }

  it("leaves nothing behind when nothing could be trained", () => {
    moge("run", "tiny.yaml", "--set", "engine={kind: tfjs, backend: tensorflow}");
    expect(readdirSync(join(folder, "results"))).to.deep.equal([]);
  });

  it("shows the stack of an error with --debug alone", () => {
    expect(moge("run", "nowhere.yaml", "--debug").stderr).to.match(/\n {4}at /);
  });

  it("exits with 1 when training diverges", () => {
    const { status, stderr } = moge("run", "tiny.yaml", "--set", "training.learningRate=1e30");
    expect(status).to.equal(1);
    expect(stderr).to.match(/^moge: variant topk, step \d: a number that is not finite first appears in /m);
  });

  it("prints the JSON Schema that the configs point to", () => {
    expect(moge("schema").stdout).to.equal(readFileSync("configs/moge.schema.json", "utf8"));
  });

  it("tells where each value comes from", () => {
    const { stdout } = moge("config", "show", "tiny.yaml", "--resolved", "--set", "seed=3");
    expect(stdout).to.match(/^# all variants$/m);
    expect(stdout).to.match(/^seed: 3 {2}# --set seed=3$/m);
    expect(stdout).to.match(/^model\.layers: 2 {2}# tiny\.yaml:3:10$/m);
    expect(stdout).to.match(/^# variant moge\nrouter\.selection: "moge" {2}# tiny\.yaml:\d+:\d+ \(variant moge\)$/m);
    expect(stdout).to.match(/^engine\.kernels: "plain" {2}# default$/m);
  });

  it("runs what `config show` prints to the same results", () => {
    writeFileSync(join(folder, "again.yaml"), moge("config", "show", "tiny.yaml").stdout);
    moge("run", "tiny.yaml");
    moge("run", "again.yaml", "--results", "again");
    const steps = (results: string) => readFileSync(join(folder, results, "tiny", "steps.csv"), "utf8");
    expect(steps("again")).to.equal(steps("results"));
  });

  it("says in its help what the parser would say, in terminals of any width", async () => {
    for (let width = LEAST_WIDTH; width <= 100; width++) {
      expect(helpText(width)).to.equal(await parserOf([], width).getHelp());
    }
    expect(moge("--help").stdout).to.equal(`${helpText(80)}\n`);
  });

  it("fits its help into 80 columns", () => {
    for (const args of [
      ["--help"],
      ["run", "--help"],
      ["config", "show", "--help"],
      ["experiment", "--help"],
      ["sweep", "--help"],
      ["status", "--help"],
      ["plot", "--help"],
      ["query", "--help"],
      ["task", "--help"],
    ]) {
      const { stdout, status } = moge(...args);
      expect(status).to.equal(0);
      for (const line of stdout.split("\n")) expect(line.length).to.be.at.most(80);
    }
  });

  it("stops at Ctrl-C with 130, at SIGTERM and SIGUSR2 with 75, is killed, and goes on to the bytes of an undisturbed run", async () => {
    const many = ["--set", "training.steps=400", "--progress", "text"];
    expect(moge("run", "tiny.yaml", ...many, "--results", "whole").status).to.equal(0);
    const exit = (child: ChildProcess) => new Promise<number | null>((done) => child.on("close", (code) => done(code)));
    for (const [signal, code] of [
      ["SIGINT", 130],
      ["SIGTERM", 75],
      ["SIGUSR2", 75],
      ["SIGKILL", null],
    ] as const) {
      const child = spawn(process.execPath, [program, "run", "tiny.yaml", ...many], {
        cwd: folder,
        stdio: ["ignore", "ignore", "pipe"],
      });
      let said = "";
      child.stderr.on("data", (text: Buffer) => {
        said += text.toString();
        if (/starting/.test(said) && !child.killed) child.kill(signal); // a second one would end it at once
      });
      expect(await exit(child)).to.equal(code);
      if (code !== null)
        expect(said).to.match(/interrupted in variant (topk|moge) after step \d+; the same command goes on from there/);
    }
    const resumed = moge("run", "tiny.yaml", ...many);
    expect(resumed.stderr).to.match(/going on from the checkpoint in results\/tiny\.partial/);
    expect(resumed.status).to.equal(0);
    for (const file of ["steps.csv", "layers.csv", "summary.csv", "summary.md", "expert-load.png"]) {
      const [a, b] = ["results", "whole"].map((results) => readFileSync(join(folder, results, "tiny", file)));
      expect(a!.equals(b!), file).to.equal(true);
    }
  });
});
