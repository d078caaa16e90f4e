/** A constant together with where it comes from, so that no figure of the cost model stands on nothing. */

export const evidences = {
  measured: "timed on the hardware and published",
  vendor: "published by the vendor: data sheet, chip description or performance model",
  derived: "computed or fitted from published figures; the source says how",
  assumed: "a choice, or copied from another device; no measurement stands behind it",
} as const;

export type Evidence = keyof typeof evidences;

export interface Sourced<T> {
  readonly value: T;
  readonly source: string;
  readonly evidence: Evidence;
}

const labelled =
  (evidence: Evidence) =>
  <T>(value: T, source: string): Sourced<T> => ({ value, source, evidence });

export const measured = labelled("measured");
export const vendor = labelled("vendor");
export const derived = labelled("derived");
export const assumed = labelled("assumed");

/** Every constant in a part of the cost model, by its place in it, such as `efficiency.gemm`. */
export function constantsOf(part: object, path = ""): { readonly path: string; readonly constant: Sourced<unknown> }[] {
  return Object.entries(part).flatMap(([key, value]: [string, unknown]) => {
    const at = path === "" ? key : `${path}.${key}`;
    if (typeof value !== "object" || value === null) return [];
    return "evidence" in value ? [{ path: at, constant: value as Sourced<unknown> }] : constantsOf(value, at);
  });
}
