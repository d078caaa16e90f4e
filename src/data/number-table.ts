/**
 * A table in a text file: cells between commas, semicolons, tabs or spaces, `#` before comments, perhaps a header. It
 * is split here rather than by a CSV library, for every complaint about a cell has to name its line and column, and
 * numbers need no quotes beyond those around names.
 */
import { type ColumnRole, roleOf } from "./column-roles.ts";
import { counted, dataError, type Matrix, numberOf, placeInText } from "./matrix.ts";

export interface NumberTable {
  /** Names of the columns, if the first line has them. */
  readonly header: readonly string[] | undefined;
  /** Lines of cells below the header. */
  readonly rows: number;
  /** Cells of the first line. */
  readonly columns: number;
  cells(row: number): string[];
  place(row: number, column: number): string;
  /** @throws DataError that names the place of a cell which is no number */
  number(row: number, column: number, cell: string): number;
}

/** @throws DataError when there is no line with cells */
export function readNumberTable(name: string, text: string): NumberTable {
  const lines = text.replace(/^\ufeff/, "").split(/\r\n|\n|\r/);
  const filled: number[] = []; // the lines that are not blank or comments
  lines.forEach((line, i) => {
    if (withoutComment(line).trim() !== "") filled.push(i);
  });
  const [first] = filled;
  if (first === undefined) throw dataError(name, "is empty; expected a table of numbers, one line a token");
  const delimiter = delimiterOf(withoutComment(lines[first]!));
  const mark = delimiter.source;
  const split = (line: number) => {
    const text = lines[line]!;
    if (mark === "\\s+" || /[#"']/.test(text)) return cellsOf(text, delimiter).map(({ text: cell }) => cell);
    return text
      .trimEnd()
      .split(mark)
      .map((cell) => cell.trim()); // the same, sooner: most tables are plain
  };
  const firstCells = split(first);
  const header = isHeader(firstCells) ? firstCells : undefined;
  const lineOf = header === undefined ? filled : filled.slice(1);
  if (lineOf.length === 0)
    throw dataError(placeInText(name, first, 0), "has names but no numbers below them; expected one line a token");
  const place = (row: number, column: number) => {
    const line = lineOf[row]!;
    return placeInText(name, line, cellsOf(lines[line]!, delimiter)[column]?.at ?? lines[line]!.length);
  };
  return {
    header,
    rows: lineOf.length,
    columns: firstCells.length,
    cells: (row) => split(lineOf[row]!),
    place,
    number(row, column, cell) {
      const value = numberOf(cell);
      if (value !== undefined) return value;
      const what = cell === "" ? "an empty cell" : `${JSON.stringify(cell.slice(0, 20))} is not a number`;
      throw dataError(place(row, column), `${what}; every cell must be a number`);
    },
  };
}

const withoutComment = (line: string): string => (line.includes("#") ? line.replace(/#.*$/, "") : line);

function delimiterOf(line: string): RegExp {
  const found = ["\t", ";", ","].find((mark) => line.includes(mark));
  return found === undefined ? /\s+/g : new RegExp(found, "g");
}

/** The cells of a line with where each begins, from 0. */
function cellsOf(line: string, delimiter: RegExp): { readonly text: string; readonly at: number }[] {
  const content = withoutComment(line).trimEnd();
  const bySpaces = delimiter.source === "\\s+";
  const start = bySpaces ? content.length - content.trimStart().length : 0;
  const cells: { text: string; at: number }[] = [];
  let from = start;
  const add = (to: number) => {
    const raw = content.slice(from, to);
    const text = raw.trim().replace(/^(["'])(.*)\1$/, "$2");
    cells.push({ text, at: from + (raw.length - raw.trimStart().length) });
  };
  for (const match of content.slice(start).matchAll(delimiter)) {
    add(start + match.index);
    from = start + match.index + match[0].length;
  }
  add(content.length);
  return cells;
}

/** Names, or nothing above the row numbers as pandas writes it, and then names or a count. */
function isHeader(cells: readonly string[]): boolean {
  if (numberOf(cells[0]!) !== undefined) return false;
  const numbers = cells.filter((cell) => numberOf(cell) !== undefined);
  return (
    numbers.every((cell, i) => cell === String(Number(numbers[0]) + i)) && ["0", "1", undefined].includes(numbers[0])
  );
}

/** A table whose columns have names, and what those say. */
export interface NamedTable extends NumberTable {
  readonly header: readonly string[];
  /** Columns that have the role. */
  with(...roles: readonly ColumnRole[]): readonly number[];
}

/** Undefined where the columns have no names. */
export function namedTable(table: NumberTable): NamedTable | undefined {
  const { header } = table;
  const roles = header?.map(roleOf);
  if (header === undefined || roles === undefined) return undefined;
  const withRoles = (...wanted: readonly ColumnRole[]) =>
    roles.flatMap((role, column) => (wanted.includes(role) ? [column] : []));
  return { ...table, header, with: withRoles };
}

/** What is to be said of the columns of a table that are not among the known. */
export function columnsLeftOut(header: readonly string[], known: readonly number[]): readonly string[] {
  const left = header.filter((_, column) => !known.includes(column));
  return left.length === 0 ? [] : [`columns left out: ${left.join(", ")}`];
}

/** Some columns of a table. @throws DataError where a line is shorter or longer than the first */
export function matrixOf(table: NumberTable, columns: readonly number[]): Matrix {
  const values = new Float64Array(table.rows * columns.length);
  for (let row = 0, at = 0; row < table.rows; row++) {
    const cells = sameWidth(table, row);
    for (const column of columns) values[at++] = table.number(row, column, cells[column]!);
  }
  return { rows: table.rows, columns: columns.length, values, place: (row, i) => table.place(row, columns[i]!) };
}

/** @throws DataError where a row has more or fewer cells than the first line */
export function sameWidth(table: NumberTable, row: number): string[] {
  const cells = table.cells(row);
  if (cells.length === table.columns) return cells;
  const is = `${counted(cells.length, "cell")}, where the ${table.header === undefined ? "first line" : "header"} has ${table.columns}`;
  const what = table.header === undefined ? "; write -1 for a slot without an expert" : "";
  throw dataError(table.place(row, Math.min(cells.length, table.columns)), `${is}${what}`);
}
