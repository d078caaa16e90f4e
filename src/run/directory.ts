/**
 * The directory of a run: results grow in `<name>.partial/` and the directory is renamed when the run is complete.
 *
 * Nothing complete is ever overwritten without being told to, and a lock keeps two processes off the same run.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeWhole } from "../host/whole-file.ts";
import { assertHeld, cannotWrite, type Lock, releaseLock, takeLock, withdraw } from "./lock.ts";
import { damageOf, isMarkedComplete, markComplete, sync } from "./manifest.ts";
import { RunRefusedError } from "./refusal.ts";

/** What may give way to a new result: no older one, one that is not whole, or any. */
export type Replaceable = "nothing" | "damaged" | "anything";

export interface RunDirectory {
  /** Where results grow. */
  readonly partial: string;
  /** Where they stand once complete. */
  readonly final: string;
  /** Whether an older result may be replaced. */
  readonly force: boolean;
  /** True if the partial directory holds an interrupted run of the same config. */
  readonly resumes: boolean;
  readonly lock: Lock;
}

/** What the run was asked to do: its resolved config, or the options of an experiment. */
const CONFIG_FILE = "config.yaml";

/**
 * Claims the directory of a run.
 * @param configText the resolved config; a partial run that holds the same is gone on with
 * @param replaceable a partial run of another config gives way where a complete one may
 * @throws RunRefusedError
 */
export function claimRunDirectory(
  results: string,
  name: string,
  configText: string,
  replaceable: Replaceable,
): RunDirectory {
  const final = join(results, name);
  const partial = `${final}.partial`;
  refuseIfComplete(final, mayReplace(final, replaceable));
  makeFolders(partial);
  const lock = takeLock(partial, final);
  try {
    const force = mayReplace(final, replaceable);
    refuseIfComplete(final, force); // it may have become so, or whole again, while we waited
    const before = join(partial, CONFIG_FILE);
    const resumes = existsSync(before) && readFileSync(before, "utf8") === configText;
    if (existsSync(before) && !resumes && !force) {
      throw new RunRefusedError(
        `${partial} holds an unfinished run of another config; pass --force to drop it, or --set name=… to keep both`,
      );
    }
    if (!resumes) writeWhole(before, configText);
    return { partial, final, resumes, force, lock };
  } catch (error) {
    releaseLock(lock);
    withdraw(final, lock.token);
    dropIfEmpty(partial);
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") refuseIfComplete(final, false); // renamed under our hands
    throw code === "ENOSPC" ? cannotWrite(partial, error) : error;
  }
}

/** Another process has completed the run, and nothing is in the folder that was made to wait for it. */
function dropIfEmpty(partial: string): void {
  try {
    rmdirSync(partial);
  } catch {
    // it is not, or gone
  }
}

/** One by one: Node's own recursion never ends where a folder exists in which none can be made, as below /proc. */
export function makeFolders(path: string): void {
  if (existsSync(path)) return;
  makeFolders(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw cannotWrite(path, error); // another process was quicker
  }
}

/**
 * Turns the partial directory into the final one, in place of an older result if `force` says so.
 * @param scaffold files that only an unfinished run needs; they go once the result is marked complete
 * @throws RunRefusedError if another process has completed the run in the meantime; the partial one then stays
 */
export function completeRunDirectory(directory: RunDirectory, version: string, scaffold: readonly string[] = []): void {
  const { partial, final, force, lock } = directory;
  refuseIfComplete(final, force);
  assertHeld(lock);
  if (!isMarkedComplete(partial)) markComplete(partial, version);
  const temporary = readdirSync(partial).filter((name) => name.endsWith(".partial"));
  for (const name of [...scaffold, ...temporary]) rmSync(join(partial, name), { force: true, recursive: true });
  const old = `${final}.replaced`;
  rmSync(old, { recursive: true, force: true });
  if (existsSync(final)) renameSync(final, old);
  // The lock goes first, lest a process killed here leave it in a complete result; whoever takes it now finds the mark.
  releaseLock(lock);
  try {
    renameSync(partial, final); // fails on a directory that is not empty, so it never overwrites
  } catch (error) {
    if (existsSync(partial) || !isMarkedComplete(final)) throw error; // else who took the lock was quicker
  }
  sync(dirname(final));
  // Whoever waited at the door in that moment finds the result, and what it brought is of no use.
  for (const name of readdirSync(final)) {
    if (name === "lock" || name.endsWith(".partial")) rmSync(join(final, name), { force: true });
  }
  rmSync(old, { recursive: true, force: true });
}

/** Whether a process completed the result and died before it could rename it. */
export const isComplete = (directory: RunDirectory): boolean =>
  isMarkedComplete(directory.partial) && damageOf(directory.partial, "content") === undefined;

const mayReplace = (final: string, replaceable: Replaceable): boolean =>
  replaceable === "anything" ||
  (replaceable === "damaged" && existsSync(final) && damageOf(final, "size") !== undefined);

function refuseIfComplete(final: string, force: boolean): void {
  if (!existsSync(final) || force) return;
  throw new RunRefusedError(
    `${final} already holds a result; pass --force to replace it, or --set name=… to keep both`,
  );
}

/** Gives the lock back. The results stay. */
export const releaseRunDirectory = ({ lock }: RunDirectory): void => releaseLock(lock);
