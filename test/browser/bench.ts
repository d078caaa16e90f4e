/**
 * The page in a real browser: frames while sliders are dragged, what of a frame is script, the first picture, steps of
 * training, and bytes.
 */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import type { Browser, CDPSession, Page } from "playwright-core";
import { type KnobName, knobNamed } from "../../src/web/knobs/knobs.ts";
import { type Bench, type BenchTable, median } from "../bench/bench.ts";
import { openBrowser } from "./chromium.ts";
import { addressOf, smallPage, visit, wholePage } from "./page.ts";

const SIZES = "scene=batch&experts=64&tokens=1024";
const SLIDERS: readonly KnobName[] = ["skew", "seed", "tokens", "topK", "capacity", "balance", "devices", "experts"];

const FRAME_MILLISECONDS = 1e3 / 60;

/** Of a sorted copy. */
function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
}

const sliderOf = (page: Page, name: KnobName) =>
  page.getByRole("slider", { name: knobNamed(name).label.en, exact: true });

/** Moves a slider to another stop every frame, back and forth. @returns milliseconds between the frames */
function drag(page: Page, name: KnobName, frames: number): Promise<number[]> {
  return sliderOf(page, name).evaluate(async (element, count) => {
    const input = element as HTMLInputElement;
    const stops = Number(input.max);
    const times: number[] = [];
    for (let i = 0; i <= count; i++) {
      times.push(await new Promise<number>(requestAnimationFrame));
      input.value = String(Math.abs(((Number(input.dataset["at"] ?? 0) + i) % (2 * stops)) - stops));
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    return times.slice(1).map((time, i) => time - times[i]!);
  }, frames);
}

/** Of the frames that there was time for, the share that showed nothing new, in percent. */
function droppedShare(intervals: readonly number[]): number {
  const due = intervals.map((interval) => Math.max(1, Math.round(interval / FRAME_MILLISECONDS)));
  const all = due.reduce((sum, frames) => sum + frames, 0);
  return (100 * (all - due.length)) / all;
}

/** What rasterising in other threads takes of a frame while a slider is dragged, in milliseconds; in a drag of its own. */
async function rasterising(browser: Browser, page: Page, name: KnobName, frames: number): Promise<number> {
  const devtools = await browser.newBrowserCDPSession();
  let microseconds = 0;
  devtools.on("Tracing.dataCollected", ({ value }) => {
    for (const event of value as unknown as { name: string; dur?: number }[]) {
      if (event.name === "RasterTask") microseconds += event.dur ?? 0;
    }
  });
  const traceConfig = { includedCategories: ["cc", "devtools.timeline"] };
  await devtools.send("Tracing.start", { transferMode: "ReportEvents", traceConfig });
  await drag(page, name, frames);
  const complete = new Promise<unknown>((resolve) => devtools.once("Tracing.tracingComplete", resolve));
  await devtools.send("Tracing.end");
  await complete;
  await devtools.detach();
  return microseconds / 1e3 / frames;
}

/** Seconds that the page's main thread has spent so far, by the kind of work. */
async function spent(devtools: CDPSession): Promise<Record<string, number>> {
  const { metrics } = await devtools.send("Performance.getMetrics");
  return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
}

/** Moves a slider a stop at a time. @returns milliseconds of the main thread of each change */
async function changes(page: Page, devtools: CDPSession, name: KnobName, count: number) {
  const slider = sliderOf(page, name);
  const busy: { script: number; layout: number; all: number }[] = [];
  for (let i = 0; i < count; i++) {
    const before = await spent(devtools);
    await slider.evaluate(async (element, at) => {
      const input = element as HTMLInputElement;
      const stops = Number(input.max);
      input.value = String(Math.abs((at % (2 * stops)) - stops));
      input.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }, i);
    const after = await spent(devtools);
    const took = (...kinds: string[]) => kinds.reduce((sum, kind) => sum + 1e3 * (after[kind]! - before[kind]!), 0);
    busy.push({
      script: took("ScriptDuration"),
      layout: took("LayoutDuration", "RecalcStyleDuration"),
      all: took("TaskDuration"),
    });
  }
  return busy;
}

async function frameTable(browser: Browser, quick: boolean): Promise<BenchTable> {
  const page = await visit(browser, addressOf(wholePage, SIZES));
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Performance.enable");
  const rows: (string | number)[][] = [];
  for (const name of SLIDERS) {
    await drag(page, name, 20); // so that the code is compiled
    const frames = await drag(page, name, quick ? 30 : 120);
    const busy = await changes(page, devtools, name, quick ? 10 : 40);
    const of = (kind: "script" | "layout" | "all", share: number) =>
      percentile(
        busy.map((each) => each[kind]),
        share,
      );
    rows.push([
      knobNamed(name).label.en,
      percentile(frames, 0.5),
      percentile(frames, 0.95),
      droppedShare(frames),
      of("script", 0.5),
      of("script", 0.95),
      of("layout", 0.95),
      await rasterising(browser, page, name, quick ? 10 : 40),
      of("all", 0.95),
    ]);
    await page.goto(addressOf(wholePage, SIZES));
    await page.reload();
    await page.waitForSelector("figure.chart svg");
  }
  await page.close();
  return {
    title: "a slider dragged at 64 experts × 1,024 tokens, a stop a frame: milliseconds (16.7 are a frame)",
    columns: "slider,frame p50,p95,dropped %,script p50,p95,layout p95,raster mean,main thread p95".split(","),
    rows,
  };
}

/** Milliseconds from the start of navigation until a chart is painted. */
async function firstPicture(browser: Browser, path: string): Promise<number> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector("figure.chart svg")) return;
      observer.disconnect();
      requestAnimationFrame(() => Object.assign(window, { seen: performance.now() }));
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(addressOf(path, ""));
  const seen = await page.waitForFunction(() => (window as { seen?: number }).seen);
  const milliseconds = (await seen.jsonValue())!;
  await page.close();
  return milliseconds;
}

/** Wraps workers, so that what is sent to the first one to open can be sent to another. */
function overhear(): void {
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message: { order?: string }) {
    if (message.order === "open") Object.assign(window, { opening: message });
    post.call(this, message);
  };
}

/** Steps a second of one worker alone, as the page starts it. */
async function trainingAlone(browser: Browser, steps: number): Promise<number> {
  const page = await browser.newPage();
  await page.addInitScript(overhear);
  await page.goto(addressOf(wholePage, "scene=training"));
  await page.waitForFunction(() => (window as { opening?: object }).opening);
  const stepsPerSecond = await page.evaluate(async (count) => {
    const script = document.querySelector('script[type="module"]')!.textContent;
    const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
    const orders = [
      (window as unknown as { opening: object }).opening,
      ...new Array(5 + count).fill({ order: "step" }),
    ];
    let began = 0;
    for (const [i, order] of orders.entries()) {
      if (i === orders.length - count) began = performance.now(); // the first steps compile
      worker.postMessage(order);
      await new Promise((resolve) => {
        worker.onmessage = resolve;
      });
    }
    return (1e3 * count) / (performance.now() - began);
  }, steps);
  await page.close();
  return stepsPerSecond;
}

/** Steps a second that the page gives while it draws, each of both models. */
async function trainingSeen(browser: Browser, steps: number): Promise<number> {
  const page = await visit(browser, addressOf(wholePage, "scene=training"));
  const done = (count: number) =>
    page.waitForFunction((wanted) => (document.querySelector("progress")?.value ?? 0) >= wanted, count);
  await page.getByRole("button", { name: "Train", exact: true }).click();
  await done(5);
  const began = performance.now();
  await done(5 + steps);
  const seconds = (performance.now() - began) / 1e3;
  await page.close();
  return steps / seconds;
}

export const bench: Bench = {
  title: "the page in a browser",
  async run({ quick }) {
    const sizes = [wholePage, smallPage].map((path) => gzipSync(readFileSync(path), { level: 9 }).length / 1e3);
    const bytes: BenchTable = {
      title: "kilobytes, gzipped",
      columns: ["page", "kB", "at most"],
      rows: [
        ["whole", sizes[0]!, 200],
        ["without training", sizes[1]!, 80],
      ],
    };
    const browser = await openBrowser();
    if (typeof browser === "string") return { tables: [bytes], notes: [`Skipped: no browser here (${browser}).`] };
    try {
      const frames = await frameTable(browser, quick);
      const openings: number[] = [];
      for (let round = 0; round < (quick ? 2 : 7); round++) openings.push(await firstPicture(browser, wholePage));
      const alone = await trainingAlone(browser, quick ? 10 : 40);
      const seen = await trainingSeen(browser, quick ? 10 : 40);
      return {
        tables: [
          frames,
          {
            title: "the rest",
            columns: ["what", "found", "wanted"],
            rows: [
              ["first picture, milliseconds", median(openings), 1000],
              ["steps a second, one worker alone", alone, 10],
              ["steps a second of each of both models, drawn", seen, ""],
            ],
          },
          bytes,
        ],
        notes: [
          "Here pictures are rasterised by the processor, beside the page's main thread: frames and raster, not script. The main thread's time is that of two frames, and of asking for it.",
        ],
      };
    } finally {
      await browser.close();
    }
  },
};
