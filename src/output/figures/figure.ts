/** What a figure is, and what several figures need: series from CSV rows, labels that do not overlap. */

import type { TopLevelSpec } from "vega-lite";
import type { Variant } from "../../config/resolve.ts";
import { mean } from "../../core/statistics.ts";
import type { CsvRow } from "../csv.ts";

/** Rows of one of the run's CSV files. */
export type ReadRows = (file: string) => readonly CsvRow[];

export interface Figure {
  /** What it shows, for readers who cannot see it. */
  readonly description: string;
  /** The file of the run whose rows it shows. */
  readonly rows: "steps.csv" | "expert-load.csv" | "summary.csv";
  /**
   * @param variants as the run's config.yaml has them; none when there is no such file
   * @returns undefined where the run has nothing to show
   */
  specification(read: ReadRows, variants: readonly Variant[]): TopLevelSpec | undefined;
}

export interface Point {
  readonly variant: string;
  readonly step: number;
  readonly value: number;
}

/** The cells of a column that are not empty. */
export const points = (rows: readonly CsvRow[], column: string): Point[] =>
  rows
    .filter((row) => (row[column] ?? "") !== "")
    .map((row) => ({ variant: row["variant"]!, step: Number(row["step"]), value: Number(row[column]) }));

/** In order of first appearance. */
export const variantsOf = (rows: readonly { readonly variant?: string }[]): string[] => [
  ...new Set(rows.map((row) => row.variant!)),
];

/** At most `most` of them, evenly spaced, the first and the last among them. */
export const someOf = <T>(values: readonly T[], most: number): T[] =>
  values.length <= most
    ? [...values]
    : Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]!);

/** A name in lines of at most so many letters, parted after its "-", "_", "." and spaces where it has some. */
export function wrapped(name: string, letters: number): string[] {
  const most = Math.max(4, letters);
  const pieces = (name.match(/[^-_. ]*[-_. ]|[^-_. ]+/g) ?? [name]).flatMap(
    (piece) => piece.match(new RegExp(`.{1,${most}}`, "g"))!,
  );
  const lines: string[] = [];
  for (const piece of pieces) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + piece.length <= most) lines[lines.length - 1] = last + piece;
    else lines.push(piece);
  }
  return lines;
}

/** A name of at most so many letters: the middle of longer ones gives way, for their ends tell them apart. */
export function shortened(name: string, letters: number): string {
  if (name.length <= letters) return name;
  const head = Math.ceil((letters - 1) / 2);
  return `${name.slice(0, head)}…${name.slice(name.length - (letters - 1 - head))}`;
}

/** Each value averaged with those of the `window` − 1 steps before it, variant by variant. */
export function trailingMean(series: readonly Point[], window: number): Point[] {
  return variantsOf(series).flatMap((variant) => {
    const own = series.filter((point) => point.variant === variant);
    return own.map((point, i) => ({
      ...point,
      value: mean(own.slice(Math.max(0, i + 1 - window), i + 1).map((each) => each.value)),
    }));
  });
}

/** At most `most` points a variant: means over stretches of equally many steps, each at its last step. */
export function thinned(series: readonly Point[], most: number): Point[] {
  return variantsOf(series).flatMap((variant) => {
    const own = series.filter((point) => point.variant === variant);
    const stretch = Math.ceil(own.length / most);
    return Array.from({ length: Math.ceil(own.length / stretch) }, (_, i) => {
      const part = own.slice(i * stretch, (i + 1) * stretch);
      return { ...part.at(-1)!, value: mean(part.map((each) => each.value)) };
    });
  });
}

/** The last point of each variant. */
export const lastPoints = (series: readonly Point[]): Point[] =>
  variantsOf(series).map((variant) => series.filter((point) => point.variant === variant).at(-1)!);

/**
 * Where to put labels that want to be at `wanted` so that neighbours are at least `gap` apart: halfway between
 * pushing all of them up and pushing all of them down, which both keep the gap.
 */
export function spread(wanted: readonly number[], gap: number): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a]! - wanted[b]! || b - a);
  const up: number[] = [];
  const down: number[] = [];
  order.forEach((index, i) => {
    up.push(i === 0 ? wanted[index]! : Math.max(wanted[index]!, up[i - 1]! + gap));
  });
  for (let i = order.length - 1; i >= 0; i--) {
    const above = down[i + 1];
    down[i] = above === undefined ? wanted[order[i]!]! : Math.min(wanted[order[i]!]!, above - gap);
  }
  const places: number[] = [];
  order.forEach((index, i) => {
    places[index] = (up[i]! + down[i]!) / 2;
  });
  return places;
}

/** Smallest and largest. */
export const extent = (values: readonly number[]): [number, number] =>
  values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
