/** One golden case as a file holds it, and how an adapter reads numbers out of it. */
import type { Floats } from "../../src/core/floats.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

export interface GoldenCase {
  readonly name: string;
  readonly source: string;
  readonly tags: readonly string[];
  readonly params: JsonObject;
  readonly input: JsonObject;
  readonly expected: JsonObject;
  readonly expected_f64: JsonObject;
  /** Written with nine digits, not thirteen: the double-precision numbers of a case that gives both side by side. */
  readonly nineDigits: boolean;
}

/** A field of a result: numbers nested as in the case, or a check of its own that says what is wrong. */
export type Produced =
  | number
  | boolean
  | ArrayLike<number>
  | readonly Produced[]
  | { readonly [field: string]: Produced | undefined }
  | ((expected: Json) => string | undefined);

/** What an adapter makes of a case: every field it can compute. */
export interface Answer {
  readonly fields: { readonly [field: string]: Produced | undefined };
  /** Fields that agree with the single-precision run less closely than others do: the relative tolerance. */
  readonly loosely?: { readonly [field: string]: number };
}

export type Adapter = (golden: GoldenCase) => Answer;

/** An error in the case itself. */
export class MalformedCase extends Error {}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @throws MalformedCase naming what is missing */
export function readCase(value: unknown, index: number): GoldenCase {
  if (!isObject(value)) throw new MalformedCase(`case ${index}: expected an object`);
  const name = typeof value["name"] === "string" ? value["name"] : undefined;
  const what = name ?? `case ${index}`;
  if (name === undefined) throw new MalformedCase(`${what}: no name`);
  const part = (key: string, fallback?: JsonObject) => {
    const found = value[key] ?? fallback;
    if (!isObject(found)) throw new MalformedCase(`${what}: '${key}' is missing or no object`);
    return found;
  };
  const expected = part("expected");
  const sideBySide = isObject(expected["f32"]) && isObject(expected["f64"]) ? expected["f64"] : undefined;
  const tags = Array.isArray(value["tags"]) ? value["tags"].map(String) : [];
  return {
    name,
    source: String(value["source"] ?? ""),
    tags,
    params: part("params", {}),
    input: part("input"),
    expected: sideBySide ?? expected, // single precision ties and saturates where double does not
    expected_f64: sideBySide ?? part("expected_f64", {}),
    nineDigits: sideBySide !== undefined,
  };
}

/** A number, or one of the strings that stand for what JSON cannot write. */
export function asNumber(value: Json | undefined): number | undefined {
  if (typeof value === "number") return value;
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  return undefined;
}

/** The first of these keys that holds a number. @throws MalformedCase if none does and there is no fallback */
export function numberOf(object: JsonObject, keys: string | readonly string[], fallback?: number): number {
  for (const key of [keys].flat()) {
    const value = asNumber(object[key]);
    if (value !== undefined) return value;
  }
  if (fallback !== undefined) return fallback;
  throw new MalformedCase(`no number '${[keys].flat().join("' or '")}'`);
}

/** A nested array of numbers, flat, with its sizes. */
export interface Matrix {
  readonly values: Float64Array;
  readonly sizes: readonly number[];
}

/** @throws MalformedCase if it is absent, ragged, or holds anything but numbers */
export function matrixOf(object: JsonObject, key: string): Matrix {
  const value = object[key];
  if (!Array.isArray(value)) throw new MalformedCase(`no array '${key}'`);
  const sizes: number[] = [];
  for (let inner: Json | undefined = value; Array.isArray(inner); inner = inner[0]) sizes.push(inner.length);
  const flat: number[] = [];
  const collect = (part: Json, depth: number) => {
    const number = asNumber(part);
    if (depth === sizes.length && number !== undefined) flat.push(number);
    else if (Array.isArray(part) && part.length === sizes[depth]) for (const inner of part) collect(inner, depth + 1);
    else throw new MalformedCase(`'${key}' is ragged or holds something else than numbers`);
  };
  collect(value, 0);
  return { values: Float64Array.from(flat), sizes };
}

/** Cuts a flat array into rows of equal length. */
export function rows(values: Floats | Int32Array, columns: number): number[][] {
  const cut: number[][] = [];
  for (let at = 0; at < values.length; at += columns) cut.push(Array.from(values.subarray(at, at + columns)));
  return cut;
}
