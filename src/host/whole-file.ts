/** Writes single files so that they appear whole or not at all. */
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";

/** Writes beside the path, waits for the disk, then renames into place. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.partial`;
  const descriptor = openSync(temporary, "w");
  try {
    writeFileSync(descriptor, content);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(temporary, path);
}
