/** Runs the variants of a config one after the other: results on disk as they come, checkpoints, interruption and resumption. */
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turnOfEventLoop } from "node:timers/promises";
import { stringify } from "yaml";
import type { ResolvedConfig, Variant } from "../config/resolve.ts";
import type { RunConfig } from "../config/schema.ts";
import type { TimedPart } from "../engine/engine.ts";
import { type OpenedData, openData } from "../host/open-data.ts";
import { openEngine } from "../host/open-engine.ts";
import { type Formats, growingFiles, RunWriter } from "../output/run-writer.ts";
import { DivergenceError, type Simulation, type SimulationState, type Step, simulate } from "../simulate.ts";
import { CHECKPOINT_FILE, type Checkpoint, readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import {
  claimRunDirectory,
  completeRunDirectory,
  isComplete,
  type Replaceable,
  type RunDirectory,
  releaseRunDirectory,
} from "./directory.ts";
import { ERROR_FILE } from "./failure-record.ts";
import { assertHeld, keepAlive } from "./lock.ts";
import { unmark } from "./manifest.ts";
import { planVariant, trainingSteps } from "./plan.ts";
import { probeRouters } from "./probe-routers.ts";
import { programVersion } from "./program-version.ts";
import { writeProvenance } from "./provenance.ts";

export interface RunRequest {
  readonly resolved: ResolvedConfig;
  /** Folder that holds the results of all runs. */
  readonly results: string;
  /** Which existing result may be replaced. */
  readonly replaceable: Replaceable;
  /** Figures and a summary page; the runs of a sweep do without. */
  readonly page: boolean;
  /** Besides CSV. */
  readonly formats?: Formats;
  /** Threads of the engine, whatever the config says: the bits do not depend on them. */
  readonly threads?: number;
  /** Told of every variant where the time of its training steps went, if its engine keeps it. */
  readonly profiled?: (variant: string, parts: readonly TimedPart[], steps: number) => void;
}

/** Told what happens as it happens. */
export interface RunObserver {
  notice(text: string): void;
  /** @param stepsDone steps that an interrupted run had done before, of this and all earlier variants */
  variant(name: string, engine: string, stepsDone: number): void;
  step(variant: string, step: Step): void;
}

export type RunOutcome =
  | { readonly kind: "complete"; readonly directory: string }
  | { readonly kind: "interrupted"; readonly directory: string; readonly variant: string; readonly step: number };

/** Training failed; what was written before stays. */
export class RunFailedError extends Error {
  override readonly name = "RunFailedError";
}

/**
 * @param signal interrupts between two steps: a checkpoint is written and the outcome says so
 * @throws RunRefusedError, DataError before anything is written; RunFailedError when training diverges
 */
export async function run(request: RunRequest, observer: RunObserver, signal: AbortSignal): Promise<RunOutcome> {
  const { resolved, results, replaceable } = request;
  const sources = openEach(resolved.variants);
  const directory = claimRunDirectory(results, resolved.file.name, stringify(resolved.file), replaceable);
  const stopSigns = keepAlive(directory.lock);
  try {
    if (isComplete(directory)) return complete(directory);
    unmark(directory.partial);
    const outcome = await runIn(directory, request, sources, observer, signal);
    if (outcome.kind === "interrupted") releaseRunDirectory(directory);
    return outcome;
  } catch (error) {
    dropIfEmpty(directory);
    releaseRunDirectory(directory);
    throw error;
  } finally {
    stopSigns();
  }
}

/** The data of each variant; those that share it open it once. */
function openEach(variants: readonly Variant[]): OpenedData[] {
  const opened = new Map<string, OpenedData>();
  return variants.map(({ config }) => {
    const key = JSON.stringify([config.data, config.seed, config.model.context]);
    const data = opened.get(key) ?? openData(config, process.cwd());
    opened.set(key, data);
    return data;
  });
}

async function runIn(
  directory: RunDirectory,
  request: RunRequest,
  sources: readonly OpenedData[],
  observer: RunObserver,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const { partial, lock } = directory;
  const { resolved, page, formats = {}, threads, profiled } = request;
  const started = new Date();
  const texts = sources.map(({ fingerprint }) => fingerprint);
  const from = startingPoint(directory, texts, request, observer);
  const engines = { ...from.engines };
  const writer = new RunWriter(partial, resolved.variants, from.positions, formats);
  try {
    for (let v = from.variant; v < resolved.variants.length; v++) {
      const variant = resolved.variants[v]!;
      const checkpoint = (next: number, state?: SimulationState) => {
        assertHeld(lock);
        writeCheckpoint(partial, {
          variant: next,
          ...(state && { state }),
          texts,
          engines,
          positions: writer.positions(),
        });
      };
      const engine = await openEngine(withThreads(variant.config, threads), profiled !== undefined);
      engines[variant.name] = engine.description;
      const state = v === from.variant ? from.state : undefined;
      const before = trainingSteps(resolved.variants.slice(0, v)) + (state?.step ?? 0);
      observer.variant(variant.name, engine.description, before);
      try {
        const simulation = simulate(variant.config, { engine, data: sources[v]!, state });
        const save = () => checkpoint(v, simulation.save());
        const step = await runVariant(variant, simulation, writer, observer, signal, save);
        const steps = (step ?? variant.config.training.steps) - (state?.step ?? 0);
        if (engine.profile) profiled?.(variant.name, engine.profile(), steps);
        if (step !== undefined) return { kind: "interrupted", directory: partial, variant: variant.name, step };
        writer.probe(variant.name, probeRouters(variant.config, engine, sources[v]!));
      } catch (error) {
        if (!(error instanceof DivergenceError)) throw error;
        throw new RunFailedError(
          `variant ${variant.name}, ${error.message}; what was written is in ${partial} (--force drops it for a changed config)`,
        );
      } finally {
        engine.close();
      }
      writer.finishVariant(variant.name, planVariant(variant));
      checkpoint(v + 1);
    }
  } finally {
    writer.close();
  }
  if (page) {
    observer.notice("drawing the figures");
    await (await import("../output/report.ts")).writeReport(partial, resolved);
  }
  if (formats.parquet) await (await import("../output/parquet.ts")).writeParquet(partial);
  writeProvenance(partial, { engines, started, variants: resolved.variants });
  return complete(directory);
}

function complete(directory: RunDirectory): RunOutcome {
  completeRunDirectory(directory, programVersion(), SCAFFOLD);
  return { kind: "complete", directory: directory.final };
}

/** What only an unfinished run needs. */
const SCAFFOLD = [CHECKPOINT_FILE, ERROR_FILE];

const withThreads = (config: RunConfig, threads: number | undefined): RunConfig =>
  threads === undefined ? config : { ...config, engine: { ...config.engine, threads } };

/** Pulls the steps of a variant. @returns the step after which a signal stopped it, or undefined when it is done */
async function runVariant(
  { name, config }: Variant,
  simulation: Simulation,
  writer: RunWriter,
  observer: RunObserver,
  signal: AbortSignal,
  save: () => void,
): Promise<number | undefined> {
  for (const step of simulation) {
    writer.step(name, step);
    observer.step(name, step);
    await turnOfEventLoop(); // signals are heard only here
    if (signal.aborted || step.step % config.record.checkpointEvery === 0) save();
    if (signal.aborted) return step.step;
  }
  return undefined;
}

function startingPoint(
  { partial, resumes }: RunDirectory,
  texts: readonly string[],
  { resolved, formats = {} }: RunRequest,
  observer: RunObserver,
): Checkpoint {
  const beginning: Checkpoint = { variant: 0, texts, engines: {}, positions: {} };
  if (!resumes) return beginning;
  const checkpoint = readCheckpoint(partial);
  if (checkpoint === undefined) return beginning;
  if (typeof checkpoint === "string") {
    observer.notice(`${checkpoint}; starting from the beginning`);
    return beginning;
  }
  if (checkpoint.texts.join() !== texts.join()) {
    observer.notice("the text to train on has changed since the checkpoint; starting from the beginning");
    return beginning;
  }
  const short = Object.entries(checkpoint.positions).find(([file, bytes]) => !hasBytes(join(partial, file), bytes));
  if (short !== undefined) {
    observer.notice(`${join(partial, short[0])} is shorter than its checkpoint says; starting from the beginning`);
    return beginning;
  }
  if (growingFiles(resolved.variants, formats).some((file) => !(file in checkpoint.positions))) {
    observer.notice("other formats are asked for than when the run began; starting from the beginning");
    return beginning;
  }
  observer.notice(`going on from the checkpoint in ${partial}`);
  return checkpoint;
}

const hasBytes = (path: string, bytes: number) => existsSync(path) && statSync(path).size >= bytes;

/** A run that failed before its first step leaves nothing behind, lest it stand in the way of a better one. */
function dropIfEmpty({ partial }: RunDirectory): void {
  const steps = join(partial, "steps.csv");
  const hasSteps = existsSync(steps) && readFileSync(steps, "utf8").split("\n").length > 2;
  if (!hasSteps) rmSync(partial, { recursive: true, force: true });
}
