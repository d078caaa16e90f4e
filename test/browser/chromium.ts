/** A real browser: an installed Chrome or Chromium, or the one inside the npm package @sparticuz/chromium. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";

const names = ["google-chrome", "google-chrome-stable", "chromium", "chromium-browser"];

/** In one process a closed page takes the browser with it; a GPU played by the processor draws slower than none. */
const UNFIT =
  /^--(single-process|no-zygote|in-process-gpu|ignore-gpu-blocklist|use-gl=|use-angle=|enable-unsafe-swift)/;

/** @returns a browser, or why there is none */
export async function openBrowser(): Promise<Browser | string> {
  const folders = (process.env["PATH"] ?? "").split(":");
  const installed = folders
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
  const attempts = [
    ...(installed === undefined
      ? []
      : [async () => ({ executablePath: installed, args: ["--no-sandbox", "--disable-gpu"] })]),
    async () => {
      const { default: packaged } = await import("@sparticuz/chromium");
      return {
        executablePath: await packaged.executablePath(),
        args: [...packaged.args.filter((flag) => !UNFIT.test(flag)), "--disable-gpu"],
      };
    },
  ];
  const reasons: string[] = [];
  for (const attempt of attempts) {
    try {
      return await chromium.launch({ ...(await attempt()), headless: true });
    } catch (error) {
      reasons.push((error as Error).message.split("\n")[0]!);
    }
  }
  return reasons.join("; ");
}
