/** Where and when a result was made: the only result file that differs between machines. */
import { arch, availableParallelism, cpus, platform } from "node:os";
import { join } from "node:path";
import type { Variant } from "../config/resolve.ts";
import { writeWhole } from "../host/whole-file.ts";
import { programVersion } from "./program-version.ts";

export const PROVENANCE_FILE = "provenance.json";

export interface Provenance {
  /** Engine of each variant, by its own description. */
  readonly engines: Readonly<Record<string, string>>;
  readonly started: Date;
  readonly variants: readonly Variant[];
}

export function writeProvenance(directory: string, { engines, started, variants }: Provenance): void {
  const content = {
    moge: programVersion(),
    node: process.version,
    platform: `${platform()} ${arch()}`,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    engines,
    started: started.toISOString(),
    origins: Object.fromEntries(variants.map(({ name, origins }) => [name, Object.fromEntries(origins)])),
    seconds: Math.round((Date.now() - started.getTime()) / 100) / 10,
  };
  writeWhole(join(directory, PROVENANCE_FILE), `${JSON.stringify(content, null, 2)}\n`);
}
