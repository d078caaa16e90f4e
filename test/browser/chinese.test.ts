/** The page in Chinese: nothing that a reader sees, or hears, is left in English but names. */
import { join } from "node:path";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { contenderNames } from "../../src/web/batch/contenders.ts";
import { chapters } from "../../src/web/tour/chapters.ts";
import { becomes, button, drop, openDesk, shows } from "./page.ts";

const results = join(import.meta.dirname, "../../results");

/** Two words of English in a row, which no name on the page has. */
const isEnglish = (text: string): boolean => /[a-z]{2,},? +[a-z]{2,}/i.test(text.replace(NAMES, ""));

/** Products, papers, licences, what the reader typed, and places in files. */
const NAMES =
  /Pangu Pro MoE|Switch Transformer|Atlas [\dAI]+\w*( Duo)?|NVIDIA \w+( \d+ GB)?( SXM)?|(HDR|NDR|CX\d) InfiniBand|Ascend \w+|GB PCIe|moge \w+|ODC PDDL|MoE all-to-all|load imbalance|the river bank lent money to the fisherman|Call me Ishmael\. 17\*30=510 return false/g;

/** Everything that is shown, and what assistive technology reads beside it. */
const textsOf = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const texts: string[] = [document.title];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
      if (!node.parentElement!.closest("script, style, noscript, .about")) texts.push(node.textContent!);
    }
    for (const name of ["aria-label", "title", "aria-valuetext"]) {
      for (const element of document.querySelectorAll(`[${name}]`)) texts.push(element.getAttribute(name)!);
    }
    return texts;
  });

describe("the page in Chinese", function () {
  this.timeout(900_000);
  const desk = openDesk();

  const open = (hash: string): Promise<Page> => desk.open(`lang=zh&${hash}`);

  async function expectChinese(page: Page, where: string): Promise<void> {
    expect((await textsOf(page)).filter(isEnglish), where).to.deep.equal([]);
  }

  async function openTables(page: Page): Promise<void> {
    for (const summary of await page.locator("main summary").all()) await summary.click();
    const tables = page.locator("main .chart-tools details");
    await becomes(
      async () => (await tables.filter({ has: page.locator("td") }).count()) === (await tables.count()),
      true,
    );
  }

  async function expectChinesePopovers(page: Page, buttons: string): Promise<void> {
    for (const each of await page.locator(buttons).all()) {
      await each.click();
      await shows(page, ".popover:popover-open .formula");
      await expectChinese(page, `popover of ${await each.textContent()}`);
      await page.keyboard.press("Escape");
    }
  }

  it("tells the journey of a token through every router", async () => {
    const page = await open("step=3");
    for (const [i, name] of contenderNames.entries()) {
      await page.getByRole("radio").and(page.locator('[name="router"]')).nth(i).click();
      for (let step = 3; step < 6; step++) {
        await expectChinesePopovers(page, ".derivation button");
        await button(page, "下一步").click();
      }
      await expectChinese(page, name);
      for (let step = 6; step > 3; step--) await button(page, "上一步").click();
    }
    await openTables(page);
    await expectChinese(page, "the table");
  });

  it("compares a batch, its tables, figures and refusals", async () => {
    const page = await open("scene=batch&right=expert-choice&capacity=1.5&tokens=16");
    await shows(page, "figure.chart svg");
    await openTables(page);
    await expectChinese(page, "batch");
    await expectChinesePopovers(page, ".measures button");
    await page.getByLabel("右侧路由器").selectOption("moge");
    await page.getByLabel("每个词元的专家数 K").press("Home");
    await shows(page, ".cannot");
    await expectChinese(page, "refusal");
    await page.evaluate(() => {
      location.hash = "#lang=zh&scene=batch&no-such=1&skew=lots&experts=60000&device=toaster";
    });
    await shows(page, ".problems li");
    await expectChinese(page, "a tampered link");
  });

  it("trains, and refuses what is no text", async () => {
    const page = await open("scene=training&steps=50&domains=code,arithmetic");
    for (let step = 1; step <= 10; step++) {
      await button(page, "单步").click();
      await page.waitForFunction((wanted) => document.querySelector("progress")?.value === wanted, step);
    }
    await shows(page, "#training-domains-moge svg");
    await openTables(page);
    await expectChinese(page, "training");
    await expectChinesePopovers(page, ".measures button");
    await drop(page.locator(".texts .drop-zone"), { "one.txt": "a", "zeros.bin": 5000 });
    await shows(page, ".problems li");
    await expectChinese(page, "refused text");
  });

  it("shows results, and refuses what is none", async () => {
    const page = await open("scene=results");
    await expectChinese(page, "empty");
    await page.locator('input[type="file"]').nth(1).setInputFiles(join(results, "quickstart"));
    await shows(page, "#run-domains svg");
    await openTables(page);
    await expectChinese(page, "a run");
    for (const file of ["steps.csv", "layers.csv", "expert-load.csv", "validation.csv", "summary.csv"]) {
      await page
        .locator('input[type="file"]')
        .nth(0)
        .setInputFiles(join(results, "quickstart", file));
      await shows(page, "h2", file);
      await shows(page, "figure.chart svg");
      await openTables(page);
      await expectChinese(page, file);
    }
    await drop(page.locator(".drop-zone"), { "iris.csv": "sepal,petal\n1,2\n" });
    await shows(page, ".problems li");
    await expectChinese(page, "refused table");
  });

  it("guides through every chapter", async () => {
    for (const [i, { question }] of chapters.entries()) {
      const page = await open(`chapter=${i + 1}`);
      await shows(page, "figure.chart svg");
      await expectChinese(page, `chapter ${i + 1}`);
      if (question) {
        await page.locator(".guess input").first().click();
        await button(page, "揭晓").click();
        await shows(page, ".revealed");
        await expectChinese(page, `answer ${i + 1}`);
      }
      await page.close();
    }
  });
});
