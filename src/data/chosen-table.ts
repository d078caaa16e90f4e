/** The chosen experts of tokens in tables of text, in one layer or several: a row a token, or a row an assignment. */
import { together } from "./layer-tokens.ts";
import { dataError, type Matrix } from "./matrix.ts";
import { matrixOf, type NamedTable, type NumberTable, sameWidth } from "./number-table.ts";
import { assignmentOf, type Recorded, type RecordedSizes } from "./recording.ts";

interface ChoiceColumns {
  /** Whose cells tell layers apart. */
  readonly layers: readonly number[];
  /** An expert each. */
  readonly choices: readonly number[];
  /** The weight of each choice, or none. */
  readonly weights: readonly number[];
}

/** A row a token, perhaps of a layer. @throws DataError */
export function choicesFromRows(
  name: string,
  table: NumberTable,
  { layers, choices, weights }: ChoiceColumns,
  sizes: RecordedSizes,
): Recorded {
  if (weights.length > 0 && weights.length !== choices.length) {
    throw dataError(name, `has ${choices.length} columns of experts and ${weights.length} of weights; both must agree`);
  }
  const ids = matrixOf(table, choices);
  const gates = weights.length > 0 ? matrixOf(table, weights) : undefined;
  const notes = countsUp(ids) && table.header === undefined ? [FIRST_LINE] : [];
  const rowsOf = new Map<string, number[]>();
  if (layers.length === 0) {
    const read = assignmentOf(name, ids, gates && finite(gates), sizes);
    return { ...read, notes: [...read.notes, ...notes] };
  }
  for (let row = 0; row < table.rows; row++) push(rowsOf, layerName(table.cells(row), layers), row);
  const read = [...rowsOf].map(([layer, rows]) => {
    const part = (matrix: Matrix): Matrix => ({
      ...matrix,
      rows: rows.length,
      values: Float64Array.from(rows.flatMap((row) => Array.from(rowOf(matrix, row)))),
      place: (token, slot) => matrix.place(rows[token]!, slot),
    });
    return { name: layer, recording: assignmentOf(name, part(ids), gates && finite(part(gates)), sizes) };
  });
  return together(read, notes);
}

const FIRST_LINE = "the first line, 0, 1, 2, …, is taken for a token; remove it if it numbers the columns";

const rowOf = ({ values, columns }: Matrix, row: number) => values.subarray(row * columns, (row + 1) * columns);
const countsUp = (ids: Matrix) => ids.rows > 1 && ids.columns > 2 && rowOf(ids, 0).every((id, slot) => id === slot);

function finite(weights: Matrix): Float64Array {
  const bad = weights.values.findIndex((weight) => !Number.isFinite(weight));
  if (bad === -1) return weights.values;
  const where = weights.place(Math.floor(bad / weights.columns), bad % weights.columns);
  throw dataError(where, `the weight ${weights.values[bad]}; expected a finite number`);
}

function layerName(cells: readonly string[], layers: readonly number[]): string {
  return layers.map((column) => (/^\d+$/.test(cells[column]!) ? `layer ${cells[column]}` : cells[column])).join(", ");
}

function push<Key>(groups: Map<Key, number[]>, key: Key, row: number): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [row]);
  else group.push(row);
}

interface LongLayer {
  /** Number of each token, by what tells it from the others. */
  readonly tokens: Map<string, number>;
  /** Rows of each token, but for those that were dropped. */
  readonly rows: number[][];
}

/**
 * A row an assignment, as `moge route --out` writes them: columns of token and expert, perhaps of layer, slot, weight
 * and dropped. Tokens of different steps, requests or ranks are different tokens.
 * @throws DataError
 */
export function choicesFromLongTable(name: string, table: NamedTable, sizes: RecordedSizes): Recorded {
  const [expertColumn, droppedColumn, tokenColumn] = [
    table.with("expert")[0]!,
    table.with("dropped")[0],
    table.with("token")[0]!,
  ];
  const [weightColumn, layerColumns] = [table.with("weight")[0], table.with("layer")];
  const identity = table.with("step", "sequence");
  const layers = new Map<string, LongLayer>();
  for (let row = 0; row < table.rows; row++) {
    const cells = sameWidth(table, row);
    const token = table.number(row, tokenColumn, cells[tokenColumn]!);
    if (!Number.isInteger(token) || token < 0) {
      throw dataError(table.place(row, tokenColumn), `token ${token}; expected a whole number, 0 or more`);
    }
    const isDropped = droppedColumn !== undefined && table.number(row, droppedColumn, cells[droppedColumn]!) !== 0;
    const layer = layerOf(layers, layerName(cells, layerColumns));
    const key = [...identity.map((column) => cells[column]), token].join("\t");
    let at = layer.tokens.get(key);
    if (at === undefined) {
      at = layer.rows.push([]) - 1;
      layer.tokens.set(key, at);
    }
    if (!isDropped) layer.rows[at]!.push(row);
  }
  const cell = (row: number, column: number) => table.number(row, column, table.cells(row)[column]!);
  const read = [...layers].map(([layer, { tokens, rows: unordered }]) => {
    const rows = identity.length > 0 ? unordered : byNumber(tokens).map((at) => unordered[at]!);
    const slots = rows.reduce((most, { length }) => Math.max(most, length), 1);
    const values = new Float64Array(rows.length * slots).fill(-1);
    const weights = weightColumn === undefined ? undefined : new Float64Array(values.length);
    rows.forEach((ofToken, t) => {
      ofToken.forEach((row, slot) => {
        values[t * slots + slot] = cell(row, expertColumn);
        if (weights !== undefined) weights[t * slots + slot] = cell(row, weightColumn!);
      });
    });
    const matrix = (numbers: Float64Array, column: number): Matrix => ({
      rows: rows.length,
      columns: slots,
      values: numbers,
      place: (t, slot) => table.place(rows[t]![slot]!, column),
    });
    const gates = weights && finite(matrix(weights, weightColumn!));
    return { name: layer, recording: assignmentOf(name, matrix(values, expertColumn), gates, sizes) };
  });
  const known = [
    tokenColumn,
    expertColumn,
    ...identity,
    ...layerColumns,
    ...table.with("slot", "index", "weight", "dropped"),
  ];
  const left = table.header.filter((_, i) => !known.includes(i));
  return together(read, left.length === 0 ? [] : [`columns left out: ${left.join(", ")}`]);
}

/** The tokens in the order of their numbers, in which another recording of the same tokens has them, too. */
const byNumber = (tokens: ReadonlyMap<string, number>): number[] =>
  [...tokens].sort(([a], [b]) => Number(a) - Number(b)).map(([, at]) => at);

function layerOf(layers: Map<string, LongLayer>, name: string): LongLayer {
  const found = layers.get(name) ?? { tokens: new Map(), rows: [] };
  layers.set(name, found);
  return found;
}
