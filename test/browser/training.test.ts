/** Live training in a real browser, held against the command line byte for byte. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { stepTables } from "../../src/output/columns.ts";
import { becomes, button, drop, openDesk, saved, shows, violationsOf } from "./page.ts";

const main = join(import.meta.dirname, "../../dist/src/cli/main.js");

const stepOf = (page: Page): Promise<number> => page.$eval("progress", ({ value }) => value);

/** Waits for the models to have taken so many steps. */
const reaches = (page: Page, step: number) =>
  page.waitForFunction((wanted) => (document.querySelector("progress")?.value ?? -1) >= wanted, step);

/** Has Pause pressed at that step, however late this process hears of it. To be called before the models run. */
const pauseAt = (page: Page, step: number): Promise<void> =>
  page.evaluate((wanted) => {
    const progress = document.querySelector("progress")!;
    return new Promise((pressed) => {
      new MutationObserver((_, observer) => {
        if (progress.value < wanted) return;
        observer.disconnect();
        const all = [...document.querySelectorAll("button")];
        all.find(({ textContent }) => textContent === "Pause")!.click();
        pressed();
      }).observe(progress, { attributes: true });
    });
  }, step);

/** Waits for the models to rest: not begun, paused, or done. */
const rests = (page: Page) => button(page, "One step").and(page.locator(":enabled")).waitFor();

/** Waits for the sentence that is shown to be routed by both models, which they do after what they were told before. */
async function routes(page: Page, sentence: string): Promise<void> {
  await page.getByLabel("Your sentence").fill(sentence);
  for (const model of ["topk", "moge"]) await shows(page, `#bytes-${model} .note`, `“${sentence[0]}” →`);
}

describe("live training", function () {
  this.timeout(900_000);
  const desk = openDesk();

  /** Runs the config that the page gives, and compares every file that the page gives too. */
  async function expectSameBytes(page: Page): Promise<void> {
    const config = await saved(page, button(page, "config as YAML"));
    writeFileSync(join(desk.folder, "page.yaml"), config);
    const run = spawnSync(process.execPath, [main, "run", "page.yaml", "--results", "results", "--force"], {
      cwd: desk.folder,
      encoding: "utf8",
    });
    expect(run.status, run.stderr).to.equal(0);
    const result = join(desk.folder, "results", /^name: (.*)$/m.exec(config)![1]!);
    for (const name of Object.keys(stepTables)) {
      const ofPage = await saved(page, button(page, name));
      expect(
        ofPage === readFileSync(join(result, name), "utf8"),
        `${name} of page and command line are the same`,
      ).to.equal(true);
    }
  }

  it("gives the bytes of the command line after 50 steps, whatever else the reader does meanwhile", async () => {
    const page = await desk.open("scene=training&steps=50&seed=3&coefficient=0.03&rate=0.003");
    await rests(page);
    const paused = pauseAt(page, 4);
    await button(page, "Train").click();
    await paused;
    await button(page, "One step").click();
    await page.getByLabel("Your sentence").fill("Привет, 3+4=7");
    await page.getByLabel("MoE layer").selectOption("1");
    await page.getByRole("link", { name: "Results" }).click();
    await page.getByRole("link", { name: "Training" }).click();
    await button(page, "Train").click();
    await shows(page, ".transport .note", /^step 50 of 50 · done/);
    await shows(page, "[aria-live=polite]", /^Step 50\. Loss in nats per byte: top-k [\d.]+, MoGE [\d.]+\.$/);
    const imbalance = page.locator(".measures > div", { hasText: "Device imbalance" }).getByRole("button");
    await becomes(async () => Number(await imbalance.nth(0).innerText()) > 0, true);
    await becomes(() => imbalance.nth(1).innerText(), "0");
    await expectSameBytes(page);
  });

  it("trains on text that the reader drops, named by its hash, and refuses another under that name", async () => {
    const page = await desk.open("scene=training&steps=50&domains=code");
    await rests(page);
    const text = Array.from({ length: 300 }, (_, i) => `Line ${i} of naïve notes.\n`).join("");
    await drop(page.locator(".texts .drop-zone"), { "notes.txt": text });
    await shows(page, ".own-text", "notes.txt");
    await shows(page, ".hint", /begin anew/);
    await button(page, "Begin anew").click();
    await becomes(() => page.locator(".hint").count(), 0);
    await rests(page);
    await button(page, "Train").click();
    await shows(page, ".transport .note", /^step 50 of 50 · done/);
    writeFileSync(join(desk.folder, "notes.txt"), text);
    await expectSameBytes(page);
    writeFileSync(join(desk.folder, "notes.txt"), `${text}!`);
    const other = spawnSync(process.execPath, [main, "run", "page.yaml", "--force"], {
      cwd: desk.folder,
      encoding: "utf8",
    });
    expect(other.status).to.equal(2);
    expect(other.stderr).to.match(/domain notes\.txt: .* is another text than the config was written for/);
  });

  it("pauses, steps once, and begins anew", async () => {
    const page = await desk.open("scene=training&steps=100");
    await rests(page);
    await button(page, "One step").click();
    await reaches(page, 1);
    await button(page, "One step").click();
    await reaches(page, 2);
    await routes(page, "two");
    expect(await stepOf(page)).to.equal(2);
    const pressed = pauseAt(page, 4);
    await button(page, "Train").click();
    await pressed;
    await routes(page, "first"); // after the step that was under way,
    await routes(page, "later"); // and after its validation
    const paused = await stepOf(page);
    await routes(page, "and later");
    expect(await stepOf(page)).to.equal(paused);
    await button(page, "Begin anew").click();
    await becomes(() => stepOf(page), 0);
  });

  it("changes its pictures once a second at most for readers who want little to move", async () => {
    const page = await desk.open("scene=training&steps=50", { reducedMotion: "reduce" });
    await rests(page);
    await page.evaluate(() => {
      const progress = document.querySelector("progress")!;
      const seen = { began: performance.now(), values: new Set<number>() };
      Object.assign(globalThis, { seen });
      new MutationObserver(() => seen.values.add(progress.value)).observe(progress, { attributes: true });
    });
    await button(page, "Train").click();
    await shows(page, ".transport .note", /^step 50 of 50 · done/);
    const { changes, seconds } = await page.evaluate(() => {
      const { began, values } = (globalThis as unknown as { seen: { began: number; values: Set<number> } }).seen;
      return { changes: values.size, seconds: (performance.now() - began) / 1e3 };
    });
    expect(changes).to.be.within(1, seconds + 2); // the first step and the last are shown when they are done
  });

  it("refuses what is no text in one sentence, and goes on as it was", async () => {
    const page = await desk.open("scene=training&steps=100");
    await rests(page);
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
      await shows(page, "[role=alert]", message);
      expect(await page.locator(".own-text").count()).to.equal(0);
    }
    expect(await stepOf(page)).to.equal(1);
    for (const name of ["moby-dick", "german", "russian", "japanese", "chinese", "code"]) {
      const box = page.getByRole("checkbox", { name });
      await box.click(); // uncheck() wants the new state at once
      await becomes(() => box.isChecked(), false);
    }
    await page.getByRole("checkbox", { name: "arithmetic" }).click();
    await shows(page, "[role=alert]", "One text at least");
    await becomes(() => page.getByRole("checkbox", { name: "arithmetic" }).isChecked(), true);
  });

  it("says in one line that the browser starts no worker", async () => {
    const page = await desk.open("scene=batch");
    await page.evaluate(() => {
      globalThis.Worker = class extends EventTarget {
        postMessage() {
          setTimeout(() => this.dispatchEvent(new ErrorEvent("error")));
        }
        terminate() {}
      } as unknown as typeof Worker;
    });
    await page.getByRole("link", { name: "Training" }).click();
    await shows(page, ".transport .cannot", "Training stopped: the browser did not start the worker");
    await becomes(() => button(page, "Train").isDisabled(), true);
  });

  it("is reached by keyboard alone", async () => {
    const page = await desk.open("scene=training&steps=50&hide=controls,tools");
    await rests(page);
    const focused = () => page.evaluate(() => document.activeElement?.textContent);
    for (let i = 0; i < 12 && (await focused()) !== "One step"; i++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await reaches(page, 1);
    await page.getByRole("slider", { name: "Byte" }).focus();
    await page.keyboard.press("ArrowRight");
    await shows(page, "#bytes-moge .note", /^“a” → expert [\d (%),]+; devices touched: 8 \/ 8$/);
  });

  for (const [width, theme] of [
    [1280, "light"],
    [360, "dark"],
  ] as const) {
    it(`is accessible, and fits ${width} pixels, ${theme}`, async () => {
      const page = await desk.open(`scene=training&steps=50&theme=${theme}`, { width });
      await rests(page);
      for (let step = 1; step <= 10; step++) {
        await button(page, "One step").click();
        await reaches(page, step);
      }
      await shows(page, "#training-domains-moge svg");
      expect(await violationsOf(page)).to.deep.equal([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(width);
    });
  }
});
