/** The report of a sweep or an experiment in a real browser. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect } from "chai";
import type { Page } from "playwright-core";
import { randomStream } from "../../src/core/random.ts";
import type { Row } from "../../src/experiment/experiment.ts";
import { tableText } from "../../src/output/experiment-report.ts";
import { scatterFigure } from "../../src/output/figures/experiment-figures.ts";
import { figureRows } from "../../src/output/figures/figure-rows.ts";
import { writeFigure } from "../../src/output/figures/render.ts";
import { reportPage } from "../../src/output/report/html.ts";
import { becomes, openDesk, shows, type VisitOptions, violationsOf, visit } from "./page.ts";

/** Runs of no meaning, with names and a missing cell that could go wrong. */
function someRuns(count: number): Row[] {
  const random = randomStream(5, "report");
  return Array.from({ length: count }, (_, i) => ({
    run: i.toString(16).padStart(12, "0"),
    variant: i % 2 === 0 ? "moge" : 'top<k> & "co"',
    seed: i,
    validation_loss_nats_per_byte: 2 + random.uniform(),
    imbalance_score_mean: i % 10 === 3 ? undefined : random.uniform(),
    simulated_step_seconds: 0.02 + 0.01 * random.uniform(),
    parameters: 1000,
  }));
}

async function report(folder: string, runs: readonly Row[]): Promise<string> {
  const figure = scatterFigure({
    runs: runs.filter((row) => row["imbalance_score_mean"] !== undefined),
    x: "validation_loss_nats_per_byte",
    xTitle: "loss",
    y: "imbalance_score_mean",
    by: "variant",
    title: "Imbalance against loss",
    yTitle: "imbalance",
    description: "A dot a run",
  });
  await writeFigure(folder, "dots", figure);
  const page = reportPage({
    title: "A report </script><script>alert(1)</script>",
    question: "Does it <work>?",
    method: ["So it was done."],
    claims: [
      { text: "this holds", holds: true, found: "1 < 2" },
      { text: "this does not", holds: false },
    ],
    figures: [
      {
        name: "dots",
        description: "A dot a run",
        svg: readFileSync(join(folder, "dots.svg"), "utf8"),
        csv: { file: "dots.csv", text: tableText(figureRows(figure)) },
      },
    ],
    rows: runs,
    compared: ["variant", "validation_loss_nats_per_byte", "imbalance_score_mean", "simulated_step_seconds"],
    by: "variant",
    config: "a: <b>\n",
    command: "moge sweep x.yaml",
  });
  const path = join(folder, "report.html");
  writeFileSync(path, page);
  return pathToFileURL(path).href;
}

describe("report.html in a browser", function () {
  this.timeout(600_000);
  const desk = openDesk();
  let address: string;
  before(async () => {
    address = await report(desk.folder, someRuns(40));
  });

  const open = (options: VisitOptions = {}) => visit(desk.browser, address, { width: 1100, ...options });
  const column = (page: Page, index: number) =>
    page.$$eval(
      ".runs tbody tr:not([hidden])",
      (rows, i) => rows.map((row) => (row as HTMLTableRowElement).cells[i]!.textContent),
      index,
    );

  for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [360, 1400]) {
      it(`has no violations of axe, no errors, no requests and no sideways scrolling, ${colorScheme}, ${width} px`, async () => {
        const page = await open({ colorScheme, width });
        expect(await violationsOf(page)).to.deep.equal([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(width);
      });
    }
  }

  it("has on paper no controls, and of the table what names a run and what is compared", async () => {
    const page = await open();
    await page.emulateMedia({ media: "print" });
    const headers = page.locator("table.runs thead th:visible");
    await becomes(
      async () => (await headers.allInnerTexts()).map((text) => text.split("\n")[0]),
      ["run", "variant", "seed", "validation loss nats per byte", "imbalance score mean", "step seconds"],
    );
    await becomes(() => page.locator("button.copy:visible, button.save:visible, table.runs input:visible").count(), 0);
  });

  it("shows text as text", async () => {
    const page = await open();
    expect(await page.textContent("h1")).to.equal("A report </script><script>alert(1)</script>");
    expect(await page.textContent("#config")).to.equal("a: <b>\n");
    expect(await page.$$eval(".claims li", (items) => items.map((item) => item.className))).to.deep.equal([
      "holds",
      "fails",
    ]);
  });

  it("sorts by a column, up and down, what is missing last", async () => {
    const page = await open();
    const header = page.locator(".runs th", { hasText: "imbalance score mean" });
    for (const [sign, order] of [
      [1, "ascending"],
      [-1, "descending"],
    ] as const) {
      await header.locator("button").click();
      await becomes(() => header.getAttribute("aria-sort"), order);
      const cells = await column(page, 4);
      const numbers = cells.filter((cell) => cell !== "").map(Number);
      expect(numbers).to.have.length(36);
      expect(cells.slice(36)).to.deep.equal(["", "", "", ""]);
      expect(numbers).to.deep.equal([...numbers].sort((a, b) => sign * (a - b)));
    }
  });

  it("filters by text and by number, in the table and in every chart", async () => {
    const page = await open();
    await page.fill('input[aria-label="Filter variant"]', "moge");
    await page.fill('input[aria-label="Filter seed"]', "10..20");
    await becomes(() => column(page, 2), ["10", "12", "14", "16", "18", "20"]);
    await becomes(() => page.textContent(".shown"), "6 of 40 shown");
    const visible = () =>
      page.$$eval(
        "#parallel-coordinates path[data-run]",
        (lines) => lines.filter((line) => getComputedStyle(line).display !== "none").length,
      );
    await becomes(visible, 6);
    await page.fill('input[aria-label="Filter seed"]', ">= 38");
    await becomes(() => column(page, 2), ["38"]);
  });

  it("marks the run under the pointer in the table, the figure and the parallel coordinates", async () => {
    const page = await open();
    await page.hover('.runs tr[data-run="000000000004"] td');
    const opacities = (selector: string) =>
      page.$$eval(selector, (all) => all.map((each) => getComputedStyle(each).opacity));
    for (const chart of ["#dots svg", "#parallel-coordinates svg"]) {
      await becomes(() => opacities(`${chart} [data-run="000000000004"]`), ["1"], chart);
      await becomes(() => opacities(`${chart} [data-run="000000000005"]`), ["0.12"], chart);
    }
  });

  it("copies the command, and saves a figure as SVG, PNG and CSV", async () => {
    const page = await open();
    await page.click('button[data-source="command"]');
    await shows(page, 'button[data-source="command"]', /Copied|Selected/);
    for (const kind of ["svg", "png", "csv"]) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.click(`#dots button[data-kind="${kind}"]`),
      ]);
      expect(download.suggestedFilename()).to.equal(`dots.${kind}`);
      const content = readFileSync(await download.path());
      if (kind === "csv") expect(content.toString().split("\n")[0]).to.match(/^run,variant,seed,/);
      else expect(content.subarray(0, 4).toString("latin1")).to.equal(kind === "svg" ? "<svg" : "\x89PNG");
    }
  });

  it("prints light, without its tools", async () => {
    const page = await open({ colorScheme: "dark" });
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    await becomes(() => page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
    await becomes(() => page.isVisible("button.save"), false);
  });

  it("opens and sorts a thousand runs", async () => {
    const page = await visit(desk.browser, await report(desk.folder, someRuns(1000)));
    await page.locator(".runs th", { hasText: "seed" }).locator("button").click();
    await page.locator(".runs th", { hasText: "seed" }).locator("button").click();
    await becomes(async () => (await column(page, 2))[0], "999");
  });
});
