/** CSV as this project writes and reads it: one fixed number format, a header, LF. It knows nothing of columns. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";

/** Absent values, and what is not a number because nothing is compared, are empty cells. */
export type Cell = number | string | undefined;

/** Nine significant digits: more than float32 carries, few enough to compare by eye; shortest form of those. */
export function cellText(cell: Cell): string {
  if (cell === undefined || Number.isNaN(cell)) return "";
  if (typeof cell === "string") return cell;
  return String(Number.isInteger(cell) ? cell : Number(cell.toPrecision(9)));
}

/** @returns one line a row, each ended by LF */
export const csvText = (rows: readonly (readonly Cell[])[]): string => stringify(rows.map((row) => row.map(cellText)));

/** A row read back: cells as text, by column name. */
export type CsvRow = Readonly<Record<string, string>>;

export const readCsv = (path: string): CsvRow[] => parse(readFileSync(path), { columns: true, skip_empty_lines: true });

/** An append-only CSV file that knows how long it is, so that a checkpoint can name the place to go on from. */
export class CsvFile {
  readonly #path: string;
  readonly #descriptor: number;
  #bytes: number;

  /**
   * @param resumeAt bytes to keep of an existing file; 0 starts it anew
   * @throws Error when the file is shorter than that
   */
  constructor(path: string, header: readonly string[], resumeAt = 0) {
    this.#path = path;
    this.#descriptor = openSync(path, resumeAt > 0 ? "r+" : "w");
    this.#bytes = resumeAt;
    const { size } = fstatSync(this.#descriptor);
    if (size < resumeAt) {
      closeSync(this.#descriptor);
      throw new Error(`${path}: has ${size} bytes, its checkpoint says ${resumeAt}; start the run anew`);
    }
    ftruncateSync(this.#descriptor, resumeAt);
    if (resumeAt === 0) this.append([header]);
  }

  append(rows: readonly (readonly Cell[])[]): void {
    if (rows.length === 0) return;
    const text = Buffer.from(csvText(rows));
    let written = 0;
    while (written < text.length) {
      written += writeSync(this.#descriptor, text, written, text.length - written, this.#bytes + written);
    }
    this.#bytes += text.length;
  }

  /** Everything appended so far, by column name. */
  read(): CsvRow[] {
    return readCsv(this.#path);
  }

  bytes(): number {
    return this.#bytes;
  }

  /** Returns once the bytes are on the disk. */
  flush(): void {
    fsyncSync(this.#descriptor);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
