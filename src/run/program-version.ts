/** The version of this program, as its package says. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDirectory } from "../host/package-directory.ts";

let version: string | undefined;

export function programVersion(): string {
  version ??= (JSON.parse(readFileSync(join(packageDirectory(), "package.json"), "utf8")) as { version: string })
    .version;
  return version;
}
