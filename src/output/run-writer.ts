/** Writes the files of a run that grow as its steps come, and goes on byte for byte after an interruption. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Probe } from "../experiment/probe.ts";
import type { Step } from "../simulate.ts";
import { stepTables, type WrittenVariant } from "./columns.ts";
import { CsvFile } from "./csv.ts";
import { probeTables } from "./probe-columns.ts";
import { summaryCells, summaryColumns, type VariantFacts } from "./summary-rows.ts";
import { EventFile, eventFileOf } from "./tensorboard.ts";

type StepFile = keyof typeof stepTables;

/** Bytes of each file at a checkpoint, by file name. */
export type FilePositions = Readonly<Record<string, number>>;

/** What is written besides CSV. */
export interface Formats {
  /** A Parquet file beside each CSV file, once the run is complete. */
  readonly parquet?: boolean;
  /** TensorBoard event files, as steps come. */
  readonly tensorboard?: boolean;
}

/** Names and headers of the CSV files. */
const headers = (variants: readonly WrittenVariant[]): Record<string, readonly string[]> => {
  const probed = variants.some(({ config }) => config.probe !== undefined);
  const tables = Object.entries({ ...stepTables, ...(probed ? probeTables : {}) });
  return {
    ...Object.fromEntries(tables.map(([name, { columns }]) => [name, Object.keys(columns)])),
    "summary.csv": Object.keys(summaryColumns),
  };
};

/** Names of all files that grow. */
export const growingFiles = (variants: readonly WrittenVariant[], { tensorboard }: Formats): string[] => [
  ...Object.keys(headers(variants)),
  ...(tensorboard ? variants.map(({ name }) => eventFileOf(name)) : []),
];

export class RunWriter {
  readonly #variants: ReadonlyMap<string, WrittenVariant>;
  readonly #files: ReadonlyMap<string, CsvFile>;
  readonly #events: ReadonlyMap<string, EventFile>;

  /**
   * Opens the files in a directory, which it makes if need be.
   * @param resumeAt what `positions` gave at the checkpoint that the run goes on from; absent: files start anew
   * @throws Error when a file is shorter than its position
   */
  constructor(
    directory: string,
    variants: readonly WrittenVariant[],
    resumeAt: FilePositions = {},
    { tensorboard = false }: Formats = {},
  ) {
    mkdirSync(directory, { recursive: true });
    this.#variants = new Map(variants.map((variant) => [variant.name, variant]));
    this.#files = new Map(
      Object.entries(headers(variants)).map(([name, header]) => [
        name,
        new CsvFile(join(directory, name), header, resumeAt[name]),
      ]),
    );
    const traced = tensorboard ? variants : [];
    this.#events = new Map(
      traced.map(({ name }) => [name, new EventFile(join(directory, eventFileOf(name)), resumeAt[eventFileOf(name)])]),
    );
  }

  /** Adds the rows of one step. @throws Error for a variant that the writer was not opened with */
  step(variant: string, step: Step): void {
    const written = this.#variants.get(variant);
    if (written === undefined)
      throw new Error(`variant ${variant}: not one of ${[...this.#variants.keys()].join(", ")}`);
    for (const [name, table] of Object.entries(stepTables)) this.#file(name).addRows(table.cells(written, step));
    this.#events.get(variant)?.step(written, step);
  }

  /** Adds what the routers of a variant do with each domain, if that was looked at. */
  probe(variant: string, probe: Probe | undefined): void {
    if (probe === undefined) return;
    for (const [name, table] of Object.entries(probeTables)) this.#file(name).addRows(table.cells(variant, probe));
  }

  /** Adds the variant's row to summary.csv, computed from the files as they are on disk. */
  finishVariant(variant: string, facts: VariantFacts): void {
    const rows = (name: StepFile) =>
      this.#file(name)
        .read()
        .filter((row) => row["variant"] === variant);
    const [steps, layers, validation] = [rows("steps.csv"), rows("layers.csv"), rows("validation.csv")];
    this.#file("summary.csv").addRows([summaryCells({ variant, facts, steps, layers, validation })]);
  }

  /** Waits for the disk. @returns what a resumed run hands to the constructor */
  positions(): FilePositions {
    const events = [...this.#events].map(([variant, file]) => [eventFileOf(variant), file] as const);
    return Object.fromEntries(
      [...this.#files, ...events].map(([name, file]) => {
        file.flush();
        return [name, file.bytes()];
      }),
    );
  }

  close(): void {
    for (const file of [...this.#files.values(), ...this.#events.values()]) file.close();
  }

  #file(name: string): CsvFile {
    return this.#files.get(name)!;
  }
}
