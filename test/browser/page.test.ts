/** The page in a real browser, from its file: the same figures as in Node, links, keyboard, charts that are taken along. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { readRun, withRun } from "../../src/host/page-file.ts";
import { routeBatch } from "../../src/web/batch/routed-batch.ts";
import { initialValues, type KnobName, knobNamed } from "../../src/web/knobs/knobs.ts";
import { becomes, button, openDesk, shows, smallPage, visit, wholePage } from "./page.ts";

describe("the page in a browser", function () {
  this.timeout(600_000);
  const desk = openDesk();
  const { open } = desk;

  const text = (page: Page, selector: string) => page.textContent(selector);
  const hashOf = (page: Page) => page.evaluate(() => location.hash);
  /** The address follows the knobs after a pause. */
  const settled = (page: Page, part: string) => page.waitForFunction((wanted) => location.hash.includes(wanted), part);

  it("keeps to its sizes: 200 kB gzipped, whole, and 80 kB without training", () => {
    const size = (path: string) => gzipSync(readFileSync(path), { level: 9 }).length;
    expect(size(wholePage)).to.be.at.most(200_000);
    expect(size(smallPage)).to.be.at.most(80_000);
  });

  it("gives the same figures in the small page", async () => {
    const hash = "scene=batch&left=topk-lossfree&balance=0.3&capacity=1.5";
    const small = pathToFileURL(smallPage).href;
    const whole = await open(hash);
    const figures = await text(whole, ".measures");
    await whole.close();
    const page = await visit(desk.browser, `${small}#lang=en&${hash}`);
    await becomes(() => text(page, ".measures"), figures);
    await page.goto(`${small}#lang=en&scene=training`);
    await shows(page, "main", "without training");
  });

  it("lets nothing run that it was not built with", async () => {
    const page = await open("");
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
    const said: string[] = [];
    await becomes(async () => said.push(...desk.complaints.splice(0)), 1);
    expect(said[0]).to.match(/inline script .*Content Security Policy/);
  });

  it("shows the figures that the same code gives in Node", async () => {
    const page = await open("scene=batch&skew=1&tokens=512&seed=3");
    const shown = () =>
      page.$$eval(".measures dd button", (all) => [...all.slice(0, 2), ...all.slice(-2)].map((one) => one.textContent));
    const values = { ...initialValues, skew: 1, tokens: 512, seed: 3 };
    const [left, right] = (["topk", "moge"] as const).map((name) => routeBatch(values, name));
    if (!("batch" in left!) || !("batch" in right!)) throw new Error("cannot route");
    const step = (seconds: number) => `${(seconds * 1e3).toFixed(2)} ms`;
    await becomes(shown, [
      left.batch.measures.imbalance.toFixed(3),
      "0",
      step(left.batch.time.stepSeconds),
      step(right.batch.time.stepSeconds),
    ]);
  });

  it("answers every slider of the batch, by keyboard, and writes it into the address", async () => {
    const page = await open("scene=batch&left=group-limited&capacity=2&balance=0.03&topK=8");
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
      await becomes(async () => (await text(page, "main")) === before, false, `${name}: the figures are the same`);
    }
  });

  it("is the same page again from a copied link", async () => {
    const page = await open("scene=batch");
    await page.getByLabel("Router on the right").selectOption("expert-choice");
    await page.getByRole("slider", { name: "Skew" }).press("End");
    await settled(page, "skew=3"); // a while after the figures
    const [hash, figures] = [await hashOf(page), await text(page, ".measures")];
    await page.close();
    const again = await open(hash.slice(1));
    await becomes(() => text(again, ".measures"), figures);
    await becomes(() => hashOf(again), hash);
  });

  it("keeps the last good state when the address is tampered with, and says what was wrong", async () => {
    const page = await open("scene=batch&experts=128");
    const figures = await text(page, ".measures");
    await page.evaluate(() => {
      location.hash = "#scene=batch&experts=%00lots&skew=1e999&<script>=1";
    });
    await becomes(() => page.locator(".problems li").count(), 3);
    expect(await text(page, ".measures")).to.equal(figures);
    await button(page, "Put away").click();
    await becomes(() => page.isVisible(".problems li"), false);
  });

  it("says in a router's place why it cannot route, and goes on with the other", async () => {
    const page = await open("scene=batch&topK=6");
    await shows(page, ".cannot", "topK 6 is not a multiple of groups 8, as MoGE needs");
    await becomes(() => page.locator("figure.chart").count(), 3);
  });

  it("leads through one token by keyboard alone, forward and back, and says each step aloud", async () => {
    const page = await open("");
    await page.keyboard.press("Tab");
    const focused = () => page.evaluate(() => document.activeElement!.textContent);
    await becomes(focused, "Skip to the content");
    await page.keyboard.press("Enter");
    for (let i = 0; (await focused()) !== "Next"; i++) {
      expect(i, "Next can be reached").to.be.below(40);
      await page.keyboard.press("Tab");
    }
    for (const title of ["Logits", "Scores", "Selection", "Dispatch", "Experts", "Combine"]) {
      await page.keyboard.press("Enter");
      await becomes(() => text(page, "#step-title"), title);
      await shows(page, "[aria-live=polite]", title);
    }
    await becomes(() => button(page, "Next").isDisabled(), true);
    await button(page, "Back").click();
    await becomes(() => text(page, "#step-title"), "Experts");
  });

  it("changes only the selection with the router, and keeps the last sentence that had words", async () => {
    const page = await open("step=3");
    const chosen = () => page.$$eval("circle.pick", (all) => all.map((each) => each.getAttribute("cx")).join());
    const scores = () => page.$$eval(".score text", (all) => all.map((each) => each.textContent).join());
    await shows(page, "circle.pick");
    const [before, scored] = [await chosen(), await scores()];
    await page.getByRole("radio", { name: "MoGE" }).click();
    await shows(page, "circle.reference"); // only beside other routers
    await becomes(async () => (await chosen()) === before, false);
    expect(await scores()).to.equal(scored);
    await page.getByLabel("Sentence").fill("  ");
    await shows(page, ".cannot", "no word");
    expect(await scores()).to.equal(scored);
    await page.getByLabel("Sentence").fill("你好 world");
    await becomes(() => page.locator('input[name="token"]').count(), 3);
  });

  it("says aloud what a slider came to, when it rests", async () => {
    const page = await open("scene=batch");
    const before = await text(page, ".verdict");
    await page.getByRole("slider", { name: "Skew" }).press("Home");
    await becomes(async () => (await text(page, ".verdict")) === before, false);
    await becomes(() => text(page, "[aria-live=polite]"), await text(page, ".verdict"));
  });

  it("opens a figure to its formula with its numbers, and closes with Escape", async () => {
    const page = await open("scene=batch");
    await button(page, /^Device imbalance, top-k/).click();
    await shows(
      page,
      ".popover:popover-open",
      /\(max_i load_i − min_i load_i\) \/ T.*\(max \d+ − min \d+\) \/ T 256 = \d\.\d{3}/,
    );
    await page.keyboard.press("Escape");
    await becomes(() => page.locator(".popover:popover-open").count(), 0);
  });

  it("hides what a lecturer hides", async () => {
    const page = await open("scene=batch&hide=header,footer,tools,skew,device");
    await shows(page, "figure.chart svg");
    await becomes(() => page.locator("header, footer, .chart-tools").count(), 0);
    await becomes(() => page.getByRole("slider", { name: "Skew" }).count(), 0);
    await becomes(() => page.getByRole("slider", { name: "Seed" }).count(), 1);
  });

  it("gives the pictures the room of hidden controls", async () => {
    for (const hash of ["", "scene=batch"]) {
      const page = await open(`${hash}&hide=controls`);
      await shows(page, "figure.chart svg");
      await becomes(() => page.locator(".controls").count(), 0);
      const content = page.locator(".with-controls > div");
      await becomes(async () => (await content.boundingBox())!.width > 1000, true, hash);
      await page.close();
    }
  });

  it("speaks Chinese to a Chinese browser, and the other language on request", async () => {
    const page = await open("", { locale: "zh-CN" });
    await becomes(() => page.getAttribute("html", "lang"), "zh-Hans");
    await becomes(() => text(page, "h1"), "一个词元");
    await button(page, "English").click();
    await becomes(() => text(page, "h1"), "One token");
    await settled(page, "lang=en");
  });

  // A page a side: browsers refuse more than ten files in a moment.
  for (const side of ["left", "right"]) {
    it(`shows each chart on the ${side} as a table, and saves it as SVG and PNG that need no style sheet`, async () => {
      const page = await open("scene=batch&tokens=32");
      const figures = ["loads", "step", "choices"].map((kind) => `${kind}-${side}`);
      const shown = () => page.$$eval("figure.chart:has(svg)", (all) => all.map(({ id }) => id));
      await becomes(async () => (await shown()).filter((id) => id.endsWith(side)), figures);
      for (const id of figures) {
        await page.click(`#${id} summary`);
        await page.locator(`#${id} tbody tr`).nth(7).waitFor();
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
    });
  }

  it("opens in the run that moge page put into it", async () => {
    const path = join(desk.folder, "with-run.html");
    const run = readRun(join(import.meta.dirname, "../../results/quickstart"));
    writeFileSync(path, withRun(readFileSync(wholePage, "utf8"), run));
    const page = await visit(desk.browser, pathToFileURL(path).href);
    await shows(page, "h1", "Results");
    await shows(page, "h2", "quickstart");
    await shows(page, "#run-training_loss_nats_per_byte svg");
    await settled(page, "scene=results");
    await page.getByRole("link", { name: "A batch" }).click();
    await shows(page, "h1", "A batch");
    await page.goBack();
    await shows(page, "h2", "quickstart");
    await page.getByRole("link", { name: "One token" }).click();
    await shows(page, "h1", "One token");
    await settled(page, "scene=journey");
    const copied = await page.evaluate(() => location.href);
    await page.close();
    const again = await visit(desk.browser, copied);
    await shows(again, "h1", "One token");
  });

  it("takes a run inside for nothing but text", async () => {
    const run = join(desk.folder, "<b>");
    mkdirSync(run);
    writeFileSync(join(run, "steps.csv"), "step,variant\n1,</script><b>\n");
    writeFileSync(join(run, "notes.txt"), "left out");
    const path = join(desk.folder, "with-text.html");
    writeFileSync(path, withRun(readFileSync(wholePage, "utf8"), readRun(run)));
    const page = await visit(desk.browser, `${pathToFileURL(path).href}#lang=en`);
    expect(JSON.parse((await text(page, "#embedded-run"))!)).to.deep.equal({
      name: "<b>",
      files: { "steps.csv": "step,variant\n1,</script><b>\n" },
    });
    await shows(page, "h2", "<b>");
    await shows(page, "main .note", "There is no quantity in it");
  });
});
