/** Recorded routing in tables of text: a row a load, an assignment, a token or a layer, as its header says. */
import { choicesFromLongTable, choicesFromRows } from "./chosen-table.ts";
import type { ColumnRole } from "./column-roles.ts";
import { counted, dataError, type Matrix } from "./matrix.ts";
import {
  columnsLeftOut,
  matrixOf,
  type NamedTable,
  type NumberTable,
  namedTable,
  readNumberTable,
  sameWidth,
} from "./number-table.ts";
import { assumedExperts, type Recorded, type RecordedLoads, type RecordedSizes } from "./recording.ts";

/** @throws DataError */
export function recordedFromTable(name: string, text: string, sizes: RecordedSizes): Recorded {
  const table = readNumberTable(name, text);
  const named = namedTable(table);
  if (named === undefined) {
    const columns = Array.from({ length: table.columns }, (_, i) => i);
    return sizes.areLoads
      ? loadsOfMatrix(matrixOf(table, columns), sizes)
      : choicesFromRows(name, table, { layers: [], choices: columns, weights: [] }, sizes);
  }
  const has = (role: ColumnRole) => named.with(role).length > 0;
  if (!has("expert")) return fromWideTable(name, named, sizes);
  if (has("count")) return loadsFromTable(named, sizes);
  if (has("token")) return choicesFromLongTable(name, named, sizes);
  throw dataError(
    name,
    `has experts but no counts among its columns ${named.header.join(", ")}; name one of them "count", or "token" if a row is a token's choice`,
  );
}

/** `layer,expert,count` and its like: SGLang's, ds4's, this project's own expert-load.csv. */
function loadsFromTable(table: NamedTable, sizes: RecordedSizes): RecordedLoads {
  const [expertColumn, countColumn] = [table.with("expert")[0]!, table.with("count")[0]!];
  const keyColumns = table.with("step", "layer");
  const counts = new Map<string, Map<number, number>>();
  let highest = -1;
  let again = 0;
  for (let row = 0; row < table.rows; row++) {
    const cells = sameWidth(table, row);
    const expert = table.number(row, expertColumn, cells[expertColumn]!);
    const count = loadOf(table, row, countColumn, cells[countColumn]!);
    const most = sizes.experts ?? 1 << 20;
    if (!Number.isInteger(expert) || expert < 0 || expert >= most) {
      throw dataError(table.place(row, expertColumn), `expert ${expert} is not one of 0 … ${most - 1}`);
    }
    const key = keyColumns.map((column) => `${table.header[column]} ${cells[column]}`).join(", ") || "all";
    const load = counts.get(key) ?? new Map<number, number>();
    const before = load.get(expert);
    if (before !== undefined) again++;
    counts.set(key, load.set(expert, (before ?? 0) + count));
    highest = Math.max(highest, expert);
  }
  const experts = sizes.experts ?? highest + 1;
  const others = table.header.filter((_, i) => ![expertColumn, countColumn, ...keyColumns].includes(i));
  const whatever = others.length === 0 ? "" : `, whatever their ${others.join(", ")}`;
  return {
    kind: "loads",
    experts,
    names: [...counts.keys()],
    loads: [...counts.values()].map((load) => Float64Array.from({ length: experts }, (_, i) => load.get(i) ?? 0)),
    notes: [
      ...(sizes.experts === undefined ? [assumedExperts(experts)] : []),
      ...(again === 0 ? [] : [`${counted(again, "row")} added to an earlier one of the same expert${whatever}`]),
    ],
  };
}

/** Many columns of experts: a row a token, with the experts that it chose, or a row a layer, with the load of each. */
function fromWideTable(name: string, table: NamedTable, sizes: RecordedSizes): Recorded {
  const byNumber = table.with("expert by number", "choice by number", "number");
  const columns = byNumber.length > 0 ? byNumber : table.with("other");
  if (columns.length === 0) {
    throw dataError(name, `has no column of experts among ${table.header.join(", ")}; call them slot_0, slot_1, …`);
  }
  if (sizes.areLoads || areLoads(name, table, columns)) return loadsFromWideTable(name, table, columns, sizes);
  const known = [...columns, ...table.with("layer", "step", "sequence", "token", "index", "weight by number")];
  const read = choicesFromRows(
    name,
    table,
    { layers: table.with("layer"), choices: columns, weights: table.with("weight by number") },
    sizes,
  );
  return { ...read, notes: [...read.notes, ...columnsLeftOut(table.header, known)] };
}

/** Omni-Placement's `topk_ids_count_*.csv` and its like. @throws DataError where the names allow both */
function areLoads(name: string, table: NamedTable, columns: readonly number[]): boolean {
  const isOf = (role: ColumnRole) => columns.every((column) => table.with(role).includes(column));
  if (table.with("token", "sequence").length > 0) return false;
  if (isOf("number")) {
    const keys = table.with("layer", "step");
    return table.with("layer").length > 0 && keysOf(table, keys).size === table.rows;
  }
  if (!isOf("expert by number")) return false;
  const labels = table.header.flatMap((_, i) => (columns.includes(i) ? [] : [i]));
  if (table.with("layer", "step").length > 0 || isOmni(table, columns)) return true;
  if (labels.some((label) => Number.isNaN(Number(table.cells(0)[label])))) return true; // "layer_0", "arxiv"
  const [first] = columns;
  throw dataError(
    name,
    `its columns ${table.header[first!]}, … may be loads of the experts or choices of the tokens; say --loads, or call them slot_0, …`,
  );
}

const isOmni = (table: NamedTable, [first]: readonly number[]): boolean => /^ep/i.test(table.header[first!]!);

const keysOf = (table: NamedTable, columns: readonly number[]): Set<string> =>
  new Set(
    Array.from({ length: table.rows }, (_, row) => table.cells(row)).map((cells) =>
      columns.map((i) => cells[i]).join(),
    ),
  );

function loadsFromWideTable(
  name: string,
  table: NamedTable,
  columns: readonly number[],
  sizes: RecordedSizes,
): RecordedLoads {
  const read = loadsOfMatrix(matrixOf(table, columns), sizes, () => name);
  const [label] = [...table.with("layer", "step"), ...table.header.flatMap((_, i) => (columns.includes(i) ? [] : [i]))];
  const named = (row: number) => {
    if (label === undefined) return `layer ${row}`;
    const cell = table.cells(row)[label]!;
    return /^\d+$/.test(cell) ? `layer ${cell}` : cell.replace("_", " ");
  };
  return {
    ...read,
    names: read.names.map((_, row) => named(row)),
    notes: isOmni(table, columns)
      ? ["Omni-Placement writes its counts in units of 128, rounded up: small loads are coarse"]
      : [],
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
  whole = () => place(0, 0),
): RecordedLoads {
  if (experts !== columns) {
    throw dataError(whole(), `has ${counted(columns, "load")} a layer, but --experts says ${experts}`);
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
