/** One run of a sweep, carried out where it is due: the command that every executor comes down to. */
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Origins } from "../config/layers.ts";
import type { RunConfig } from "../config/schema.ts";
import type { TaskFailure } from "../host/executors/local.ts";
import type { Formats } from "../output/run-writer.ts";
import { forgetFailure, recordFailure } from "./failure-record.ts";
import { isLocked } from "./lock.ts";
import { damageOf } from "./manifest.ts";
import { RunRefusedError } from "./refusal.ts";
import { type RunObserver, run } from "./runner.ts";
import { type PlannedRun, plannedConfig, type SweepPlan } from "./sweep-plan.ts";

export interface RunPlace {
  /** Folder of the sweep. */
  readonly directory: string;
  readonly plan: SweepPlan;
  readonly planned: PlannedRun;
}

export interface CarryOutOptions {
  readonly formats: Formats;
  readonly threads?: number | undefined;
  /** Do it again though it is done. */
  readonly force?: boolean;
}

export type CarryOutResult =
  | { readonly kind: "done" | "interrupted" | "held" }
  | { readonly kind: "failed"; readonly failure: TaskFailure };

export const runsFolder = (directory: string): string => join(directory, "runs");

/** Does nothing when the result is there and whole. Failures are results too: nothing is thrown. */
export async function carryOut(
  { directory, plan, planned }: RunPlace,
  { formats, threads, force = false }: CarryOutOptions,
  observer: Pick<RunObserver, "notice" | "step">,
  signal: AbortSignal,
): Promise<CarryOutResult> {
  const final = join(runsFolder(directory), planned.id);
  const partial = `${final}.partial`;
  const damage = existsSync(final) ? damageOf(final, "size") : undefined;
  if (existsSync(final) && damage === undefined && !force) return { kind: "done" };
  const log = logIn(partial);
  const notice = (text: string) => {
    log(text);
    observer.notice(text);
  };
  try {
    if (damage !== undefined) observer.notice(`${final} is not whole (${damage}); it is run again`);
    const config = plannedConfig(plan, planned);
    forgetFailure(partial);
    const outcome = await run(
      {
        resolved: asResolved(config, originsOf(plan, planned)),
        results: runsFolder(directory),
        replaceable: force ? "anything" : "damaged",
        page: false,
        formats,
        ...(threads !== undefined && { threads }),
      },
      { ...observer, notice, variant: (_, engine, done) => log(`${engine}, from step ${done}`) },
      signal,
    );
    if (outcome.kind === "interrupted") log(`interrupted after step ${outcome.step}`);
    return { kind: outcome.kind === "complete" ? "done" : "interrupted" };
  } catch (error) {
    // Another process may have completed it while this one was at its door.
    if (existsSync(final) && damageOf(final, "size") === undefined && !force) return { kind: "done" };
    if (error instanceof RunRefusedError && error.reason === "held") return { kind: "held" };
    const failure = failureOf(error);
    noteFailure(directory, planned.id, failure, 1);
    return { kind: "failed", failure };
  }
}

/**
 * Leaves error.json and a line in the log of a run that failed, in the folder of what it had written; unless another
 * process is at it by now, or has completed it.
 */
export function noteFailure(directory: string, id: string, failure: TaskFailure, attempts: number): void {
  const final = join(runsFolder(directory), id);
  const partial = `${final}.partial`;
  if (existsSync(final) || isLocked(partial)) return;
  try {
    mkdirSync(partial, { recursive: true });
  } catch {
    return;
  }
  logIn(partial)(`${failure.kind}: ${failure.message}`);
  const { kind, message, stack } = failure;
  recordFailure(partial, { kind, message, attempts, stack });
}

/** Errors that another attempt would meet again: of the config, of the data, of training itself. */
const CERTAIN = new Set(["ConfigError", "DataError", "ModelTooLargeError", "RunRefusedError", "RunFailedError"]);

function failureOf(error: unknown): TaskFailure {
  const { name, message, code, stack } = error as NodeJS.ErrnoException;
  const line = message.split("\n").join("; ");
  const isDisk = code === "ENOSPC" || code === "EDQUOT" || /\((ENOSPC|EDQUOT)\)/.test(message);
  if (isDisk) return { kind: "disk", message: `the disk is full (${line})` };
  if (/memory/i.test(message) && name === "RangeError") return { kind: "out-of-memory", message: line };
  return { kind: "failed", message: line, certain: CERTAIN.has(name), stack: CERTAIN.has(name) ? undefined : stack };
}

/** As if the config had been read from a file: one variant, named like the run. */
const asResolved = (config: RunConfig, origins: Origins) => ({
  file: config,
  origins,
  variants: [{ name: config.name, config, origins }],
});

/** Where each value of a run was written; what is not there is a default. */
export function originsOf({ origins }: SweepPlan, { variant, set }: PlannedRun): Origins {
  const varied = Object.keys(set).map((key) => [key, origins.varied[key] ?? "sweep.json"] as const);
  return new Map([
    ...Object.entries(origins.base),
    ...Object.entries(origins.variants[variant] ?? {}),
    ...varied,
    ["seed", "seeds of the sweep"],
    ["name", "id of the run"],
  ]);
}

/** Best effort: a log is no reason to fail. */
const logIn =
  (partial: string) =>
  (text: string): void => {
    try {
      appendFileSync(join(partial, "log.txt"), `${new Date().toISOString()} ${text}\n`);
    } catch {
      // not there yet, or no room
    }
  };
