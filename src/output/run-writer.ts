/** Writes the CSV files of a run as its steps come, and goes on byte for byte after an interruption. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Step } from "../simulate.ts";
import { stepTables, type WrittenVariant } from "./columns.ts";
import { CsvFile } from "./csv.ts";
import { summaryCells, summaryColumns, type VariantFacts } from "./summary-rows.ts";

type StepFile = keyof typeof stepTables;

/** Bytes of each file at a checkpoint, by file name. */
export type FilePositions = Readonly<Record<string, number>>;

export class RunWriter {
  readonly #variants: ReadonlyMap<string, WrittenVariant>;
  readonly #files: ReadonlyMap<string, CsvFile>;

  /**
   * Opens the CSV files in a directory, which it makes if need be.
   * @param resumeAt what `positions` gave at the checkpoint that the run goes on from; absent: files start anew
   * @throws Error when a file is shorter than its position
   */
  constructor(directory: string, variants: readonly WrittenVariant[], resumeAt: FilePositions = {}) {
    mkdirSync(directory, { recursive: true });
    this.#variants = new Map(variants.map((variant) => [variant.name, variant]));
    const headers = Object.entries(stepTables).map(([name, table]) => [name, Object.keys(table.columns)] as const);
    this.#files = new Map(
      [...headers, ["summary.csv", Object.keys(summaryColumns)] as const].map(([name, header]) => [
        name,
        new CsvFile(join(directory, name), header, resumeAt[name]),
      ]),
    );
  }

  /** Adds the rows of one step. @throws Error for a variant that the writer was not opened with */
  step(variant: string, step: Step): void {
    const written = this.#variants.get(variant);
    if (written === undefined)
      throw new Error(`variant ${variant}: not one of ${[...this.#variants.keys()].join(", ")}`);
    for (const [name, table] of Object.entries(stepTables)) this.#file(name).append(table.cells(written, step));
  }

  /** Adds the variant's row to summary.csv, computed from the files as they are on disk. */
  finishVariant(variant: string, facts: VariantFacts): void {
    const rows = (name: StepFile) =>
      this.#file(name)
        .read()
        .filter((row) => row["variant"] === variant);
    const [steps, layers, validation] = [rows("steps.csv"), rows("layers.csv"), rows("validation.csv")];
    this.#file("summary.csv").append([summaryCells({ variant, facts, steps, layers, validation })]);
  }

  /** Waits for the disk. @returns what a resumed run hands to the constructor */
  positions(): FilePositions {
    return Object.fromEntries(
      [...this.#files].map(([name, file]) => {
        file.flush();
        return [name, file.bytes()];
      }),
    );
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
  }

  #file(name: string): CsvFile {
    return this.#files.get(name)!;
  }
}
