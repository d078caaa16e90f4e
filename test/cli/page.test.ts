import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "chai";

const program = resolve("dist/src/cli/main.js");

describe("moge page", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-page-"));
    mkdirSync(join(folder, "run"));
    writeFileSync(join(folder, "run", "steps.csv"), "step\n1\n");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const moge = (...args: string[]) =>
    spawnSync(process.execPath, [program, "page", ...args], { cwd: folder, encoding: "utf8" });

  it("prints the path of the page, and of the small one", () => {
    expect(moge().stdout).to.equal(`${resolve("dist/page/moge.html")}\n`);
    expect(moge("--lite").stdout).to.equal(`${resolve("dist/page/moge-lite.html")}\n`);
  });

  it("puts a run inside a copy, which differs in nothing else", () => {
    const { stdout, status } = moge("--run", "run");
    expect(status).to.equal(0);
    expect(stdout.trim()).to.match(/moge-run\.html$/);
    const copy = readFileSync(join(folder, "moge-run.html"), "utf8");
    const [script] = /<script type="application\/json" id="embedded-run">.*?<\/script>/s.exec(copy)!;
    expect(script).to.contain('{"name":"run","files":{"steps.csv":"step\\n1\\n"}}');
    expect(copy.replace(script, "<!-- embedded run -->")).to.equal(readFileSync("dist/page/moge.html", "utf8"));
  });

  it("replaces no file without --force", () => {
    writeFileSync(join(folder, "mine.html"), "mine");
    const { status, stderr } = moge("--run", "run", "--out", "mine.html");
    expect(status).to.equal(2);
    expect(stderr).to.match(/^moge: .*mine\.html is there already; --force replaces it\n$/);
    expect(readFileSync(join(folder, "mine.html"), "utf8")).to.equal("mine");
    expect(moge("--run", "run", "--out", "mine.html", "--force").status).to.equal(0);
  });

  it("says in one line what is wrong with a folder", () => {
    mkdirSync(join(folder, "empty"));
    for (const [run, message] of [
      ["nowhere", /^moge: nowhere: cannot be read \(ENOENT\)\n$/],
      ["empty", /^moge: empty: holds no CSV files; expected the folder of a run, sweep or experiment\n$/],
    ] as const) {
      const { status, stderr } = moge("--run", run);
      expect(status).to.equal(2);
      expect(stderr).to.match(message);
    }
    const twice = moge("--run", "run", "--run", "empty");
    expect(twice.status).to.equal(2);
    expect(twice.stderr).to.equal("moge: --run: expected one folder\n");
  });
});
