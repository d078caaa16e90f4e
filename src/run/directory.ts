/**
 * The directory of a run: results grow in `<name>.partial/` and the directory is renamed when the run is complete.
 *
 * Nothing complete is ever overwritten without being told to, and a lock keeps two processes off the same run.
 */
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { writeWhole } from "../host/whole-file.ts";

/** The run cannot start as asked. The message is one line that says what to do. */
export class RunRefusedError extends Error {
  override readonly name = "RunRefusedError";
}

export interface RunDirectory {
  /** Where results grow. */
  readonly partial: string;
  /** Where they stand once complete. */
  readonly final: string;
  /** Whether an older result may be replaced. */
  readonly force: boolean;
  /** True if the partial directory holds an interrupted run of the same config. */
  readonly resumes: boolean;
}

/** What the run was asked to do: its resolved config, or the options of an experiment. */
const CONFIG_FILE = "config.yaml";

/**
 * Claims the directory of a run.
 * @param configText the resolved config; a partial run that holds the same is gone on with
 * @param force replace a complete result, or a partial one of another config
 * @throws RunRefusedError
 */
export function claimRunDirectory(results: string, name: string, configText: string, force: boolean): RunDirectory {
  const final = join(results, name);
  const partial = `${final}.partial`;
  refuseIfComplete(final, force);
  try {
    makeFolders(partial);
  } catch (error) {
    throw cannotWrite(partial, error);
  }
  lock(partial);
  try {
    const before = join(partial, CONFIG_FILE);
    const resumes = existsSync(before) && readFileSync(before, "utf8") === configText;
    if (existsSync(before) && !resumes && !force) {
      throw new RunRefusedError(
        `${partial} holds an unfinished run of another config; pass --force to drop it, or --set name=… to keep both`,
      );
    }
    if (!resumes) writeWhole(before, configText);
    return { partial, final, resumes, force };
  } catch (error) {
    releaseRunDirectory(partial);
    throw error;
  }
}

/** One by one: Node's own recursion never ends where a folder exists in which none can be made, as below /proc. */
function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // another process was quicker
  }
}

/**
 * Turns the partial directory into the final one, in place of an older result if `force` says so.
 * @throws RunRefusedError if another process has completed the run in the meantime; the partial one then stays
 */
export function completeRunDirectory({ partial, final, force }: RunDirectory): void {
  refuseIfComplete(final, force);
  const old = `${final}.replaced`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(final)) renameSync(final, old);
  renameSync(partial, final); // fails on a directory that is not empty, so it never overwrites
  releaseRunDirectory(final);
  rmSync(old, { recursive: true, force: true });
}

function refuseIfComplete(final: string, force: boolean): void {
  if (!existsSync(final) || force) return;
  throw new RunRefusedError(
    `${final} already holds a result; pass --force to replace it, or --set name=… to keep both`,
  );
}

/** Gives the lock back. The results stay. */
export function releaseRunDirectory(directory: string): void {
  rmSync(lockFile(directory), { force: true });
}

const lockFile = (directory: string) => join(directory, "lock");

/** Takes the lock, from a process that is no more if need be. */
function lock(partial: string): void {
  const path = lockFile(partial);
  if (createExclusive(path)) return;
  const holder = readHolder(path);
  if (holder !== undefined && isAlive(holder)) throw held(partial, holder);
  // One process at a time may clear a dead one's lock, or a second would clear the first one's new lock.
  const clearing = `${path}.clearing`;
  if (!createExclusive(clearing)) throw held(partial, readHolder(clearing));
  try {
    const still = readHolder(path);
    if (still === undefined || !isAlive(still)) rmSync(path, { force: true });
    if (!createExclusive(path)) throw held(partial, readHolder(path));
  } finally {
    rmSync(clearing, { force: true });
  }
}

/** Creates a file with this process's name in it, at once with its content. @returns false if it is there already */
function createExclusive(path: string): boolean {
  const filled = `${path}.${process.pid}`;
  try {
    writeFileSync(filled, JSON.stringify({ pid: process.pid, host: hostname() }));
    linkSync(filled, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw cannotWrite(path, error);
  } finally {
    rmSync(filled, { force: true });
  }
}

function held(partial: string, holder: Holder | undefined): RunRefusedError {
  const by = holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host}`;
  return new RunRefusedError(
    `${partial} is being written by ${by}; wait for it or end it (if none is running, remove ${lockFile(partial)})`,
  );
}

interface Holder {
  readonly pid: number;
  readonly host: string;
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined; // gone, or its writer died before it wrote
  }
}

/** A process of another machine cannot be asked and counts as alive. */
function isAlive({ pid, host }: Holder): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function cannotWrite(path: string, error: unknown): RunRefusedError {
  const { code, message } = error as NodeJS.ErrnoException;
  return new RunRefusedError(`${path} cannot be written (${code ?? message}); choose another folder with --results`);
}
