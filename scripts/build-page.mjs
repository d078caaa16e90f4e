/**
 * Builds the page, dist/page/moge.html: one file that needs nothing else, or with --lite dist/page/moge-lite.html,
 * without training. Its security policy names its script and its style by their hashes, so nothing else runs in it.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { licences } from "./page-licences.mjs";
import { packagedTraining } from "./page-training.mjs";
import { smallPage } from "./small-page.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const isLite = process.argv.includes("--lite");

/** @type {import("esbuild").BuildOptions} */
const common = {
  absWorkingDir: root,
  bundle: true,
  write: false,
  minify: true,
  legalComments: "none",
  platform: "browser",
  target: ["chrome123", "firefox120", "safari17.5"],
  tsconfig: "src/web/tsconfig.json",
  alias: { "csv-stringify/sync": "csv-stringify/browser/esm/sync" },
  logLevel: "warning",
};

async function bundled(entry, options) {
  const { outputFiles } = await build({
    ...common,
    entryPoints: [entry],
    plugins: [isLite ? smallPage : packagedTraining],
    ...options,
  });
  return outputFiles[0].text.trim();
}

const script = (await bundled(`src/web/${isLite ? "lite" : "main"}.tsx`, { format: "esm" })).replaceAll(
  "</script",
  "<\\/script",
);
const style = await bundled(`src/web/style/${isLite ? "lite" : "page"}.css`, {});
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)} 'wasm-unsafe-eval'`,
  `style-src ${hash(style)}`,
  "img-src data: blob:",
  "worker-src blob:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

const parts = { policy, style, script };
const page = readFileSync(`${root}/src/web/page.html`, "utf8").replace(
  /%(policy|style|script)%/g,
  (_, name) => parts[name],
);
const html = page + licences(root, isLite);
const path = `dist/page/${isLite ? "moge-lite" : "moge"}.html`;
mkdirSync(`${root}/dist/page`, { recursive: true });
writeFileSync(`${root}/${path}`, html);
console.log(
  `${path}: ${(html.length / 1000).toFixed(0)} kB, ${(gzipSync(html, { level: 9 }).length / 1000).toFixed(1)} kB gzipped`,
);
