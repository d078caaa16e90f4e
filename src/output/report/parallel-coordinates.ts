/** Parallel coordinates: an axis a column, a line a run (Inselberg 1985), as SVG. Runs say which they are. */
import type { Row } from "../../experiment/experiment.ts";
import { variantScales } from "../figures/theme.ts";
import { escaped } from "./escaped.ts";

const HEIGHT = 280;
const AXIS_GAP = 128;
const MARGIN = { top: 58, right: 70, bottom: 14, left: 70 };

interface Axis {
  readonly column: string;
  /** Ticks with their places, 0 at the bottom, 1 at the top. */
  readonly ticks: readonly { readonly text: string; readonly at: number }[];
  /** Undefined where a run has no value. */
  place(row: Row): number | undefined;
}

/** @param columns axes from left to right; those with a single value are left out @param by column that colours the lines */
export function parallelCoordinates(rows: readonly Row[], columns: readonly string[], by: string): string | undefined {
  const axes = columns.flatMap((column) => axisOf(rows, column) ?? []);
  if (axes.length < 2 || rows.length < 2) return undefined;
  const width = MARGIN.left + MARGIN.right + AXIS_GAP * (axes.length - 1);
  const height = MARGIN.top + HEIGHT + MARGIN.bottom;
  const x = (i: number) => MARGIN.left + AXIS_GAP * i;
  const y = (at: number) => MARGIN.top + HEIGHT * (1 - at);
  const kinds = [...new Set(rows.map((row) => String(row[by])))];
  const { colour } = variantScales(kinds);
  const lines = rows.map((row) => {
    const points = axes.map((axis, i) => {
      const at = axis.place(row);
      return at === undefined ? undefined : `${x(i).toFixed(1)},${y(at).toFixed(1)}`;
    });
    const path = pieces(points)
      .map((piece) => `M${piece.join("L")}`)
      .join("");
    return `<path data-run="${escaped(String(row["run"]))}" d="${path}" fill="none" stroke="${colour.range[kinds.indexOf(String(row[by]))]}" stroke-width="1.4" opacity="${rows.length > 200 ? 0.3 : 0.6}"/>`;
  });
  const drawnAxes = axes.map(({ column, ticks }, i) => {
    const labels = ticks.map(
      ({ text, at }) =>
        `<text x="${x(i) + 6}" y="${(y(at) + 4).toFixed(1)}" font-size="11" fill="#555555">${escaped(text)}</text>`,
    );
    return `<line x1="${x(i)}" x2="${x(i)}" y1="${y(0)}" y2="${y(1)}" stroke="#888888"/>${title(column, x(i))}${labels.join("")}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="DejaVu Sans, Verdana, sans-serif" role="img" aria-label="Parallel coordinates: a line a run over ${escaped(axes.map(({ column }) => column).join(", "))}">${lines.join("")}${drawnAxes.join("")}</svg>`;
}

/** In lines of a few words, above the axis. */
function title(column: string, x: number): string {
  const lines: string[] = [];
  for (const word of column.split(/(?<=[_.])/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length <= 17) lines[lines.length - 1] = last + word;
    else lines.push(word);
  }
  const shown = lines.slice(0, 3);
  return shown
    .map(
      (line, i) =>
        `<text x="${x}" y="${MARGIN.top - 12 - 13 * (shown.length - 1 - i)}" text-anchor="middle" font-size="11" font-weight="bold" fill="#222222">${escaped(line)}</text>`,
    )
    .join("");
}

function axisOf(rows: readonly Row[], column: string): Axis | undefined {
  const values = rows.flatMap((row) => (row[column] === undefined ? [] : [row[column]]));
  const distinct = [...new Set(values)];
  if (distinct.length < 2) return undefined;
  if (values.every((value) => typeof value === "number")) {
    const low = values.reduce((least, each) => Math.min(least, each));
    const high = values.reduce((most, each) => Math.max(most, each));
    const at = (value: number) => (value - low) / (high - low);
    const ticks = [low, (low + high) / 2, high].map((value) => ({
      text: String(Number(value.toPrecision(3))),
      at: at(value),
    }));
    return { column, ticks, place: (row) => (typeof row[column] === "number" ? at(row[column]) : undefined) };
  }
  const place = (value: unknown) => distinct.indexOf(value as string) / (distinct.length - 1);
  const every = Math.ceil(distinct.length / 18);
  const ticks = distinct.filter((_, i) => i % every === 0).map((value) => ({ text: String(value), at: place(value) }));
  return { column, ticks, place: (row) => (row[column] === undefined ? undefined : place(row[column])) };
}

/** Stretches without a gap. */
function pieces<T>(values: readonly (T | undefined)[]): T[][] {
  const parts: T[][] = [[]];
  for (const value of values) {
    if (value === undefined) parts.push([]);
    else parts.at(-1)!.push(value);
  }
  return parts.filter((part) => part.length > 1);
}
