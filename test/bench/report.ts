/** A report of a thousand runs in a real browser: until it stands there, and until its table is sorted anew. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomStream } from "../../src/core/random.ts";
import { tableText } from "../../src/output/experiment-report.ts";
import { scatterFigure } from "../../src/output/figures/experiment-figures.ts";
import { figureRows } from "../../src/output/figures/figure-rows.ts";
import { writeFigure } from "../../src/output/figures/render.ts";
import { reportPage } from "../../src/output/report/html.ts";
import { openBrowser } from "../browser/chromium.ts";
import { type Bench, median } from "./bench.ts";

/** Writes a report of runs of no meaning. @returns its address */
async function write(folder: string, count: number): Promise<string> {
  const random = randomStream(5, "bench", "report");
  const rows = Array.from({ length: count }, (_, i) => ({
    run: i.toString(16).padStart(12, "0"),
    variant: i % 2 === 0 ? "moge" : "topk",
    seed: i,
    validation_loss_nats_per_byte: 2 + random.uniform(),
    imbalance_score_mean: random.uniform(),
    simulated_step_seconds: 0.02 + 0.01 * random.uniform(),
  }));
  const figure = scatterFigure({
    runs: rows,
    x: "validation_loss_nats_per_byte",
    xTitle: "loss",
    y: "imbalance_score_mean",
    by: "variant",
    title: "Imbalance against loss",
    yTitle: "imbalance",
    description: "A dot a run",
  });
  await writeFigure(folder, "dots", figure);
  const svg = readFileSync(join(folder, "dots.svg"), "utf8");
  const page = reportPage({
    title: "A report",
    question: "How fast?",
    method: [],
    claims: [],
    figures: [
      { name: "dots", description: "A dot a run", svg, csv: { file: "dots.csv", text: tableText(figureRows(figure)) } },
    ],
    rows,
    compared: ["variant", "validation_loss_nats_per_byte", "imbalance_score_mean", "simulated_step_seconds"],
    by: "variant",
    config: "",
    command: "moge sweep x.yaml",
  });
  const path = join(folder, "report.html");
  writeFileSync(path, page);
  return `file://${path}`;
}

/** In the page: clicks the head of a column and waits until what came of it is painted. @returns milliseconds */
const SORT = `new Promise((resolve) => {
  const start = performance.now();
  document.querySelectorAll(".runs thead th button")[3].click();
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
})`;

export const bench: Bench = {
  title: "report.html in a browser",
  async run({ quick }) {
    const browser = await openBrowser();
    if (typeof browser === "string") return { tables: [], notes: [`Skipped: no browser here (${browser}).`] };
    const folder = mkdtempSync(join(tmpdir(), "moge-bench-"));
    try {
      const count = quick ? 100 : 1000;
      const address = await write(folder, count);
      const opening: number[] = [];
      const sorting: number[] = [];
      for (let round = 0; round < (quick ? 1 : 5); round++) {
        const page = await browser.newPage();
        const start = performance.now();
        await page.goto(address);
        await page.waitForSelector("html[data-ready]", { state: "attached" });
        opening.push(performance.now() - start);
        sorting.push(await page.evaluate<number>(SORT));
        await page.close();
      }
      return {
        tables: [
          {
            title: `a report of ${count.toLocaleString("en-US")} runs: milliseconds`,
            columns: ["what", "median", "wanted, together"],
            rows: [
              ["opened and ready", median(opening), 1000],
              ["sorted by another column", median(sorting), ""],
            ],
          },
        ],
        notes: [],
      };
    } finally {
      await browser.close();
      rmSync(folder, { recursive: true });
    }
  },
};
