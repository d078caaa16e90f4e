/** What an experiment is: one question, the tables that answer it and the claims that the tables must bear out. */
import type { Tree } from "../config/layers.ts";

/** Column → value; every row of a table has the same columns, in the same order. An undefined cell stays empty. */
export type Row = Readonly<Record<string, number | string | undefined>>;

export type Tables = Readonly<Record<string, readonly Row[]>>;

export interface Claim<T extends Tables = Tables> {
  /** One sentence with its numbers, true or false. */
  readonly text: string;
  holds(tables: T): boolean;
  /** What was found, in a few words with its numbers. */
  found?(tables: T): string;
}

interface Question<T extends Tables> {
  /** The file's name, and that of its folder under results. */
  readonly name: string;
  readonly title: string;
  readonly question: string;
  /** How it was designed, and what the figures do not say; a paragraph each. */
  readonly method?: readonly string[];
  readonly claims: readonly Claim<T>[];
}

/** Worked out in one go, from a few numbers. @typeParam Returned a promise of the tables where models are trained first */
export interface Experiment<Options, T extends Tables, Returned = T> extends Question<T> {
  readonly defaults: Options;
  /** For `--quick`, the size that the tests run. */
  readonly quick?: Partial<Options>;
  /** Pure: the same options give the same tables, to the bit. */
  run(options: Options): Returned;
}

/** A quantity over the steps of training, from one of the runs' files. */
export interface Curve {
  readonly name: string;
  readonly file: "steps.csv" | "layers.csv";
  readonly column: string;
}

/** What the runs of a sweep come to. `settings` are the columns of what is varied, but for the seed. */
export interface TrainedTables extends Tables {
  /** One row a run: settings, seed, figures. */
  readonly runs: readonly Row[];
  /** Settings, column, mean, low, high, runs: over the seeds, with 95 % bootstrap intervals. */
  readonly means: readonly Row[];
  /** Settings, curve, layer, step, mean, low, high, runs. */
  readonly curves: readonly Row[];
  /** Settings, layer, domain and what the probe found, means over the seeds; none without a probe. */
  readonly domains: readonly Row[];
  /** The same of each run, with its run and seed; none unless the experiment asks for them. */
  readonly probes: readonly Row[];
  /** Settings, layer, domain, expert, share of the domain's assignments that the expert gets; of the first seed. */
  readonly experts: readonly Row[];
  /** Settings, layer, block, other, over_even: pairs of chosen experts by blocks of neighbours, over an even spread; of the first seed. */
  readonly pairs: readonly Row[];
}

/** Before anything has run. */
export const noTables: TrainedTables = {
  runs: [],
  means: [],
  curves: [],
  domains: [],
  probes: [],
  experts: [],
  pairs: [],
};

/** Trained: a sweep, so each run has an id, and what was interrupted goes on. */
export interface TrainedExperiment extends Question<TrainedTables> {
  /** As in a sweep's file, its name and description apart. */
  readonly sweep: Tree;
  /** For `--quick`: what it changes of all runs, and how many seeds. */
  readonly quick: { readonly set: Tree; readonly seeds: number };
  readonly curves: readonly Curve[];
  /** Columns of runs.csv that means.csv compares. */
  readonly compared: readonly string[];
  /** Whether claims or figures are about single domains with their intervals, so that each run's are wanted. */
  readonly probes?: boolean;
}
