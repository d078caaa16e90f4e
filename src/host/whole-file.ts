/** Writes single files so that they appear whole or not at all. */
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";

/** Beside the path, with the name of this process. What processes that were killed left of the same file goes. */
export function temporaryFor(path: string): string {
  try {
    dropLeftovers(dirname(path), `${basename(path)}.`);
  } catch {
    // a folder that cannot be listed, or is none: whoever writes will say so
  }
  return `${path}.${hostname()}-${process.pid}.partial`;
}

/**
 * Removes what processes of this machine left in a folder that were killed while they wrote.
 * @param start of the names of those that go
 */
export function dropLeftovers(directory: string, start = ""): void {
  const own = `.${hostname()}-`;
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(start)) continue;
    const [, pid] = /^(\d+)\.partial$/.exec(name.slice(name.lastIndexOf(own) + own.length)) ?? [];
    if (name.includes(own) && pid !== undefined && !isRunning(Number(pid)))
      rmSync(join(directory, name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** A pipe or a device, such as /dev/stdout and /dev/null. */
function isStream(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

/**
 * Writes the parts of a file beside the path, waits for the disk, then renames into place. Two processes may do it at
 * once. What is no file is written to: to rename over it would put /dev/null itself out of the way, where one may.
 */
export function writeWhole(path: string, ...content: readonly (string | NodeJS.ArrayBufferView)[]): void {
  if (isStream(path)) {
    writeParts(path, content);
    return;
  }
  const temporary = temporaryFor(path);
  try {
    writeSynced(temporary, ...content);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw Object.assign(error as NodeJS.ErrnoException, { path }); // the name that was asked for
  }
}

/** Returns once the file is on the disk. */
export function writeSynced(path: string, ...content: readonly (string | NodeJS.ArrayBufferView)[]): void {
  writeParts(path, content, fsyncSync);
}

function writeParts(
  path: string,
  content: readonly (string | NodeJS.ArrayBufferView)[],
  finish?: (descriptor: number) => void,
): void {
  const descriptor = openSync(path, "w");
  try {
    for (const part of content) writeFileSync(descriptor, part);
    finish?.(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Returns once what was written to the file by others is on the disk. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, "r+");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
