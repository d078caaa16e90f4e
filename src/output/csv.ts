/** CSV files as this project writes and reads them. It knows nothing of columns. */
import { readFileSync } from "node:fs";
import { parse } from "csv-parse/sync";
import { type Cell, csvText } from "./csv-text.ts";
import { GrowingFile } from "./growing-file.ts";

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
