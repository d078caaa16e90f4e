/** A figure of any CSV files of ours: one column against another, or whatever a Vega-Lite specification makes of them. */
import type { TopLevelSpec } from "vega-lite";
import type { Row } from "../experiment/experiment.ts";
import { bootstrap } from "../experiment/rows.ts";
import type { CsvRow } from "./csv.ts";
import { contentWidth, variantScales } from "./figures/theme.ts";

export interface PlotAxes {
  readonly x: string;
  readonly y: string;
  /** Column that tells the lines apart. */
  readonly by?: string | undefined;
}

/** Cells as numbers where all of a column's are; empty ones are left out. */
export function typedRows(rows: readonly CsvRow[]): Row[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const numeric = new Set(
    columns.filter((column) => rows.every((row) => (row[column] ?? "") === "" || Number.isFinite(Number(row[column])))),
  );
  return rows.map((row) =>
    Object.fromEntries(
      columns.map((column) => {
        const cell = row[column] ?? "";
        return [column, cell === "" ? undefined : numeric.has(column) ? Number(cell) : cell];
      }),
    ),
  );
}

/** What a figure shows: y at each x, mean and 95 % bootstrap interval where there are several. */
export function plottedRows(rows: readonly Row[], { x, y, by }: PlotAxes): Row[] {
  const groups = new Map<string, { readonly row: Row; readonly values: number[] }>();
  for (const row of rows) {
    const [at, value] = [row[x], row[y]];
    if (at === undefined || typeof value !== "number") continue;
    const key = JSON.stringify([at, by === undefined ? null : row[by]]);
    const group = groups.get(key) ?? { row, values: [] };
    group.values.push(value);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ row, values }) => {
    const { mean, low, high, count } = bootstrap(values);
    return { [x]: row[x], ...(by !== undefined && { [by]: row[by] }), [y]: mean, low, high, rows: count };
  });
}

/** Lines with bands where x is a number, dots with bars where it is text. */
export function plotSpecification(
  plotted: readonly Row[],
  { x, y, by }: PlotAxes,
): TopLevelSpec & { description: string } {
  const isNumeric = plotted.every((row) => typeof row[x] === "number");
  const named = plotted.map((row) => ({ ...row, x: row[x], y: row[y], by: by === undefined ? y : String(row[by]) }));
  const kinds = [...new Set(named.map((row) => row.by))];
  const scales = variantScales(kinds);
  const legend = kinds.length > 1 ? { title: by ?? null, orient: "top" as const, columns: 4, symbolOpacity: 1 } : null;
  const color = { field: "by", type: "nominal" as const, scale: scales.colour, legend };
  const across = isNumeric
    ? { field: "x", type: "quantitative" as const, title: x, scale: { zero: false, nice: false } }
    : { field: "x", type: "nominal" as const, title: x, sort: null };
  const up = (field: string) => ({ field, type: "quantitative" as const, title: y, scale: { zero: false } });
  const several = plotted.some((row) => Number(row["rows"]) > 1);
  return {
    description: `${y} by ${x}${by === undefined ? "" : `, by ${by}`}`,
    title: {
      text: y.replaceAll("_", " "),
      subtitle: [several ? "Means; bands: 95 % bootstrap intervals." : ""].filter(Boolean),
    },
    width: contentWidth - 60,
    height: 340,
    data: { values: named as never },
    layer: [
      {
        mark: isNumeric ? { type: "area", opacity: 0.18, aria: false } : { type: "rule", strokeWidth: 2, aria: false },
        encoding: { x: across, y: up("low"), y2: { field: "high" }, color },
      },
      {
        mark: isNumeric
          ? { type: "line", strokeWidth: 2.2, aria: false }
          : { type: "point", filled: true, size: 60, opacity: 1, aria: false },
        encoding: { x: across, y: up("y"), color },
      },
    ],
  };
}
