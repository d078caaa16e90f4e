/** `complete.json`: the mark that a result is whole, with the size and hash of each of its files. */
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { writeSynced } from "../host/whole-file.ts";

const MANIFEST = "complete.json";
const FORMAT = 1;

/** Files of a run that tell of its making, and differ from one to the next. */
export const unstableFiles: readonly string[] = [MANIFEST, "provenance.json", "log.txt", "lock", "error.json"];

interface Manifest {
  readonly format: number;
  readonly moge: string;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

export const isMarkedComplete = (directory: string): boolean => existsSync(join(directory, MANIFEST));

/** Takes the mark from a directory that turned out not to be whole. */
export const unmark = (directory: string): void => rmSync(join(directory, MANIFEST), { force: true });

/** Marks a directory complete once all of its files are on the disk. Only one process can. */
export function markComplete(directory: string, version: string): void {
  const files = stableFilesIn(directory).map((name) => {
    const path = join(directory, name);
    sync(path);
    const content = readFileSync(path);
    return [name, { bytes: content.length, sha256: createHash("sha256").update(content).digest("hex") }] as const;
  });
  const manifest: Manifest = { format: FORMAT, moge: version, files: Object.fromEntries(files) };
  const temporary = join(directory, `${MANIFEST}.${process.pid}.partial`);
  writeSynced(temporary, `${JSON.stringify(manifest, null, 1)}\n`);
  linkSync(temporary, join(directory, MANIFEST));
  rmSync(temporary);
  sync(directory);
}

/** Names of the files whose bytes only config and seed decide, in folders too, "/" between the parts. */
export function stableFilesIn(directory: string, below = ""): string[] {
  return readdirSync(join(directory, below), { withFileTypes: true })
    .flatMap((entry) => {
      const name = `${below}${entry.name}`;
      if (entry.isDirectory()) return stableFilesIn(directory, `${name}/`);
      return unstableFiles.includes(name) || /^checkpoint|\.partial$/.test(entry.name) ? [] : [name];
    })
    .sort();
}

/**
 * What is wrong with a complete result, in a sentence that names the file; undefined if nothing is.
 * @param how `size` looks at the files' sizes alone, `content` at every byte
 */
export function damageOf(directory: string, how: "size" | "content"): string | undefined {
  let manifest: Partial<Manifest>;
  try {
    manifest = JSON.parse(readFileSync(join(directory, MANIFEST), "utf8")) as Partial<Manifest>;
  } catch {
    return existsSync(join(directory, MANIFEST)) ? `${MANIFEST} is damaged` : `${MANIFEST} is missing`;
  }
  if (manifest.format !== FORMAT) return `it was written by another version, moge ${manifest.moge ?? "unknown"}`;
  for (const [name, { bytes, sha256 }] of Object.entries(manifest.files ?? {})) {
    const path = join(directory, name);
    const size = statSync(path, { throwIfNoEntry: false })?.size;
    if (size === undefined) return `${name} is missing`;
    if (size !== bytes) return `${name} has ${size} bytes instead of ${bytes}`;
    if (how === "content" && createHash("sha256").update(readFileSync(path)).digest("hex") !== sha256) {
      return `${name} has other bytes than were written`;
    }
  }
  return undefined;
}

/** Waits until a file, or the names in a directory, are on the disk. */
export function sync(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw error; // some file systems cannot sync a directory
  } finally {
    closeSync(descriptor);
  }
}
