/** Where and when a result was made: the only result file that differs between machines. */
import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, platform } from "node:os";
import { join } from "node:path";
import { packageDirectory } from "../host/package-directory.ts";
import { writeWhole } from "../host/whole-file.ts";

export interface Provenance {
  /** Engine of each variant, by its own description. */
  readonly engines: Readonly<Record<string, string>>;
  readonly started: Date;
}

export function writeProvenance(directory: string, { engines, started }: Provenance): void {
  const { name, version } = JSON.parse(readFileSync(join(packageDirectory(), "package.json"), "utf8")) as {
    name: string;
    version: string;
  };
  const content = {
    [name]: version,
    node: process.version,
    platform: `${platform()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    engines,
    started: started.toISOString(),
    seconds: Math.round((Date.now() - started.getTime()) / 100) / 10,
  };
  writeWhole(join(directory, "provenance.json"), `${JSON.stringify(content, null, 2)}\n`);
}
