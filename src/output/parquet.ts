/** Parquet files with the columns of CSV files: numbers as DOUBLE or INT32, absent cells as nulls. */
import { readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { syncFile, temporaryFor, writeWhole } from "../host/whole-file.ts";
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
  return new Uint8Array(parquetWriteBuffer({ columnData: columnsOf(rows, typesOf([rows])) }));
}

/** Rows of a row group, at least: readers skip whole ones. */
const GROUP_ROWS = 50_000;

/**
 * Writes one file of many tables, one below the other. They are read twice and never held all at once.
 * @param tables each reads one; a column that a table lacks is null there
 */
export async function writeCombined(path: string, tables: readonly (() => readonly CsvRow[])[]): Promise<void> {
  const { fileWriter, ParquetWriter, schemaFromColumnData } = await import("hyparquet-writer");
  const types = typesOf(readEach(tables));
  const temporary = temporaryFor(path);
  try {
    const schema = schemaFromColumnData({ columnData: columnsOf([], types) });
    const writer = new ParquetWriter({ writer: fileWriter(temporary), schema });
    let group: CsvRow[] = [];
    for (const [i, read] of tables.entries()) {
      group.push(...read());
      if (group.length < GROUP_ROWS && i < tables.length - 1) continue;
      await writer.write({ columnData: columnsOf(group, types) });
      group = [];
    }
    await writer.finish();
    syncFile(temporary);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function* readEach(tables: readonly (() => readonly CsvRow[])[]): Generator<readonly CsvRow[]> {
  for (const read of tables) yield read();
}

type ColumnType = "STRING" | "INT32" | "DOUBLE";

/** The type that holds every cell of a column, by name, in order of first appearance. */
function typesOf(tables: Iterable<readonly CsvRow[]>): Map<string, ColumnType> {
  const types = new Map<string, ColumnType | undefined>();
  for (const rows of tables) {
    for (const row of rows) {
      for (const [name, cell] of Object.entries(row)) types.set(name, wider(types.get(name), cell));
    }
  }
  return new Map([...types].map(([name, type]) => [name, type ?? "STRING"]));
}

function wider(type: ColumnType | undefined, cell: string): ColumnType | undefined {
  if (cell === "" || type === "STRING") return type;
  const value = Number(cell);
  if (!Number.isFinite(value)) return "STRING";
  return type === "DOUBLE" || !Number.isInteger(value) || Math.abs(value) >= 2 ** 31 ? "DOUBLE" : "INT32";
}

const columnsOf = (rows: readonly CsvRow[], types: ReadonlyMap<string, ColumnType>) =>
  [...types].map(([name, type]) => ({
    name,
    data: rows.map(({ [name]: cell = "" }) => (cell === "" ? null : type === "STRING" ? cell : Number(cell))),
    type,
    nullable: true,
  }));
