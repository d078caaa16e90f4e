/** The sources' formulas written out slowly, for variants that the given cases do not show. */
import { expect } from "chai";
import { numericalGradient } from "../routing/small-batch.ts";
import { compare, thirteenDigits } from "./compare.ts";
import { families } from "./families.ts";
import { readCase, rows } from "./golden-case.ts";

export type Rows = readonly (readonly number[])[];

export const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

export function softmax(row: readonly number[]): number[] {
  const e = row.map((x) => Math.exp(x));
  return e.map((each) => each / total(e));
}

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
export const logSum = (row: readonly number[]) => Math.log(total(row.map((x) => Math.exp(x))));

export const ranked = (row: readonly number[]) => [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b);
export const best = (row: readonly number[], count: number) => ranked(row).slice(0, count);

export const counts = (picks: Rows, experts: number) =>
  Array.from({ length: experts }, (_, e) => picks.flat().filter((each) => each === e).length);

/** Σ_i c_i Σ_t p_ti. */
export const dot = (load: readonly number[], p: Rows) => total(load.map((c, i) => c * total(p.map((row) => row[i]!))));

/** Cuts a list as the sizes say. */
export function nested(values: readonly unknown[], ...sizes: number[]): unknown {
  if (sizes.length === 0) return values;
  const [size, ...inner] = sizes as [number, ...number[]];
  const length = values.length / size;
  const parts = Array.from({ length: size }, (_, i) => values.slice(i * length, (i + 1) * length));
  return inner.length === 0 ? parts : parts.map((part) => nested(part, ...inner));
}

export function expectAgreement(
  family: keyof typeof families,
  given: { source: string; params: object; input: object; expected: object },
) {
  const golden = readCase(JSON.parse(JSON.stringify({ name: family, ...given, expected_f64: given.expected })), 0);
  const { fields } = families[family](golden);
  for (const [field, value] of Object.entries(golden.expected)) {
    if (field.startsWith("grad")) expectNear(fields[field], value);
    else expect(compare(field, fields[field], value, value, thirteenDigits)).to.equal(undefined);
  }
}

/** Gradients are finite differences here. */
export function expectNear(got: unknown, wanted: unknown): void {
  if (Array.isArray(wanted)) {
    const list = got as ArrayLike<unknown>;
    expect(list.length).to.equal(wanted.length);
    wanted.forEach((each, i) => {
      expectNear(list[i], each);
    });
  } else expect(got).to.be.closeTo(wanted as number, 1e-8);
}

export const gradientOf = (loss: (x: Rows) => number, logits: Float64Array, experts: number) =>
  rows(
    numericalGradient((x) => loss(rows(x, experts)), logits),
    experts,
  );

export const padding = (count: number) => Array.from({ length: count }, (_, i) => (i * 7) % 5 === 1);
