/** The built page, and copies of it with a run inside. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { packageDirectory } from "./package-directory.ts";

/** What the page looks for: a run's text files by name. */
export interface EmbeddedRun {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
}

const kinds = [".csv", ".yaml"];

/** Browsers take longer than a reader waits for what is larger. */
const MOST_BYTES = 40_000_000;

/** Where `npm run page` puts the page; it may not be there. */
export function pagePath(lite: boolean): string {
  return join(packageDirectory(), "dist", "page", lite ? "moge-lite.html" : "moge.html");
}

/** The text files of a result's own folder. @throws Error, one line, when there is none or they are too large */
export function readRun(directory: string): EmbeddedRun {
  let names: string[];
  try {
    names = readdirSync(directory).filter((name) => kinds.some((kind) => name.endsWith(kind)));
  } catch (error) {
    throw new Error(`${directory}: cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (!names.some((name) => name.endsWith(".csv"))) {
    throw new Error(`${directory}: holds no CSV files; expected the folder of a run, sweep or experiment`);
  }
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(directory, name), "utf8")]));
  const bytes = Object.values(files).reduce((sum, text) => sum + text.length, 0);
  if (bytes > MOST_BYTES) {
    throw new Error(
      `${directory}: its files are ${Math.round(bytes / 1e6)} MB together, a page holds ${MOST_BYTES / 1e6}`,
    );
  }
  return { name: basename(resolve(directory)), files };
}

/** The page with a run in it. @param html as `npm run page` built it */
export function withRun(html: string, run: EmbeddedRun): string {
  const json = JSON.stringify(run).replaceAll("<", "\\u003c"); // no end tag can come of it
  const script = `<script type="application/json" id="embedded-run">${json}</script>`;
  return html.replace("<!-- embedded run -->", () => script);
}
