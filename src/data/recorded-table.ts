/** Recorded routing in tables of text: a row a load, an assignment, a token or a layer, as its header says. */
import { counted, dataError, type Matrix } from "./matrix.ts";
import { type NumberTable, readNumberTable } from "./number-table.ts";
import {
  assignmentOf,
  assumedExperts,
  type RecordedAssignment,
  type RecordedLoads,
  type RecordedSizes,
} from "./recording.ts";

/** @throws DataError */
export function recordedFromTable(
  name: string,
  text: string,
  sizes: RecordedSizes,
): RecordedAssignment | RecordedLoads {
  const table = readNumberTable(name, text);
  if (isWideLoadTable(table)) return loadsFromWideTable(name, table, sizes);
  if (sizes.areLoads && !isLoadTable(table)) return loadsOfMatrix(matrixOf(table), sizes);
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
    const count = loadOf(table, row, countColumn, cells[countColumn]!);
    const most = sizes.experts ?? 1 << 20;
    if (!Number.isInteger(expert) || expert < 0 || expert >= most) {
      throw dataError(table.place(row, expertColumn), `expert ${expert} is not one of 0 … ${most - 1}`);
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

/** Columns of experts, a row a layer: Omni-Placement's `topk_ids_count_*.csv`, and tables like it. */
const isWideLoadTable = ({ header }: NumberTable): boolean =>
  header !== undefined && header.length > 1 && header.slice(1).every((column) => /^(ep|expert)[_ ]?\d+$/i.test(column));

function loadsFromWideTable(name: string, table: NumberTable, sizes: RecordedSizes): RecordedLoads {
  const experts = table.columns - 1;
  if (sizes.experts !== undefined && sizes.experts !== experts) {
    throw dataError(name, `has columns of ${counted(experts, "expert")}, but --experts says ${sizes.experts}`);
  }
  const layers = Array.from({ length: table.rows }, (_, row) => sameWidth(table, row));
  const loads = layers.map((cells, row) =>
    Float64Array.from(cells.slice(1), (cell, i) => loadOf(table, row, i + 1, cell)),
  );
  const isOmni = table.header![1]!.toLowerCase().startsWith("ep");
  return {
    kind: "loads",
    experts,
    names: layers.map(([layer]) => layer!.replace("_", " ")),
    loads,
    notes: isOmni ? ["Omni-Placement writes its counts in units of 128, rounded up: small loads are coarse"] : [],
  };
}

function loadOf(table: NumberTable, row: number, column: number, cell: string): number {
  const load = table.number(row, column, cell);
  if (load >= 0 && load < Number.POSITIVE_INFINITY) return load;
  throw dataError(table.place(row, column), `a count of ${load}; expected a number, 0 or more`);
}

/** A row a layer, a column an expert. @throws DataError */
export function loadsOfMatrix(
  { rows, columns, values, place }: Matrix,
  { experts = columns }: RecordedSizes,
): RecordedLoads {
  if (experts !== columns) {
    throw dataError(place(0, 0), `has ${counted(columns, "load")} a layer, but --experts says ${experts}`);
  }
  const bad = values.findIndex((load) => !(load >= 0 && load < Number.POSITIVE_INFINITY));
  if (bad !== -1) {
    const where = place(Math.floor(bad / columns), bad % columns);
    throw dataError(where, `a load of ${values[bad]}; expected a number, 0 or more`);
  }
  return {
    kind: "loads",
    experts,
    names: Array.from({ length: rows }, (_, layer) => `layer ${layer}`),
    loads: Array.from({ length: rows }, (_, layer) => values.slice(layer * columns, (layer + 1) * columns)),
    notes: [],
  };
}

/** A line a token, a number an expert. */
function assignmentFromTable(name: string, table: NumberTable, sizes: RecordedSizes): RecordedAssignment {
  return assignmentOf(name, matrixOf(table), undefined, sizes);
}

/** @throws DataError where a line is shorter or longer than the first */
function matrixOf(table: NumberTable): Matrix {
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
  return { rows: table.rows, columns: table.columns, values, place: table.place };
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
