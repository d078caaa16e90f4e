import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { expect } from "chai";
import { generatedFiles } from "../scripts/write-docs.ts";
import { readSummary } from "../src/output/summary-rows.ts";
import { summaryTable } from "../src/output/table.ts";

const readme = readFileSync("README.md", "utf8");
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };

/** Lines of the README's shell blocks, comments cut off. */
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block]) => block!.split("\n"))
  .map((line) => line.replace(/\s+#.*$/, "").trim())
  .filter((line) => line !== "" && !line.startsWith("#"))
  .flatMap((line) => line.split(" && "));

const help = (...words: string[]) =>
  spawnSync(process.execPath, ["dist/src/cli/main.js", ...words, "--help"], { encoding: "utf8" }).stdout;

describe("the documentation", () => {
  for (const [path, content] of Object.entries(generatedFiles)) {
    it(`${path} is what the code says (npm run docs)`, () => {
      expect(readFileSync(path, "utf8")).to.equal(content);
    });
  }

  it("shows the result that the quickstart gives", () => {
    const table = summaryTable(readSummary("results/quickstart"));
    expect(readme).to.include(`\n${stripVTControlCharacters(table)}\n`);
  });

  it("names npm scripts that exist", () => {
    const scripts = commands.flatMap((line) => {
      const run = /^npm (?:run )?([\w:-]+)/.exec(line);
      return run && !["ci", "install", "pack"].includes(run[1]!) ? [run[1]!] : [];
    });
    expect(scripts).to.include.members(["start", "test", "golden"]);
    for (const script of scripts) expect(manifest.scripts).to.have.property(script);
  });

  it("names commands and flags that the program knows", () => {
    const lines = commands.filter((line) => /^(npx )?moge /.test(line));
    expect(lines.length).to.be.at.least(4);
    for (const line of lines) {
      const words = line.replace(/^npx /, "").split(/\s+/).slice(1);
      const verbs = words.slice(0, words[0] === "config" ? 2 : 1);
      const text = help(...verbs);
      expect(text, line).to.include(`moge ${verbs.join(" ")}`);
      for (const flag of words.filter((word) => word.startsWith("--")))
        expect(text, line).to.include(flag.split("=")[0]!);
    }
  });

  it("has a library example that runs as it stands", () => {
    const [, code] = /```ts\n(import \{ simulate \}[\s\S]*?)```/.exec(readme)!;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", code!], {
      encoding: "utf8",
    });
    expect(stderr).to.equal("");
    const lines = stdout.split("\n").filter((line) => /^(topk|topk-lossfree|moge) [123] \d\.\d+ \[/.test(line));
    expect(lines).to.have.length(9);
  });

  it("names keys that the config knows", () => {
    const keys = [...readme.matchAll(/--set ([\w.]+)=/g)].map(([, key]) => key!);
    expect(keys.length).to.be.at.least(1);
    const schema = generatedFiles["configs/moge.schema.json"] + generatedFiles["configs/cost.schema.json"];
    for (const key of keys.flatMap((path) => path.split(".")).filter((part) => !/^\d+$/.test(part))) {
      expect(schema, key).to.include(`"${key}"`);
    }
  });

  it("shows a sweep that can be run", () => {
    const [, sweep] = /```yaml\n(name:[\s\S]*?)```/.exec(readme)!;
    const folder = mkdtempSync(join(tmpdir(), "moge-readme-"));
    try {
      writeFileSync(join(folder, "sweep.yaml"), sweep!);
      const words = [resolve("dist/src/cli/main.js"), "sweep", "sweep.yaml", "--dry-run"];
      const { status, stdout, stderr } = spawnSync(process.execPath, words, { cwd: folder, encoding: "utf8" });
      expect(status, stderr).to.equal(0);
      expect(stdout.match(/ missing /g)).to.have.length(2 * 3 * 3); // variants, coefficients, seeds
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }).timeout(30_000);

  it("links to files that are there, and shows every room of the source in the tree", () => {
    for (const page of ["README.md", "ARCHITECTURE.md"]) {
      const links = [...readFileSync(page, "utf8").matchAll(/\]\((?!https?:|#)([^)#]+)\)/g)].map(([, path]) => path!);
      for (const path of links) expect(existsSync(path), `${page}: ${path}`).to.equal(true);
    }
    const architecture = readFileSync("ARCHITECTURE.md", "utf8");
    const rooms = readdirSync("src", { withFileTypes: true }).map(
      (entry) => entry.name + (entry.isDirectory() ? "/" : ""),
    );
    for (const room of rooms)
      expect(architecture).to.match(new RegExp(`^\\| \`${room.replace(".", "\\.")}\` +\\|`, "m"));
    const tree = /```\n(src\/[\s\S]*?)```/.exec(readme)![1]!;
    for (const line of tree.trim().split("\n")) {
      const path = line.trim().split(/\s+/)[0]!;
      expect(existsSync(path), path).to.equal(true);
    }
  });
});
