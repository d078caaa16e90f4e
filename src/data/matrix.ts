/** A matrix of numbers that a person handed in, which knows where in the file each of them stands. */
import type { Floats } from "../core/floats.ts";
import { DataError } from "./source.ts";

/** @typeParam Values in single precision, perhaps, where the file has no more */
export interface Matrix<Values extends Floats = Float64Array> {
  readonly rows: number;
  readonly columns: number;
  /** [rows, columns] */
  readonly values: Values;
  /** `file:line:column`, or the file and the indices where it has no lines. */
  place(row: number, column: number): string;
}

/** Gives an error that says where, what is wrong and what to do. */
export const dataError = (where: string, what: string): DataError => new DataError(`${where}: ${what}`);

/** "file:line:column", both from 1. @param line,column from 0 */
export const placeInText = (name: string, line: number, column: number): string => `${name}:${line + 1}:${column + 1}`;

/** "1 row", "2 rows". */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** A number as people and programs write it, NaN and infinities included; undefined for anything else. */
export function numberOf(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  const special = /^([+-]?)(nan|inf|infinity|∞)$/i.exec(text);
  if (special === null) return undefined;
  if (special[2]!.toLowerCase() === "nan") return Number.NaN;
  return special[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
