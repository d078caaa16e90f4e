/** The chosen experts of tokens in tables of text, in one layer or several: a row a token, or a row an assignment. */
import { NO_EXPERT } from "../routing/assignment.ts";
import { together } from "./layer-tokens.ts";
import { dataError, type Matrix } from "./matrix.ts";
import { columnsLeftOut, matrixOf, type NamedTable, type NumberTable, sameWidth } from "./number-table.ts";
import { assignmentOf, layerTitle, type Recorded, type RecordedSizes } from "./recording.ts";

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
  return together(name, read, notes);
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
  return layers.map((column) => layerTitle(cells[column]!)).join(", ");
}

function push<Key>(groups: Map<Key, number[]>, key: Key, row: number): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [row]);
  else group.push(row);
}

interface LongColumns {
  readonly token: number;
  readonly expert: number;
  readonly weight: number | undefined;
  readonly dropped: number | undefined;
  readonly layers: readonly number[];
  /** What tells tokens of one number apart: steps, requests, ranks. */
  readonly identity: readonly number[];
}

interface LongLayer {
  /** Place among `rows` of each token, by what tells it from the others. */
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
  const columns: LongColumns = {
    token: table.with("token")[0]!,
    expert: table.with("expert")[0]!,
    weight: table.with("weight")[0],
    dropped: table.with("dropped")[0],
    layers: table.with("layer"),
    identity: table.with("step", "sequence"),
  };
  const read = [...longLayers(table, columns)].map(([layer, { tokens, rows }]) => {
    const ordered = columns.identity.length > 0 ? rows : byNumber(tokens).map((at) => rows[at]!);
    const ids = slotsOf(table, ordered, columns.expert, NO_EXPERT);
    const gates = columns.weight === undefined ? undefined : finite(slotsOf(table, ordered, columns.weight, 0));
    return { name: layer, recording: assignmentOf(name, ids, gates, sizes) };
  });
  const { token, expert, layers, identity } = columns;
  const known = [token, expert, ...identity, ...layers, ...table.with("slot", "index", "weight", "dropped")];
  return together(name, read, columnsLeftOut(table.header, known));
}

/** Which rows belong to which token of which layer. @throws DataError */
function longLayers(table: NamedTable, columns: LongColumns): Map<string, LongLayer> {
  const layers = new Map<string, LongLayer>();
  for (let row = 0; row < table.rows; row++) {
    const cells = sameWidth(table, row);
    const number = (column: number) => table.number(row, column, cells[column]!);
    const token = number(columns.token);
    if (!Number.isInteger(token) || token < 0) {
      throw dataError(table.place(row, columns.token), `token ${token}; expected a whole number, 0 or more`);
    }
    const title = layerName(cells, columns.layers);
    const layer = layers.get(title) ?? { tokens: new Map<string, number>(), rows: [] };
    layers.set(title, layer);
    const key = [...columns.identity.map((column) => cells[column]), token].join("\t");
    let at = layer.tokens.get(key);
    if (at === undefined) {
      at = layer.rows.push([]) - 1;
      layer.tokens.set(key, at);
    }
    if (columns.dropped === undefined || number(columns.dropped) === 0) layer.rows[at]!.push(row);
  }
  return layers;
}

/** The numbers of a column, a row a token, a slot an assignment. @param empty in slots without one */
function slotsOf(table: NamedTable, rows: readonly (readonly number[])[], column: number, empty: number): Matrix {
  const columns = rows.reduce((most, { length }) => Math.max(most, length), 1);
  const values = new Float64Array(rows.length * columns).fill(empty);
  rows.forEach((ofToken, t) => {
    ofToken.forEach((row, slot) => {
      values[t * columns + slot] = table.number(row, column, table.cells(row)[column]!);
    });
  });
  return { rows: rows.length, columns, values, place: (t, slot) => table.place(rows[t]![slot]!, column) };
}

/** The tokens in the order of their numbers, in which another recording of the same tokens has them, too. */
const byNumber = (tokens: ReadonlyMap<string, number>): number[] =>
  [...tokens].sort(([a], [b]) => Number(a) - Number(b)).map(([, at]) => at);
