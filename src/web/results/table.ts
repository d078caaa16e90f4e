/** A result file as the page reads it: columns by name, numbers as numbers, recognised by its columns. */
import type { Phrase } from "../phrase.ts";
import { Refused } from "../refused.ts";
import { csvRows } from "./csv.ts";

export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns whose cells are numbers or empty, one number at least. */
  readonly numeric: ReadonlySet<string>;
}

/** What tells the rows of every result apart: the variant, or what stands for it. */
const KEYS = ["variant", "choice"];

/** @throws Refused */
export function readTable(name: string, text: string): Table {
  const [columns = [], ...rows] = csvRows(text);
  if (!columns.some((column) => KEYS.includes(column))) throw new Refused(another(name, columns));
  if (rows.length === 0) throw new Refused(empty(name));
  const uneven = rows.findIndex((row) => row.length !== columns.length);
  if (uneven >= 0) throw new Refused(cut(name, uneven + 2, rows[uneven]!.length, columns.length));
  const numeric = columns.filter((_, c) => {
    const cells = rows.map((row) => row[c]!).filter((cell) => cell !== "");
    return cells.length > 0 && cells.every((cell) => Number.isFinite(Number(cell)));
  });
  if (numeric.length === 0) throw new Refused(another(name, columns));
  return { name, columns, rows, numeric: new Set(numeric) };
}

export const hasColumns = (table: Table, ...columns: string[]): boolean =>
  columns.every((column) => table.columns.includes(column));

/** The column that tells whose a row is. */
export const keyOf = ({ columns }: Table): string => columns.find((column) => KEYS.includes(column))!;

/** @returns a function from a row to its cell of a column */
export function cellOf({ columns }: Table, column: string): (row: readonly string[]) => string {
  const at = columns.indexOf(column);
  return (row) => row[at]!;
}

/** The values of a column, each once, in the order of their first row. */
export const valuesOf = (table: Table, column: string): string[] => [...new Set(table.rows.map(cellOf(table, column)))];

const some = (columns: readonly string[], between: string): string => {
  const shown = columns.slice(0, 5).map((column) => (column.length > 20 ? `${column.slice(0, 20)}…` : column));
  return shown.join(between) + (columns.length > 5 ? `${between}…` : "");
};

const another = (name: string, columns: readonly string[]): Phrase => ({
  en: `${name} is not a result of moge: it needs a column “variant” and numbers, and has ${some(columns, ", ")}. docs/columns.md lists the files. What was open stays.`,
  zh: `${name} 不是 moge 的结果：应有 “variant” 列和数值列，而它的列是 ${some(columns, "、")}。文件说明见 docs/columns.md。原有内容保留。`,
});

const empty = (name: string): Phrase => ({
  en: `${name} has a header but no rows. What was open stays.`,
  zh: `${name} 只有表头，没有数据行。原有内容保留。`,
});

const cut = (name: string, line: number, cells: number, wanted: number): Phrase => ({
  en: `${name}, line ${line}: ${cells} cells where the header has ${wanted}; the file seems to be cut short. What was open stays.`,
  zh: `${name} 第 ${line} 行有 ${cells} 格，表头有 ${wanted} 格；文件似乎不完整。原有内容保留。`,
});
