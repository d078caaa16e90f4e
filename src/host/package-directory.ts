/** Where this package lies: its data files and wasm modules are found from here, run from source or from `dist/`. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The nearest folder above this file whose package.json is moge's. */
export function packageDirectory(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    const manifest = join(at, "package.json");
    if (existsSync(manifest) && (JSON.parse(readFileSync(manifest, "utf8")) as { name?: string }).name === "moge")
      return at;
    if (at === dirname(at))
      throw new Error("the package moge is incomplete: its package.json is missing; install it again");
  }
}
