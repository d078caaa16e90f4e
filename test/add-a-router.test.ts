/** Adds the README's example of a router, one file and one line, to a copy of the project, and looks for it everywhere. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";

const readme = readFileSync("README.md", "utf8");
const example = /```ts\n(\/\*\* The best expert and its neighbours[\s\S]*?)```/.exec(readme)![1]!;

describe("a router added by one file and one line", () => {
  let copy: string;

  before(() => {
    copy = mkdtempSync(join(tmpdir(), "moge-router-"));
    for (const part of ["src", "scripts", "configs", "test", "docs", "README.md", "package.json", "tsconfig.json"]) {
      cpSync(part, join(copy, part), { recursive: true });
    }
    for (const part of ["node_modules", "dist"]) symlinkSync(resolve(part), join(copy, part));
    writeFileSync(join(copy, "src/routing/neighbours.ts"), example);
    const table = join(copy, "src/routing/routers.ts");
    const text = readFileSync(table, "utf8")
      .replace("export const routers = {\n", "export const routers = {\n  neighbours,\n")
      .replace("import { noisyTopk }", 'import { neighbours } from "./neighbours.ts";\nimport { noisyTopk }');
    writeFileSync(table, text);
  });

  after(() => rmSync(copy, { recursive: true, force: true }));

  const run = (...words: string[]) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "tsx", ...words], {
      cwd: copy,
      encoding: "utf8",
    });
    expect(status, `${words.join(" ")}\n${stdout}${stderr}`).to.equal(0);
    return stdout;
  };
  const title = "the best expert and the K − 1 that follow it";

  it("is in the command line", () => {
    expect(run("src/cli/main.ts", "routers", "neighbours")).to.include(title);
    const routed = join(copy, "logits.json");
    writeFileSync(routed, "[[0, 1, 5, 2], [9, 1, 0, 3]]");
    const report = JSON.parse(
      run("src/cli/main.ts", "route", "--router", "neighbours", "--topk", "2", "--json", routed),
    );
    expect(report.experts).to.deep.equal([
      [2, 3],
      [0, 1],
    ]);
  });

  it("is in the schema and in the documentation", () => {
    expect(run("src/cli/main.ts", "schema")).to.include(`neighbours: ${title}`);
    run("scripts/write-docs.ts");
    expect(readFileSync(join(copy, "docs/routers.md"), "utf8")).to.include("### `neighbours`");
    expect(readFileSync(join(copy, "configs/moge.schema.json"), "utf8")).to.include(`neighbours: ${title}`);
  });

  it("is held to its promises by the property tests", () => {
    const mocha = resolve("node_modules/mocha/bin/mocha.js");
    const passed = run(mocha, "--require", "tsx", "test/routing/routers.test.ts", "--grep", "router neighbours");
    expect(Number(/(\d+) passing/.exec(passed)![1])).to.be.at.least(5);
  });
});
