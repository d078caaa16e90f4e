/** Compares what an adapter produced with what a case expects, field by field, number by number. */
import { asNumber, type Json, type JsonObject, type Produced } from "./golden-case.ts";

/** Relative tolerances: against the double-precision run, and against the unmodified single-precision one. */
export interface Tolerance {
  readonly double: number;
  readonly single: number;
}

export const thirteenDigits: Tolerance = { double: 1e-9, single: 5e-5 };
export const nineDigits: Tolerance = { double: 1e-8, single: 5e-5 };
const gradients = nineDigits;
const SINGLE_ABSOLUTE = 5e-6;
/** What rounding leaves of a number that cancels: relative to the largest of its array, and on its own. */
const CANCELLED_RELATIVE = 1e-12;
const CANCELLED_ABSOLUTE = 1e-14;

/** @returns the first disagreement, "field[i][j]: got g, expected e", or undefined. @param path starts with the field's name */
export function compare(
  path: string,
  got: Produced | undefined,
  expected: Json,
  double: Json | undefined,
  tolerance: Tolerance,
): string | undefined {
  if (expected === null) return undefined; // the case does not give this value
  if (/(^|\.)grad[^.]*$/.test(path)) tolerance = { ...gradients, single: tolerance.single };
  if (got === undefined) return `${path}: unknown field`;
  if (typeof got === "function") {
    const complaint = got(expected);
    return complaint === undefined ? undefined : `${path}: ${complaint}`;
  }
  const wanted = asNumber(expected);
  if (wanted !== undefined || typeof expected === "boolean") {
    return compareLeaf(path, got, wanted ?? (expected as boolean), asNumber(double), tolerance, 0);
  }
  if (Array.isArray(expected)) return compareArray(path, got, expected, double, tolerance);
  if (typeof expected === "object") return compareObject(path, got, expected as JsonObject, double, tolerance);
  return `${path}: got ${show(got)}, expected ${show(expected)}`;
}

function compareObject(
  path: string,
  got: Produced,
  expected: JsonObject,
  double: Json | undefined,
  tolerance: Tolerance,
) {
  if (typeof got !== "object" || isArrayLike(got)) return `${path}: got ${show(got)}, expected an object`;
  const doubles = (double ?? {}) as JsonObject;
  for (const [key, value] of Object.entries(expected)) {
    const complaint = compare(`${path}.${key}`, (got as Record<string, Produced>)[key], value, doubles[key], tolerance);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function compareArray(
  path: string,
  got: Produced,
  expected: readonly Json[],
  double: Json | undefined,
  tolerance: Tolerance,
) {
  if (!isArrayLike(got)) return `${path}: got ${show(got)}, expected an array`;
  if (got.length !== expected.length) return `${path}: got ${got.length} entries, expected ${expected.length}`;
  const doubles = Array.isArray(double) ? (double as readonly Json[]) : undefined;
  const scale = largestOf(doubles ?? expected);
  for (let i = 0; i < expected.length; i++) {
    const wanted = asNumber(expected[i]);
    const complaint =
      wanted === undefined
        ? compare(`${path}[${i}]`, got[i], expected[i]!, doubles?.[i], tolerance)
        : compareLeaf(`${path}[${i}]`, got[i]!, wanted, asNumber(doubles?.[i]), tolerance, scale);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function compareLeaf(
  path: string,
  got: Produced,
  expected: number | boolean,
  double: number | undefined,
  tolerance: Tolerance,
  scale: number,
) {
  if (typeof expected === "boolean" || typeof got !== "number") {
    return got === expected ? undefined : `${path}: got ${show(got)}, expected ${expected}`;
  }
  const floor = CANCELLED_ABSOLUTE + CANCELLED_RELATIVE * scale;
  if (double !== undefined && !close(got, double, tolerance.double, floor)) {
    return `${path}: got ${got}, expected ${double} (double precision)`;
  }
  // A whole number without a double-precision twin is a count or an id, and those are exact.
  const exact = double === undefined && Number.isInteger(expected);
  const agrees = exact
    ? close(got, expected, tolerance.double, floor)
    : close(got, expected, tolerance.single, SINGLE_ABSOLUTE);
  return agrees ? undefined : `${path}: got ${got}, expected ${expected}`;
}

function close(got: number, wanted: number, relative: number, absolute: number): boolean {
  if (!Number.isFinite(wanted)) return Object.is(got, wanted);
  return Math.abs(got - wanted) <= relative * Math.abs(wanted) + absolute;
}

function largestOf(values: readonly Json[]): number {
  let largest = 0;
  for (const value of values) {
    const number = Math.abs(asNumber(value) ?? 0);
    if (Number.isFinite(number)) largest = Math.max(largest, number);
  }
  return largest;
}

const isArrayLike = (value: Produced): value is ArrayLike<number> => Array.isArray(value) || ArrayBuffer.isView(value);

const show = (value: unknown) => (typeof value === "object" ? "an object or array" : String(value));
