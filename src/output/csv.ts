/** CSV as this project writes and reads it: one fixed number format, a header, LF. It knows nothing of columns. */
import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import { GrowingFile } from "./growing-file.ts";

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

/** A CSV file that grows row by row. */
export class CsvFile extends GrowingFile {
  constructor(path: string, header: readonly string[], resumeAt = 0) {
    super(path, resumeAt);
    if (resumeAt === 0) this.addRows([header]);
  }

  addRows(rows: readonly (readonly Cell[])[]): void {
    if (rows.length > 0) this.append(Buffer.from(csvText(rows)));
  }

  /** Everything appended so far, by column name. */
  read(): CsvRow[] {
    return readCsv(this.path);
  }
}
