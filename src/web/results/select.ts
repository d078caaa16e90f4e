/** From the rows of a result to curves and dots: some rows, one column over another, a line for each variant. */
import type { Series } from "../charts/lines.tsx";
import { modelTitle } from "../training/models.ts";
import { cellOf, keyOf, type Table, valuesOf } from "./table.ts";

/** Only rows with these cells; a column that is not named may have any. */
export type Filter = Readonly<Record<string, string>>;

const OTHERS = 6;

/** Class of a variant's colour: its own, or that of its place among the others. */
export function seriesOf(variant: string, variants: readonly string[]): string {
  if (variant === "topk" || variant === "moge") return variant;
  const others = variants.filter((each) => each !== "topk" && each !== "moge");
  return `series-${others.indexOf(variant) % OTHERS}`;
}

export function filtered(table: Table, filter: Filter): Table {
  const kept = Object.entries(filter).map(([column, value]) => ({ cell: cellOf(table, column), value }));
  return { ...table, rows: table.rows.filter((row) => kept.every(({ cell, value }) => cell(row) === value)) };
}

export interface Point {
  readonly x: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** Mean and extent of a column where rows have the same x; rows without either are left out. */
function pointsOf(table: Table, x: string, y: string): Point[] {
  const [xOf, yOf] = [cellOf(table, x), cellOf(table, y)];
  const [lowOf, highOf] = y === "mean" ? [cellOf(table, "low"), cellOf(table, "high")] : [yOf, yOf];
  const at = new Map<number, { sum: number; low: number; high: number; count: number }>();
  for (const row of table.rows) {
    if (xOf(row) === "" || yOf(row) === "") continue;
    const point = at.get(Number(xOf(row))) ?? { sum: 0, low: Infinity, high: -Infinity, count: 0 };
    point.sum += Number(yOf(row));
    point.low = Math.min(point.low, Number(lowOf(row)));
    point.high = Math.max(point.high, Number(highOf(row)));
    point.count++;
    at.set(Number(xOf(row)), point);
  }
  return [...at]
    .map(([where, { sum, low, high, count }]) => ({ x: where, mean: sum / count, low, high, count }))
    .sort((a, b) => a.x - b.x);
}

/** A line a variant, with a band where several rows share an x. */
export function linesOf(table: Table, x: string, y: string, filter: Filter = {}): Series[] {
  const key = keyOf(table);
  const variants = valuesOf(table, key);
  return variants.flatMap((variant) => {
    const points = pointsOf(filtered(table, { ...filter, [key]: variant }), x, y);
    if (points.length === 0) return [];
    const isSpread = points.some(({ low, high }) => low < high);
    return {
      label: modelTitle(variant),
      series: seriesOf(variant, variants),
      x: points.map((point) => point.x),
      y: points.map(({ mean }) => mean),
      ...(isSpread && { band: { low: points.map(({ low }) => low), high: points.map(({ high }) => high) } }),
    };
  });
}

export interface Dot extends Omit<Point, "x"> {
  readonly label: string;
  readonly series: string;
}

/** A dot a variant: the mean of a column and its extent. */
export function dotsOf(table: Table, y: string, filter: Filter): Dot[] {
  const key = keyOf(table);
  const variants = valuesOf(table, key);
  return variants.flatMap((variant) => {
    const own = filtered(table, { ...filter, [key]: variant });
    const all = own.rows.map(() => "0");
    const withX = { ...own, columns: [...own.columns, ""], rows: own.rows.map((row, i) => [...row, all[i]!]) };
    const [point] = pointsOf(withX, "", y);
    return point === undefined ? [] : { ...point, label: modelTitle(variant), series: seriesOf(variant, variants) };
  });
}
