/**
 * Routing that another program recorded: the chosen experts of each token, or the load of each expert. Read are JSON,
 * tables of text, .npy and ESFT's `expert_weights_*.txt`; what a file is, its content says.
 */
import { isEsft, readEsft } from "./esft.ts";
import { isJson, textOf } from "./file-kind.ts";
import { parseJsonDocument } from "./json-document.ts";
import { counted, dataError } from "./matrix.ts";
import { isNpy, npyMatrix } from "./npy.ts";
import { type NumberTable, readNumberTable } from "./number-table.ts";
import { assignmentFromJson, loadsFromJson } from "./recorded-json.ts";
import {
  assignmentOf,
  assumedExperts,
  type RecordedAssignment,
  type RecordedLoads,
  type RecordedSizes,
} from "./recording.ts";

/** @param name of the file, for messages @throws DataError */
export function parseRecorded(
  name: string,
  bytes: Uint8Array,
  sizes: RecordedSizes = {},
): RecordedAssignment | RecordedLoads {
  if (isNpy(bytes)) return assignmentOf(name, npyMatrix(name, bytes), undefined, sizes);
  const text = textOf(name, bytes, "chosen experts or loads as JSON, as a table of text or as .npy");
  if (isJson(text)) {
    const document = parseJsonDocument(name, text);
    return loadsFromJson(document, sizes) ?? assignmentFromJson(name, document, sizes);
  }
  if (isEsft(text)) return readEsft(name, text, sizes);
  const table = readNumberTable(name, text);
  if (isTokenTable(table)) return assignmentFromTokens(name, table, sizes);
  return isLoadTable(table) ? loadsFromTable(name, table, sizes) : assignmentFromTable(name, table, sizes);
}

const columnNamed = (table: NumberTable, names: readonly string[]): number =>
  table.header?.findIndex((name) => names.includes(name.toLowerCase())) ?? -1;

const expertNames = ["expert", "expert_id", "expert_idx"];
const countNames = ["count", "hits", "assignments", "tokens", "load"];
/** Rows that differ in any of these belong to different loads; others, such as ranks, are added up. */
const loadKeys = ["variant", "step", "layer", "layer_id", "layer_idx"];

const isLoadTable = (table: NumberTable): boolean => columnNamed(table, expertNames) !== -1;

/** `layer,expert,count` and its like: SGLang's, ds4's, this project's own expert-load.csv. */
function loadsFromTable(name: string, table: NumberTable, sizes: RecordedSizes): RecordedLoads {
  const expertColumn = columnNamed(table, expertNames);
  const countColumn = columnNamed(table, countNames);
  const header = table.header!;
  if (countColumn === -1) {
    throw dataError(name, `has experts but no counts among its columns ${header.join(", ")}; name one of them "count"`);
  }
  const keyColumns = header.flatMap((column, i) => (loadKeys.includes(column.toLowerCase()) ? [i] : []));
  const counts = new Map<string, Map<number, number>>();
  let highest = -1;
  for (let row = 0; row < table.rows; row++) {
    const cells = sameWidth(table, row);
    const expert = table.number(row, expertColumn, cells[expertColumn]!);
    const count = table.number(row, countColumn, cells[countColumn]!);
    const most = sizes.experts ?? 1 << 20;
    if (!Number.isInteger(expert) || expert < 0 || expert >= most) {
      throw dataError(table.place(row, expertColumn), `expert ${expert} is not one of 0 … ${most - 1}`);
    }
    if (!(count >= 0 && count < Number.POSITIVE_INFINITY)) {
      throw dataError(table.place(row, countColumn), `a count of ${count}; expected a number, 0 or more`);
    }
    const key = keyColumns.map((column) => `${header[column]} ${cells[column]}`).join(", ") || "all";
    const load = counts.get(key) ?? new Map<number, number>();
    counts.set(key, load.set(expert, (load.get(expert) ?? 0) + count));
    highest = Math.max(highest, expert);
  }
  const experts = sizes.experts ?? highest + 1;
  return {
    kind: "loads",
    experts,
    names: [...counts.keys()],
    loads: [...counts.values()].map((load) => Float64Array.from({ length: experts }, (_, i) => load.get(i) ?? 0)),
    notes: sizes.experts === undefined ? [assumedExperts(experts)] : [],
  };
}

/** A line a token, a number an expert. */
function assignmentFromTable(name: string, table: NumberTable, sizes: RecordedSizes): RecordedAssignment {
  const values = new Float64Array(table.rows * table.columns);
  for (let row = 0; row < table.rows; row++) {
    const cells = table.cells(row);
    if (cells.length !== table.columns) {
      const is = `${counted(cells.length, "expert")}, where the first line has ${table.columns}`;
      throw dataError(
        table.place(row, Math.min(cells.length, table.columns)),
        `${is}; write -1 for a slot without one`,
      );
    }
    cells.forEach((cell, column) => {
      values[row * table.columns + column] = table.number(row, column, cell);
    });
  }
  return assignmentOf(name, { rows: table.rows, columns: table.columns, values, place: table.place }, undefined, sizes);
}

/** A row an assignment, as `moge route --out` writes them: columns token and expert, perhaps slot, weight and dropped. */
const isTokenTable = (table: NumberTable): boolean =>
  ["token", "expert"].every((column) => columnNamed(table, [column]) !== -1) && columnNamed(table, countNames) === -1;

function assignmentFromTokens(name: string, table: NumberTable, sizes: RecordedSizes): RecordedAssignment {
  const [tokenColumn, expertColumn, weightColumn, droppedColumn] = ["token", "expert", "weight", "dropped"].map(
    (column) => columnNamed(table, [column]),
  ) as [number, number, number, number];
  const rowsOf: number[][] = []; // by token
  for (let row = 0; row < table.rows; row++) {
    const cells = sameWidth(table, row);
    const token = table.number(row, tokenColumn, cells[tokenColumn]!);
    if (!Number.isInteger(token) || token < 0 || token > 1e8) {
      throw dataError(table.place(row, tokenColumn), `token ${token}; expected a whole number, 0 or more`);
    }
    const isDropped = droppedColumn !== -1 && table.number(row, droppedColumn, cells[droppedColumn]!) !== 0;
    const rows = (rowsOf[token] ??= []);
    if (!isDropped) rows.push(row);
  }
  const tokens = rowsOf.length;
  const slots = rowsOf.reduce((most, rows) => Math.max(most, rows.length), 1);
  const values = new Float64Array(tokens * slots).fill(-1);
  const weights = new Float64Array(tokens * slots);
  rowsOf.forEach((rows, token) => {
    rows.forEach((row, slot) => {
      const cells = table.cells(row);
      values[token * slots + slot] = table.number(row, expertColumn, cells[expertColumn]!);
      if (weightColumn !== -1) weights[token * slots + slot] = table.number(row, weightColumn, cells[weightColumn]!);
    });
  });
  const place = (token: number, slot: number) => table.place(rowsOf[token]![slot]!, expertColumn);
  const ids = { rows: tokens, columns: slots, values, place };
  return assignmentOf(name, ids, weightColumn === -1 ? undefined : weights, sizes);
}

/** @throws DataError where a row has more or fewer cells than the header */
function sameWidth(table: NumberTable, row: number): string[] {
  const cells = table.cells(row);
  if (cells.length === table.columns) return cells;
  const is = `${counted(cells.length, "cell")}, where the header has ${table.columns}`;
  throw dataError(table.place(row, Math.min(cells.length, table.columns)), is);
}
