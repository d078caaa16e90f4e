/** The built page in a real browser, opened from its file, with everything it should not do written down. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, Locator, Page } from "playwright-core";

const built = join(import.meta.dirname, "../../dist/page/moge.html");

export interface Visit {
  readonly page: Page;
  /** Errors of the console and of scripts, and requests that leave the page. */
  readonly complaints: readonly string[];
}

export async function visit(browser: Browser, hash: string, width = 1280): Promise<Visit> {
  if (!existsSync(built)) throw new Error("the page is not built: run npm run build");
  const page = await browser.newPage({ viewport: { width, height: 900 }, bypassCSP: false });
  const complaints: string[] = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.isNavigationRequest() && !/^(blob|data):/.test(request.url()))
      complaints.push(`asks for ${request.url()}`);
  });
  await page.goto(`${pathToFileURL(built).href}#lang=en&${hash}`);
  await page.locator("html[data-ready]").waitFor();
  return { page, complaints };
}

export const button = (page: Page, name: string): Locator => page.getByRole("button", { name, exact: true });

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
