/** A page in a real browser, opened from its file, with everything it should not do written down. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { expect } from "chai";
import { after, before } from "mocha";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { skipAloud } from "../skip.ts";
import { openBrowser } from "./chromium.ts";

const built = (name: string): string => join(import.meta.dirname, "../../dist/page", name);

export const wholePage = built("moge.html");
export const smallPage = built("moge-lite.html");

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** How many times slower a page's script runs than it could: the tests must not mind. */
const slowdown = Number(process.env["MOGE_SLOWDOWN"] ?? 1);

/** A page that is this late has failed. */
const LATEST_MILLISECONDS = 60_000;
const BETWEEN_READS_MILLISECONDS = 50;

export interface VisitOptions
  extends Pick<BrowserContextOptions, "colorScheme" | "reducedMotion" | "locale" | "acceptDownloads"> {
  readonly width?: number;
  readonly height?: number;
}

/** A browser and a folder for the tests of a suite, which is skipped aloud where there is no browser. */
export interface Desk {
  readonly browser: Browser;
  readonly folder: string;
  /** Of all pages of the test; what is expected is taken out by it. */
  readonly complaints: string[];
  /** The whole page. @param hash without its sign */
  open(hash: string, options?: VisitOptions): Promise<Page>;
}

/** Of all pages of a test: errors and warnings of the console, errors of scripts, and requests that leave the page. */
const complaints: string[] = [];

/**
 * To be called in a suite: opens what it gives before the suite's tests and clears it away after them. A test in which a
 * page complained fails; its pages are closed, whatever became of it.
 */
export function openDesk(): Desk {
  let browser: Browser | undefined;
  let folder: string | undefined;
  before(async function () {
    const opened = await openBrowser();
    if (typeof opened === "string") skipAloud(this, `no browser here (${opened})`);
    browser = opened;
    folder = mkdtempSync(join(tmpdir(), "moge-browser-"));
    for (const path of [wholePage, smallPage]) expect(existsSync(path), `${path}: npm run build first`).to.equal(true);
  });
  afterEach("no page has complained", async () => {
    for (const context of browser?.contexts() ?? []) await context.close();
    expect(complaints.splice(0)).to.deep.equal([]);
  });
  after(async () => {
    await browser?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });
  return {
    get browser() {
      return browser!;
    },
    get folder() {
      return folder!;
    },
    complaints,
    open(hash, options) {
      return visit(browser!, addressOf(wholePage, hash), options);
    },
  };
}

/** @param hash without its sign */
export const addressOf = (path: string, hash: string): string => `${pathToFileURL(path).href}#${hash}`;

/** Returns when the page says that it is ready. */
export async function visit(browser: Browser, url: string, options: VisitOptions = {}): Promise<Page> {
  const { width = 1280, height = 900, ...rest } = options;
  const page = await browser.newPage({ locale: "en-GB", viewport: { width, height }, ...rest });
  page.setDefaultTimeout(LATEST_MILLISECONDS);
  if (slowdown > 1) {
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: slowdown });
  }
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("request", (request) => {
    const isOwn = request.isNavigationRequest() ? /^file:/ : /^(data|blob):/;
    if (!isOwn.test(request.url())) complaints.push(`asks for ${request.url()}`);
  });
  await page.goto(url);
  await page.waitForSelector("html[data-ready]", { state: "attached" });
  return page;
}

/**
 * Reads until what is read is what is expected: a page redraws when it can, not when a test looks.
 * @throws chai's error with the last value read and the one expected
 */
export async function becomes<T>(read: () => Promise<T>, expected: T, what?: string): Promise<void> {
  const began = Date.now();
  let found = await read();
  while (!isDeepStrictEqual(found, expected) && Date.now() - began < LATEST_MILLISECONDS) {
    await pause(BETWEEN_READS_MILLISECONDS);
    found = await read();
  }
  expect(found, what).to.deep.equal(expected);
}

/** Waits for an element of this text; absent: any. */
export const shows = (page: Page, selector: string, text?: string | RegExp): Promise<void> =>
  page
    .locator(selector, text === undefined ? {} : { hasText: text })
    .first()
    .waitFor();

export const button = (page: Page, name: string | RegExp): Locator => page.getByRole("button", { name, exact: true });

/** Text of the file that a press of a button gives. */
export async function saved(page: Page, press: Locator): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), press.click()]);
  return readFileSync(await download.path(), "utf8");
}

/** Drops files on an element, as a pointer would. */
export async function drop(target: Locator, files: Readonly<Record<string, string | number>>): Promise<void> {
  const transfer = await target.page().evaluateHandle((contents) => {
    const made = new DataTransfer();
    for (const [name, content] of Object.entries(contents)) {
      made.items.add(new File([typeof content === "number" ? new Uint8Array(content) : content], name));
    }
    return made;
  }, files);
  await target.dispatchEvent("drop", { dataTransfer: transfer });
}

/** What axe finds wrong with a page as it stands. */
export async function violationsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await (
      globalThis as unknown as {
        axe: { run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] }> };
      }
    ).axe.run();
    return violations.map(
      ({ id, nodes }) => `${id}: ${nodes[0]!.html.slice(0, 160)} ${nodes[0]!.failureSummary ?? ""}`,
    );
  });
}
