/** A JSON document that knows where its values stand. What JSON lacks and Python writes, NaN and infinities, is read. */
import { LineCounter, parseDocument } from "yaml";
import { counted, dataError, type Matrix, numberOf, placeInText } from "./matrix.ts";

export interface JsonDocument {
  readonly value: unknown;
  /** `file:line:column` of the value at a path. */
  place(path: Path): string;
}

export type Path = readonly (string | number)[];

/** Finding places takes a second parser, too slow for the largest files. */
const LARGEST_PLACED = 20e6;

/** @throws DataError where it is not JSON */
export function parseJsonDocument(name: string, text: string): JsonDocument {
  const place = (path: Path) => placeOf(name, text, path);
  try {
    return { value: JSON.parse(text) as unknown, place };
  } catch {
    const rows = rowsByLine(text);
    if (rows !== undefined) return { value: rows, place: ([row = 0]) => placeInText(name, Number(row), 0) };
    const { value, problem } = parseLeniently(name, text);
    if (problem !== undefined) throw problem;
    return { value, place };
  }
}

/** JSON lines: one array a line, as many programs write a row a token. @returns undefined where it is something else */
function rowsByLine(text: string): unknown[] | undefined {
  if (!/^\s*\[[^\n]*\][ \t\r]*\n\s*\[/.test(text)) return undefined;
  try {
    return text
      .trim()
      .split(/\r?\n/)
      .map((line) => JSON.parse(line) as unknown);
  } catch {
    return undefined;
  }
}

/** A line of JSON lines. */
export interface JsonLine {
  /** From 0. */
  readonly number: number;
  readonly value: unknown;
}

/** More than one object, each on a line of its own. */
export const isJsonLines = (text: string): boolean => /^\ufeff?\s*\{.*\}\s*\n\s*\{/.test(text.slice(0, 1 << 20));

/** @throws DataError where a line is not JSON */
export const readJsonLines = (name: string, text: string): JsonLine[] =>
  text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .flatMap((line, number): JsonLine[] => {
      if (line.trim() === "") return [];
      try {
        return [{ number, value: JSON.parse(line) as unknown }];
      } catch (error) {
        const cut = number > 0 ? "; is the log cut off?" : "";
        throw dataError(placeInText(name, number, 0), `is not JSON: ${(error as Error).message}${cut}`);
      }
    });

/** A line as a document: all that it holds stands at its beginning. */
export const documentOfLine = (name: string, { number, value }: JsonLine): JsonDocument => ({
  value,
  place: () => placeInText(name, number, 0),
});

/** YAML holds JSON, and reads NaN and -Infinity as texts, which `numberOf` knows. */
function parseLeniently(name: string, text: string) {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    const what = error.message
      .split("\n")[0]!
      .replace(/in block collection must be sufficiently indented and end/, "must end")
      .replace(/^Maximum call stack size exceeded$/, "it is nested too deeply")
      .replace(/\.$/, "");
    return { value: undefined, problem: dataError(placeInText(name, line - 1, col - 1), `is not JSON: ${what}`) };
  }
  return { value: document.toJS() as unknown, problem: undefined };
}

function placeOf(name: string, text: string, path: Path): string {
  const inWords = path.length === 0 ? name : `${name} at ${path.map((part) => `[${part}]`).join("")}`;
  if (text.length > LARGEST_PLACED) return inWords;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, logLevel: "error" });
  const node = document.getIn(path, true) as { readonly range?: readonly number[] } | undefined;
  if (node?.range === undefined) return inWords;
  const { line, col } = lines.linePos(node.range[0]!);
  return placeInText(name, line - 1, col - 1);
}

/** A bare value as if it stood under a key. */
export const named = ({ value, place }: JsonDocument, key: string): JsonDocument => ({
  value: { [key]: value },
  place: ([, ...path]) => place(path),
});

/**
 * A nested array of numbers.
 * @param what a row is, for messages: "token"
 * @throws DataError where it is not one, or where rows are of unequal length
 */
export function jsonMatrix({ place }: JsonDocument, path: Path, found: unknown, what: string): Matrix {
  const complain = (at: Path, text: string) => dataError(place(at), text);
  if (!Array.isArray(found)) throw complain(path, `expected a nested array, one inner array for each ${what}`);
  if (found.length === 0) throw complain(path, `is an empty array; expected one inner array for each ${what}`);
  const [first] = found as unknown[];
  if (!Array.isArray(first)) {
    throw complain([...path, 0], `expected a nested array, one inner array for each ${what}, not ${shown(first)}`);
  }
  if (first.length === 0) throw complain([...path, 0], `an empty row; each ${what} needs numbers`);
  const columns = first.length;
  const values = new Float64Array(found.length * columns);
  (found as unknown[]).forEach((row, r) => {
    if (!Array.isArray(row)) throw complain([...path, r], `expected an array of numbers, not ${shown(row)}`);
    if (row.length !== columns) {
      const is = `${counted(row.length, "number")} for ${what} ${r}, where ${what} 0 has ${columns}`;
      throw complain([...path, r], `${is}; give each ${what} the same number`);
    }
    (row as unknown[]).forEach((cell, c) => {
      const number = typeof cell === "number" ? cell : typeof cell === "string" ? numberOf(cell) : undefined;
      if (number === undefined) throw complain([...path, r, c], `expected a number, not ${shown(cell)}`);
      values[r * columns + c] = number;
    });
  });
  return { rows: found.length, columns, values, place: (row, column) => place([...path, row, column]) };
}

const shown = (value: unknown): string => {
  if (Array.isArray(value)) return "an array (a batch of matrices? give one of them)";
  return value === undefined ? "nothing" : JSON.stringify(value).slice(0, 30);
};
