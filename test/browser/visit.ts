/** A visit to a page in a browser, with everything that went wrong on it and everything it asked a network for. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Browser, Page } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export interface Visit {
  readonly page: Page;
  readonly complaints: string[];
}

export interface VisitOptions {
  readonly colorScheme?: "light" | "dark";
  readonly reducedMotion?: "reduce" | "no-preference";
  readonly width?: number;
  readonly height?: number;
  readonly locale?: string;
}

/** Returns when the page says that it is ready. */
export async function visit(browser: Browser, url: string, options: VisitOptions = {}): Promise<Visit> {
  const {
    width = 1100,
    height = 900,
    colorScheme = "light",
    reducedMotion = "no-preference",
    locale = "en-GB",
  } = options;
  const page = await browser.newPage({ colorScheme, reducedMotion, locale, viewport: { width, height } });
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("request", (request) => !/^(file|data|blob):/.test(request.url()) && complaints.push(request.url()));
  await page.goto(url);
  await page.waitForSelector("html[data-ready]", { state: "attached" });
  return { page, complaints };
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
