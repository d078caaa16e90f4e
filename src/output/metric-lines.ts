/** Measured metrics for a terminal and for files: each with its formula, for names alone mislead. */
import type { Measured } from "../metrics/measure.ts";
import type { Cell } from "./csv-text.ts";
import { figure, wrapped } from "./plain-text.ts";

/** A metric of experts, devices or both: its values, and the formula below. */
export function metricLines(measured: readonly Measured[]): string[] {
  const names = [...new Set(measured.map(({ metric }) => metric))];
  return names.flatMap((name) => {
    const values = measured.filter(({ metric }) => metric === name);
    const { formula, unit } = values[0]!.description;
    const shown = values.map(({ of, value }) => `${of === "" ? "" : `${of} `}${figure(value)}`).join("  ");
    const inUnits = unit === "1" ? formula : `${formula}, in ${unit}`;
    return [`${name.padEnd(30)} ${shown}`, ...wrapped(inUnits, "    = ", "      ")];
  });
}

export interface MetricJson {
  readonly metric: string;
  readonly of?: string;
  /** null: not a number, because nothing is compared */
  readonly value: number | null;
  readonly unit: string;
  readonly formula: string;
}

export const metricJson = (measured: readonly Measured[]): MetricJson[] =>
  measured.map(({ metric, of, value, description: { unit, formula } }) => ({
    metric,
    ...(of !== "" && { of }),
    value: Number.isFinite(value) ? value : null,
    unit,
    formula,
  }));

/** With a header. */
export const metricRows = (measured: readonly Measured[]): Cell[][] => [
  ["metric", "of", "value", "unit", "direction", "formula", "source"],
  ...measured.map(({ metric, of, value, description: { unit, direction, formula, source } }) => [
    metric,
    of,
    Number.isFinite(value) ? value : undefined,
    unit,
    direction,
    formula,
    source,
  ]),
];
