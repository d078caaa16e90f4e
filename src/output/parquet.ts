/** Parquet files beside the CSV files, with the same columns; numbers as DOUBLE or INT32, absent cells as nulls. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../host/whole-file.ts";
import { type CsvRow, readCsv } from "./csv.ts";

/** Writes `<name>.parquet` for each CSV file of a directory. */
export async function writeParquet(directory: string): Promise<void> {
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".csv"))) {
    const rows = readCsv(join(directory, name));
    writeWhole(join(directory, name.replace(/csv$/, "parquet")), await parquetOf(rows));
  }
}

/** @returns the bytes of a Parquet file; a column is numeric when all of its cells are numbers or empty */
export async function parquetOf(rows: readonly CsvRow[]): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import("hyparquet-writer");
  const columnData = Object.keys(rows[0] ?? {}).map((name) =>
    columnOf(
      name,
      rows.map((row) => row[name] ?? ""),
    ),
  );
  return new Uint8Array(parquetWriteBuffer({ columnData }));
}

function columnOf(name: string, cells: readonly string[]) {
  const isNumeric =
    cells.some((cell) => cell !== "") && cells.every((cell) => cell === "" || Number.isFinite(Number(cell)));
  if (!isNumeric)
    return { name, data: cells.map((cell) => (cell === "" ? null : cell)), type: "STRING" as const, nullable: true };
  const data = cells.map((cell) => (cell === "" ? null : Number(cell)));
  const isWhole = data.every((each) => each === null || (Number.isInteger(each) && Math.abs(each) < 2 ** 31));
  return { name, data, type: isWhole ? ("INT32" as const) : ("DOUBLE" as const), nullable: true };
}
