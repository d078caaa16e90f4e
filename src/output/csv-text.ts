/** The text of CSV as the command line and the page write it: one fixed number format, LF. */
import { stringify } from "csv-stringify/sync";

/** Absent values, and what is not a number because nothing is compared, are empty cells. */
export type Cell = number | string | undefined;

/** Nine significant digits: more than float32 carries, few enough to compare by eye; shortest form of those. */
export function cellText(cell: Cell): string {
  if (cell === undefined || Number.isNaN(cell)) return "";
  if (typeof cell === "string") return cell;
  return String(Number.isInteger(cell) ? cell : Number(cell.toPrecision(9)));
}

/** @returns one line a row, each ended by LF */
export const csvText = (rows: readonly (readonly Cell[])[]): string => stringify(rows.map((row) => row.map(cellText)));
