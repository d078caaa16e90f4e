/** Live training in a real browser, held against the command line byte for byte. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Browser, Page } from "playwright-core";
import { stepTables } from "../../src/output/columns.ts";
import { openBrowser } from "./chromium.ts";
import { button, drop, saved, visit } from "./page.ts";
import { violationsOf } from "./visit.ts";

const main = join(import.meta.dirname, "../../dist/src/cli/main.js");

const stepsOf = async (page: Page): Promise<number> =>
  Number(/step (\d+) of/.exec(await page.locator(".transport .note").innerText())![1]);

/** Waits for the models to have taken so many steps. */
const reaches = (page: Page, step: number) =>
  page.waitForFunction((wanted) => (document.querySelector("progress")?.value ?? -1) >= wanted, step);

const fresh = (page: Page) => button(page, "Train").and(page.locator(":enabled")).waitFor();

describe("live training", function () {
  this.timeout(240_000);
  let browser: Browser;
  let folder: string;

  before(async function () {
    const opened = await openBrowser();
    if (typeof opened === "string") {
      console.log(`      no browser here: ${opened}`);
      this.skip();
    }
    browser = opened;
    folder = mkdtempSync(join(tmpdir(), "moge-training-"));
  });
  after(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });

  /** Runs the config that the page gives, and compares every file that the page gives too. */
  async function expectSameBytes(page: Page): Promise<void> {
    const config = await saved(page, button(page, "config as YAML"));
    writeFileSync(join(folder, "page.yaml"), config);
    const run = spawnSync(process.execPath, [main, "run", "page.yaml", "--results", "results", "--force"], {
      cwd: folder,
      encoding: "utf8",
    });
    expect(run.status, run.stderr).to.equal(0);
    const result = join(folder, "results", /^name: (.*)$/m.exec(config)![1]!);
    for (const name of Object.keys(stepTables)) {
      const ofPage = await saved(page, button(page, name));
      expect(
        ofPage === readFileSync(join(result, name), "utf8"),
        `${name} of page and command line are the same`,
      ).to.equal(true);
    }
  }

  it("gives the bytes of the command line after 50 steps, whatever else the reader does meanwhile", async () => {
    const { page, complaints } = await visit(browser, "scene=training&steps=50&seed=3&coefficient=0.03&rate=0.003");
    await button(page, "Train").click();
    await reaches(page, 4);
    await button(page, "Pause").click();
    await button(page, "One step").click();
    await page.getByLabel("Your sentence").fill("Привет, 3+4=7");
    await page.getByLabel("MoE layer").selectOption("1");
    await page.getByRole("link", { name: "Results" }).click();
    await page.getByRole("link", { name: "Training" }).click();
    await button(page, "Train").click();
    await reaches(page, 50);
    expect(await page.locator(".transport .note").innerText()).to.match(/^step 50 of 50 · done/);
    expect(await page.locator("[aria-live=polite]").innerText()).to.match(
      /^Step 50\. Loss in nats per byte: top-k [\d.]+, MoGE [\d.]+\.$/,
    );
    const imbalance = page.locator(".measures > div", { hasText: "Device imbalance" }).getByRole("button");
    expect(Number(await imbalance.nth(0).innerText())).to.be.above(0);
    expect(await imbalance.nth(1).innerText()).to.equal("0");
    await expectSameBytes(page);
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it("trains on text that the reader drops, named by its hash, and refuses another under that name", async () => {
    const { page, complaints } = await visit(browser, "scene=training&steps=6&domains=code");
    await fresh(page);
    const text = Array.from({ length: 300 }, (_, i) => `Line ${i} of naïve notes.\n`).join("");
    await drop(page.locator(".texts .drop-zone"), { "notes.txt": text });
    await page.locator(".own-text").waitFor();
    expect(await page.locator(".hint").innerText()).to.match(/begin anew/);
    await button(page, "Begin anew").click();
    await fresh(page);
    await button(page, "Train").click();
    await reaches(page, 6);
    writeFileSync(join(folder, "notes.txt"), text);
    await expectSameBytes(page);
    writeFileSync(join(folder, "notes.txt"), `${text}!`);
    const other = spawnSync(process.execPath, [main, "run", "page.yaml", "--force"], { cwd: folder, encoding: "utf8" });
    expect(other.status).to.equal(2);
    expect(other.stderr).to.match(/domain notes\.txt: .* is another text than the config was written for/);
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it("pauses, steps once, and begins anew", async () => {
    const { page, complaints } = await visit(browser, "scene=training&steps=100");
    await fresh(page);
    await button(page, "One step").click();
    await reaches(page, 1);
    await button(page, "One step").click();
    await reaches(page, 2);
    expect(await stepsOf(page)).to.equal(2);
    await button(page, "Train").click();
    await reaches(page, 4);
    await button(page, "Pause").click();
    await page.waitForTimeout(800); // the step under way may still come
    const paused = await stepsOf(page);
    await page.waitForTimeout(800);
    expect(await stepsOf(page)).to.equal(paused);
    await button(page, "Begin anew").click();
    expect(await stepsOf(page)).to.equal(0);
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it("refuses what is no text in one sentence, and goes on as it was", async () => {
    const { page, complaints } = await visit(browser, "scene=training&steps=100");
    await fresh(page);
    await button(page, "One step").click();
    await reaches(page, 1);
    const zone = page.locator(".texts .drop-zone");
    const refused: [Record<string, string | number>, RegExp][] = [
      [{ "one.txt": "a" }, /one\.txt has 1 byte; training and validation need 650 at least/],
      [{ "zeros.bin": 5000 }, /zeros\.bin holds no text/],
      [{ "huge.txt": 17e6 }, /huge\.txt has 17\.0 MB; the page takes up to 16/],
    ];
    for (const [files, message] of refused) {
      await drop(zone, files);
      await page.locator("[role=alert]", { hasText: message }).waitFor();
      expect(await page.locator(".own-text").count()).to.equal(0);
    }
    expect(await stepsOf(page)).to.equal(1);
    for (const name of ["moby-dick", "german", "russian", "japanese", "chinese", "code"])
      await page.getByRole("checkbox", { name }).uncheck();
    await page.getByRole("checkbox", { name: "arithmetic" }).click();
    await page.locator("[role=alert]", { hasText: "One text at least" }).waitFor();
    expect(await page.getByRole("checkbox", { name: "arithmetic" }).isChecked()).to.equal(true);
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it("is reached by keyboard alone", async () => {
    const { page } = await visit(browser, "scene=training&steps=50&hide=controls,tools");
    await fresh(page);
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    for (let i = 0; i < 12 && (await focused()) !== "One step"; i++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await reaches(page, 1);
    await page.getByRole("slider", { name: "Byte" }).focus();
    await page.keyboard.press("ArrowRight");
    expect(await page.locator("#bytes-moge .note").innerText()).to.match(
      /^“a” → expert [\d (%),]+; devices touched: 8 \/ 8$/,
    );
    await page.close();
  });

  for (const [width, theme] of [
    [1280, "light"],
    [360, "dark"],
  ] as const) {
    it(`is accessible, and fits ${width} pixels, ${theme}`, async () => {
      const { page, complaints } = await visit(browser, `scene=training&steps=50&theme=${theme}`, width);
      await fresh(page);
      for (let step = 1; step <= 10; step++) {
        await button(page, "One step").click();
        await reaches(page, step);
      }
      await page.locator("#training-domains-moge").waitFor();
      expect(await violationsOf(page)).to.deep.equal([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(width);
      expect(complaints).to.deep.equal([]);
      await page.close();
    });
  }
});
