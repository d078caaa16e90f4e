import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import type { Browser, Page } from "playwright-core";
import { readRun, withRun } from "../../src/host/page-file.ts";
import { routeBatch } from "../../src/web/batch/routed-batch.ts";
import { initialValues, type KnobName, knobNamed } from "../../src/web/knobs/knobs.ts";
import { chapters } from "../../src/web/tour/chapters.ts";
import { openBrowser } from "./chromium.ts";
import { type VisitOptions, violationsOf, visit } from "./visit.ts";

const built = resolve("dist/page/moge.html");
const small = resolve("dist/page/moge-lite.html");

/** Pictures of the page to look at, where the environment asks for them. */
const shots = process.env["MOGE_SCREENSHOTS"];

describe("the page in a browser", function () {
  this.timeout(180_000);
  let browser: Browser;
  let folder: string;
  before(async function () {
    const opened = await openBrowser();
    if (typeof opened === "string") {
      console.log(`      skipped: no browser here (${opened})`);
      return this.skip();
    }
    expect(existsSync(built), "npm run build first").to.equal(true);
    browser = opened;
    folder = mkdtempSync(join(tmpdir(), "moge-page-"));
  });
  after(async () => {
    if (browser as Browser | undefined) await browser.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const open = (hash = "", options: VisitOptions = {}) => visit(browser, `file://${built}${hash}`, options);
  const text = (page: Page, selector: string) => page.textContent(selector);
  const hashOf = (page: Page) => page.evaluate(() => location.hash);
  /** The address follows the knobs after a pause. */
  const settled = (page: Page, part: string) => page.waitForFunction((wanted) => location.hash.includes(wanted), part);

  const views = [
    ["journey", "#step=6&router=moge"],
    ["batch", "#scene=batch"],
    ["tour", "#chapter=7"],
  ] as const;
  for (const [name, hash] of views) {
    for (const [colorScheme, width] of [
      ["light", 1280],
      ["dark", 1920],
      ["light", 360],
      ["dark", 360],
    ] as const) {
      for (const lang of ["en", "zh"] as const) {
        it(`is accessible, quiet and as wide as its window: ${name}, ${colorScheme}, ${width} px, ${lang}`, async () => {
          const { page, complaints } = await open(`${hash}&lang=${lang}`, { colorScheme, width });
          await page.waitForSelector("figure.chart svg");
          expect(await violationsOf(page)).to.deep.equal([]);
          expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(width);
          if (shots) {
            mkdirSync(shots, { recursive: true });
            await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${width}-${lang}.png`), fullPage: true });
          }
          expect(complaints).to.deep.equal([]);
          await page.close();
        });
      }
    }
  }

  it("keeps to its sizes: 200 kB gzipped, whole, and 80 kB without training", () => {
    const size = (path: string) => gzipSync(readFileSync(path), { level: 9 }).length;
    expect(size(built)).to.be.at.most(200_000);
    expect(size(small)).to.be.at.most(80_000);
  });

  it("gives the same figures in the small page", async () => {
    const hash = "#scene=batch&left=topk-lossfree&balance=0.3&capacity=1.5";
    const figures: (string | null)[] = [];
    for (const path of [built, small]) {
      const { page, complaints } = await visit(browser, `file://${path}${hash}`);
      figures.push(await text(page, ".measures"));
      expect(complaints).to.deep.equal([]);
      await page.close();
    }
    expect(figures[1]).to.equal(figures[0]);
    const { page } = await visit(browser, `file://${small}#scene=training`);
    expect(await text(page, "main")).to.contain("without training");
    await page.close();
  });

  it("lets nothing run that it was not built with", async () => {
    const { page } = await open();
    const policy = await page.getAttribute('meta[http-equiv="Content-Security-Policy"]', "content");
    expect(policy).to.match(/default-src 'none'; script-src 'sha256-[^']+' 'wasm-unsafe-eval'; style-src 'sha256-/);
    expect(policy).not.to.contain("unsafe-inline");
    const ran = await page.evaluate(() => {
      const script = document.createElement("script");
      script.textContent = "globalThis.ran = true";
      document.body.append(script);
      return "ran" in globalThis;
    });
    expect(ran).to.equal(false);
    await page.close();
  });

  it("shows the figures that the same code gives in Node", async () => {
    const { page } = await open("#scene=batch&skew=1&tokens=512&seed=3");
    const shown = await page.$$eval(".measures dd button", (buttons) => buttons.map((button) => button.textContent));
    const values = { ...initialValues, skew: 1, tokens: 512, seed: 3 };
    const [left, right] = (["topk", "moge"] as const).map((name) => routeBatch(values, name));
    if (!("batch" in left!) || !("batch" in right!)) throw new Error("cannot route");
    const step = (seconds: number) => `${(seconds * 1e3).toFixed(2)} ms`;
    expect(shown.slice(0, 2)).to.deep.equal([left.batch.measures.imbalance.toFixed(3), "0"]);
    expect(shown.slice(-2)).to.deep.equal([step(left.batch.time.stepSeconds), step(right.batch.time.stepSeconds)]);
    await page.close();
  });

  it("answers every slider of the batch, by keyboard, and writes it into the address", async () => {
    const { page, complaints } = await open("#scene=batch&left=group-limited&capacity=2&balance=0.03&topK=8");
    const sliders = [
      "experts",
      "topK",
      "limit",
      "capacity",
      "balance",
      "tokens",
      "skew",
      "seed",
      "devices",
      "tokensPerDevice",
    ];
    for (const name of sliders as KnobName[]) {
      const before = await text(page, "main");
      const slider = page.getByRole("slider", { name: knobNamed(name).label.en, exact: true });
      await slider.focus();
      await page.keyboard.press(
        name === "devices" || name === "limit" || name === "experts" ? "ArrowLeft" : "ArrowRight",
      );
      await settled(page, `${name}=`);
      expect(await text(page, "main"), name).not.to.equal(before);
    }
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it("is the same page again from a copied link", async () => {
    const { page } = await open("#scene=batch");
    await page.getByLabel("Router on the right").selectOption("expert-choice");
    await page.getByRole("slider", { name: "Skew" }).press("End");
    await settled(page, "skew=3");
    const [hash, figures] = [await hashOf(page), await text(page, ".measures")];
    await page.close();
    const again = await open(hash);
    expect(await text(again.page, ".measures")).to.equal(figures);
    expect(await hashOf(again.page)).to.equal(hash);
    await again.page.close();
  });

  it("keeps the last good state when the address is tampered with, and says what was wrong", async () => {
    const { page, complaints } = await open("#scene=batch&experts=128");
    const figures = await text(page, ".measures");
    await page.evaluate(() => {
      location.hash = "#scene=batch&experts=%00lots&skew=1e999&<script>=1";
    });
    await page.waitForSelector(".problems li");
    expect(await text(page, ".measures")).to.equal(figures);
    expect(await page.$$eval(".problems li", (all) => all.length)).to.equal(3);
    await page.getByRole("button", { name: "Put away" }).click();
    expect(await page.isVisible(".problems li")).to.equal(false);
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it("says in a router's place why it cannot route, and goes on with the other", async () => {
    const { page } = await open("#scene=batch&topK=6");
    expect(await text(page, ".cannot")).to.contain("topK 6 is not a multiple of groups 8, as MoGE needs");
    expect(await page.$$eval("figure.chart", (all) => all.length)).to.equal(3);
    await page.close();
  });

  it("leads through one token by keyboard alone, forward and back, and says each step aloud", async () => {
    const { page, complaints } = await open();
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement!.textContent)).to.equal("Skip to the content");
    await page.keyboard.press("Enter");
    const next = page.getByRole("button", { name: "Next" });
    for (let i = 0; (await page.evaluate(() => document.activeElement!.textContent)) !== "Next"; i++) {
      expect(i, "Next can be reached").to.be.below(40);
      await page.keyboard.press("Tab");
    }
    const titles: (string | null)[] = [];
    for (let step = 1; step <= 6; step++) {
      await page.keyboard.press("Enter");
      await page.waitForFunction((n) => document.querySelectorAll(".stepper li button.done").length === n + 1, step);
      titles.push(await text(page, "#step-title"));
      expect(await text(page, "[aria-live]")).to.contain(titles.at(-1)!);
    }
    expect(titles).to.deep.equal(["Logits", "Scores", "Selection", "Dispatch", "Experts", "Combine"]);
    expect(await next.isDisabled()).to.equal(true);
    await page.getByRole("button", { name: "Back" }).click();
    expect(await text(page, "#step-title")).to.equal("Experts");
    expect(complaints).to.deep.equal([]);
    await page.close();
  });

  it("changes only the selection with the router, and keeps the last sentence that had words", async () => {
    const { page } = await open("#step=3");
    const chosen = () => page.$$eval("circle.pick", (all) => all.map((each) => each.getAttribute("cx")).join());
    const scores = () => page.$$eval(".score text", (all) => all.map((each) => each.textContent).join());
    const [before, scored] = [await chosen(), await scores()];
    await page.getByRole("radio", { name: "MoGE" }).check();
    await page.waitForSelector("circle.reference"); // only beside other routers
    expect(await chosen()).not.to.equal(before);
    expect(await scores()).to.equal(scored);
    await page.getByLabel("Sentence").fill("  ");
    expect(await text(page, ".cannot")).to.contain("no word");
    expect(await scores()).to.equal(scored);
    await page.getByLabel("Sentence").fill("你好 world");
    await page.waitForFunction(() => document.querySelectorAll('input[name="token"]').length === 3);
    await page.close();
  });

  it("says aloud what a slider came to, when it rests", async () => {
    const { page } = await open("#scene=batch");
    await page.getByRole("slider", { name: "Skew" }).press("Home");
    const verdict = await text(page, ".verdict");
    await page.waitForFunction((found) => document.querySelector("[aria-live]")!.textContent === found, verdict);
    await page.close();
  });

  it("opens a figure to its formula with its numbers, and closes with Escape", async () => {
    const { page } = await open("#scene=batch");
    await page.getByRole("button", { name: /^Device imbalance, top-k/ }).click();
    const popover = page.locator(".popover:popover-open");
    expect(await popover.textContent()).to.match(
      /\(max_i load_i − min_i load_i\) \/ T.*\(max \d+ − min \d+\) \/ T 256 = \d\.\d{3}/,
    );
    await page.keyboard.press("Escape");
    expect(await popover.count()).to.equal(0);
    await page.close();
  });

  for (const [i, { title, question }] of chapters.entries()) {
    it(`chapter ${i + 1} of the tour opens, asks and reveals: ${title.en}`, async () => {
      const { page, complaints } = await open(`#chapter=${i + 1}`);
      expect(await text(page, ".tour h2")).to.equal(title.en);
      await page.waitForSelector("figure.chart svg");
      if (question) {
        const before = await hashOf(page);
        expect(await page.getByRole("button", { name: "Guess first." }).isDisabled()).to.equal(true);
        await page.getByRole("radio", { name: question.options[question.answer]!.en }).check();
        await page.getByRole("button", { name: "Show me" }).click();
        expect(await text(page, ".revealed")).to.contain("As you said.");
        if (question.show) await page.waitForFunction((old) => location.hash !== old, before);
      }
      expect(complaints).to.deep.equal([]);
      await page.close();
    });
  }

  it("goes from chapter to chapter, and lets the reader go", async () => {
    const { page } = await open();
    await page.getByRole("link", { name: "Guided tour" }).click();
    const chapter = (title: string) =>
      page.waitForFunction((wanted) => document.querySelector(".tour h2")?.textContent === wanted, title);
    await chapter(chapters[0]!.title.en);
    await page.getByRole("link", { name: "Next chapter" }).click();
    await chapter(chapters[1]!.title.en);
    await page.goBack();
    await chapter(chapters[0]!.title.en);
    await page.getByRole("button", { name: "Explore freely" }).click();
    expect(await page.locator(".tour").count()).to.equal(0);
    await page.close();
  });

  it("hides what a lecturer hides", async () => {
    const { page } = await open("#scene=batch&hide=header,footer,tools,skew,device");
    expect(await page.locator("header, footer, .chart-tools").count()).to.equal(0);
    expect(await page.getByRole("slider", { name: "Skew" }).count()).to.equal(0);
    expect(await page.getByRole("slider", { name: "Seed" }).count()).to.equal(1);
    await page.close();
  });

  it("speaks Chinese to a Chinese browser, and the other language on request", async () => {
    const { page } = await open("", { locale: "zh-CN" });
    expect(await page.getAttribute("html", "lang")).to.equal("zh-Hans");
    expect(await text(page, "h1")).to.equal("一个词元");
    await page.getByRole("button", { name: "English" }).click();
    expect(await text(page, "h1")).to.equal("One token");
    await settled(page, "lang=en");
    await page.close();
  });

  it("shows each chart as a table, and saves it as SVG and PNG that need no style sheet", async () => {
    const { page } = await open("#scene=batch&tokens=32");
    const figures = await page.$$eval("figure.chart", (all) => all.map(({ id }) => id));
    expect(figures).to.have.length(6);
    for (const id of figures) {
      await page.click(`#${id} summary`);
      await page.waitForSelector(`#${id} tbody tr`);
      expect(await page.$$eval(`#${id} tbody tr`, (all) => all.length), id).to.be.at.least(8);
      for (const kind of ["SVG", "PNG"]) {
        const [download] = await Promise.all([
          page.waitForEvent("download"),
          page
            .locator(`#${id}`)
            .getByRole("button", { name: `Save as ${kind}` })
            .click(),
        ]);
        expect(download.suggestedFilename()).to.equal(`${id}.${kind.toLowerCase()}`);
        const content = readFileSync(await download.path());
        if (kind === "PNG") expect(content.subarray(1, 4).toString()).to.equal("PNG");
        else
          expect(content.toString())
            .to.match(/^<svg [^>]*viewBox/)
            .and.not.match(/class="|var\(/);
      }
    }
    await page.close();
  });

  it("has a run inside that moge page put there", async () => {
    const run = join(folder, "<b>");
    mkdirSync(run);
    writeFileSync(join(run, "steps.csv"), "step,variant\n1,</script><b>\n");
    writeFileSync(join(run, "notes.txt"), "left out");
    const path = join(folder, "with-run.html");
    writeFileSync(path, withRun(readFileSync(built, "utf8"), readRun(run)));
    const { page, complaints } = await visit(browser, `file://${path}`);
    const embedded = await text(page, "#embedded-run");
    expect(JSON.parse(embedded!)).to.deep.equal({
      name: "<b>",
      files: { "steps.csv": "step,variant\n1,</script><b>\n" },
    });
    expect(complaints).to.deep.equal([]);
    await page.close();
  });
});
