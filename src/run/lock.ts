/**
 * The lock that keeps two processes off one run: a file with its holder's name, made at once with its content by an
 * exclusive link. A holder that is no more, on this machine or by the word of Slurm, loses it; one of another machine
 * loses it when it has given no sign of life for a while. Whoever holds it asks before each checkpoint whether it still does.
 */
import { randomUUID } from "node:crypto";
import { linkSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { RunRefusedError } from "./refusal.ts";

export interface Lock {
  readonly path: string;
  readonly token: string;
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Start of the process in clock ticks since boot, where the system tells: process numbers come again. */
  readonly born?: string | undefined;
  /** The Slurm task that it runs as, and how often that was restarted. */
  readonly task?: string | undefined;
  readonly restarts?: number | undefined;
  readonly token?: string;
}

/** Without a sign of life for so long, a holder on another machine counts as dead. */
const PATIENCE_MILLISECONDS = 10 * 60_000;
const SIGN_OF_LIFE_MILLISECONDS = 30_000;

export const lockFile = (directory: string): string => join(directory, "lock");

/** Held while a dead process's lock is cleared away; by its name no result has it, though its holder be killed. */
export const clearingFile = (directory: string): string => `${lockFile(directory)}.clearing.partial`;

/**
 * @param final what the directory is renamed to when its run is complete
 * @throws RunRefusedError if another process holds the lock, or the directory cannot be written
 */
export function takeLock(directory: string, final: string): Lock {
  const token = randomUUID();
  try {
    return takeWith(directory, token);
  } catch (error) {
    withdraw(final, token);
    throw error;
  }
}

function takeWith(directory: string, token: string): Lock {
  const path = lockFile(directory);
  if (createExclusive(path, token)) return { path, token };
  const holder = readHolder(path);
  if (holder !== undefined && isAlive(holder, path)) throw held(directory, holder);
  // One process at a time may clear a dead one's lock, or a second would clear the first one's new lock.
  const clearing = clearingFile(directory);
  if (!createExclusive(clearing, token)) {
    const clearer = readHolder(clearing);
    if (clearer !== undefined && !isAlive(clearer, clearing)) rmSync(clearing, { force: true }); // for the next attempt
    throw held(directory, clearer);
  }
  try {
    const still = readHolder(path);
    if (still !== undefined && !isAlive(still, path)) rmSync(path, { force: true });
    if (!createExclusive(path, token)) throw held(directory, readHolder(path));
    return { path, token };
  } finally {
    rmSync(clearing, { force: true });
  }
}

/**
 * Takes back what a process that was refused has left in a complete result: a folder may be renamed between the moment
 * in which the system finds it and that in which it makes a file there.
 */
export function withdraw(final: string, token: string): void {
  for (const path of [lockFile(final), clearingFile(final)]) {
    rmSync(filledFor(path, token), { force: true });
    releaseLock({ path, token });
  }
}

/** @throws RunRefusedError if another process has taken the lock in the meantime */
export function assertHeld({ path, token }: Lock): void {
  if (readHolder(path)?.token === token) return;
  throw new RunRefusedError(`${path} was taken by another process, which goes on with the run`, "held");
}

/** Gives the lock back, unless another process has it by now. */
export function releaseLock({ path, token }: Lock): void {
  if (readHolder(path)?.token === token) rmSync(path, { force: true });
}

/** Lets other machines see that this process lives. @returns ends it */
export function keepAlive({ path }: Lock): () => void {
  const timer = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // gone: assertHeld will say so
    }
  }, SIGN_OF_LIFE_MILLISECONDS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Whether a living process holds the lock of a directory. */
export function isLocked(directory: string): boolean {
  const path = lockFile(directory);
  const holder = readHolder(path);
  return holder !== undefined && (isAlive(holder, path) || isOurs(holder));
}

const isOurs = ({ pid, host }: Holder) => pid === process.pid && host === hostname();

/**
 * Creates a file with this process's name in it, at once with its content.
 * @returns false if it is there already, or the folder has just gone, for another process completed what is in it
 */
function createExclusive(path: string, token: string): boolean {
  const filled = filledFor(path, token);
  const { SLURM_ARRAY_JOB_ID: job, SLURM_ARRAY_TASK_ID: index, SLURM_RESTART_COUNT: restarts } = process.env;
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    born: bornAt(process.pid),
    ...(job !== undefined && { task: `${job}_${index}`, restarts: Number(restarts ?? 0) }),
    token,
  };
  try {
    writeFileSync(filled, JSON.stringify(holder));
    linkSync(filled, path);
    return true;
  } catch (error) {
    if (["EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw cannotWrite(path, error);
  } finally {
    rmSync(filled, { force: true });
  }
}

/** A lock file before it has its name. */
const filledFor = (path: string, token: string): string => `${path}.${token}.partial`;

function held(directory: string, holder: Holder | undefined): RunRefusedError {
  const by = holder === undefined ? "another process" : `process ${holder.pid} on ${holder.host}`;
  return new RunRefusedError(
    `${directory} is being written by ${by}; wait for it or end it (if none is running, remove ${lockFile(directory)})`,
    "held",
  );
}

/** @returns undefined if there is no such file */
function readHolder(path: string): Holder | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return NOBODY;
  }
}

/** Of a lock in which nothing can be read: the machine went down before it was on the disk. */
const NOBODY: Holder = { pid: 0, host: hostname() };

function isAlive({ pid, host, born, task, restarts = 0 }: Holder, path: string): boolean {
  const { SLURM_ARRAY_JOB_ID: job, SLURM_ARRAY_TASK_ID: index, SLURM_RESTART_COUNT: ours } = process.env;
  if (task !== undefined && task === `${job}_${index}` && Number(ours ?? 0) > restarts) return false; // Slurm restarted it as us
  if (host !== hostname()) return ageOf(path) < PATIENCE_MILLISECONDS;
  if (pid === process.pid || pid === NOBODY.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  const bornNow = bornAt(pid);
  return born === undefined || bornNow === undefined || born === bornNow;
}

function ageOf(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** Field 22 of /proc/PID/stat; undefined on systems without. A process that only waits to be buried was born never. */
function bornAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "never" : fields[19];
  } catch {
    return undefined;
  }
}

export function cannotWrite(path: string, error: unknown): RunRefusedError {
  const { code, message } = error as NodeJS.ErrnoException;
  const advice =
    code === "ENOSPC" ? "free some space and give the same command again" : "choose another folder with --results";
  return new RunRefusedError(`${path} cannot be written (${code ?? message}); ${advice}`);
}
