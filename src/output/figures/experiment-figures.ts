/** The kinds of figures that experiments draw of their runs: quantities over training, over a setting, by variant. */
import type { TopLevelSpec } from "vega-lite";
import type { Row } from "../../experiment/experiment.ts";
import { valuesOf } from "../../experiment/rows.ts";
import { extent } from "./figure.ts";
import { contentWidth, variantScales } from "./theme.ts";

/** Says in its description what it shows, for readers who cannot see it. */
export type DescribedFigure = TopLevelSpec & { readonly description: string };

export interface Titled {
  /** Names in the order that gives them their colours, where a figure does not show all of them. */
  readonly order?: readonly string[];
  readonly title: string;
  readonly subtitle?: string | readonly string[];
  readonly description: string;
  readonly yTitle: string;
}

export const plain = (row: Row): Record<string, number | string | null> =>
  Object.fromEntries(Object.entries(row).map(([column, value]) => [column, value ?? null]));

export const titleOf = ({ title, subtitle }: Pick<Titled, "title" | "subtitle">) => ({
  text: title,
  ...(subtitle !== undefined && { subtitle: [subtitle].flat() }),
});

const legend = {
  title: null,
  orient: "top" as const,
  columns: 4,
  symbolType: "stroke",
  symbolOpacity: 1,
  symbolStrokeWidth: 2.4,
  symbolSize: 260,
};

/** Every run's own mark says in its label which run it is, so that a page can find it. */
const withLabel = (row: Row) => ({ ...plain(row), label: `run: ${row["run"]}` });
const runLabel = { field: "label", type: "nominal" as const };

const quantitative = (field: string, title: string | null, domain?: readonly number[]) => ({
  field,
  type: "quantitative" as const,
  title,
  scale: { zero: false, nice: true, ...(domain && { domain: [...domain] }) },
});

export const distinct = (rows: readonly Row[], column: string): (number | string)[] => [
  ...new Set(rows.flatMap((row) => (row[column] === undefined ? [] : [row[column]]))),
];

/** A name has the same colour in every figure; the legend shows those that are there. */
function scalesFor(rows: readonly Row[], by: string, order: readonly string[] = distinct(rows, by).map(String)) {
  const all = variantScales(order);
  const shown = order.flatMap((name, i) => (rows.some((row) => String(row[by]) === name) ? [i] : []));
  const only = <T>({ domain, range }: { domain: readonly string[]; range: readonly T[] }) => ({
    domain: shown.map((i) => domain[i]!),
    range: shown.map((i) => range[i]!),
  });
  return { colour: only(all.colour), dash: only(all.dash) };
}

export interface CurveFigure extends Titled {
  /** Rows of curves.csv, of one curve. */
  readonly rows: readonly Row[];
  /** Column that tells the lines apart. */
  readonly by: string;
}

/** Lines with bands over the optimizer steps, a panel a layer where there are layers. */
export function curveFigure({ rows, by, order, ...titled }: CurveFigure): DescribedFigure {
  const scales = scalesFor(rows, by, order);
  const layers = distinct(rows, "layer");
  const panels = layers.length === 0 ? [undefined] : layers;
  const width = Math.floor((contentWidth - 60 * panels.length) / panels.length);
  // Panels are compared, so they share their scale.
  const shown = extent([...valuesOf(rows, "low"), ...valuesOf(rows, "high")]);
  const domain = panels.length > 1 ? padded(shown) : undefined;
  const color = { field: by, type: "nominal" as const, scale: scales.colour, legend };
  const strokeDash = { field: by, type: "nominal" as const, scale: scales.dash, legend };
  const x = { ...quantitative("step", "optimizer step"), axis: { tickCount: 5, tickMinStep: 1 } };
  return {
    description: titled.description,
    title: titleOf(titled),
    spacing: 24,
    hconcat: panels.map((layer, i) => ({
      width,
      height: 260,
      ...(layer !== undefined && { title: { text: `layer ${layer}`, fontSize: 12, offset: 4 } }),
      data: { values: rows.filter((row) => row["layer"] === layer).map(plain) },
      layer: [
        {
          mark: { type: "area" as const, opacity: 0.18, aria: false },
          encoding: { x, y: quantitative("low", i === 0 ? titled.yTitle : null, domain), y2: { field: "high" }, color },
        },
        {
          mark: { type: "line" as const, strokeWidth: 2.2, aria: false },
          encoding: { x, y: quantitative("mean", i === 0 ? titled.yTitle : null, domain), color, strokeDash },
        },
      ],
    })),
  };
}

/** A little air on both sides. */
function padded([low, high]: readonly [number, number]): [number, number] {
  const air = 0.05 * (high - low) || 0.05;
  return [low - air, high + air];
}

export interface DotFigure extends Titled {
  /** Rows of runs.csv. */
  readonly runs: readonly Row[];
  /** Rows of means.csv, of the same column. */
  readonly means: readonly Row[];
  readonly column: string;
  /** Column of the rows down the page. */
  readonly by: string;
  /** Several columns of panels, by this column. */
  readonly panels?: string;
}

/** A dot a run and the mean with its interval, a row a setting. */
export function dotFigure({ runs, means, column, by, panels, order, ...titled }: DotFigure): DescribedFigure {
  const sort = distinct(means, by).map(String);
  const parts = panels === undefined ? [undefined] : distinct(means, panels);
  const scales = scalesFor(means, by, order);
  // Panels are compared, so they share their scale.
  const shown = [...valuesOf(means, "low"), ...valuesOf(means, "high"), ...valuesOf(runs, column)];
  const domain = panels === undefined || shown.length === 0 ? undefined : padded(extent(shown));
  const width = Math.floor((contentWidth - 150 - 22 * (parts.length - 1)) / parts.length);
  const color = { field: by, type: "nominal" as const, scale: scales.colour, legend: null };
  return {
    description: titled.description,
    title: titleOf(titled),
    spacing: 20,
    hconcat: parts.map((part, i) => {
      const axis = i === 0 ? { labelLimit: 200, grid: false } : { labels: false, ticks: false, grid: false };
      const y = { field: by, type: "nominal" as const, title: null, sort, axis };
      const own = (rows: readonly Row[]) =>
        rows.filter((row) => part === undefined || row[panels!] === part).map(plain);
      const dots = runs
        .filter((row) => (part === undefined || row[panels!] === part) && row[column] !== undefined)
        .map(withLabel);
      return {
        width,
        height: { step: 30 },
        ...(part !== undefined && { title: { text: String(part), fontSize: 12, offset: 4 } }),
        layer: [
          ...(dots.length === 0
            ? []
            : [
                {
                  data: {
                    values: dots,
                  },
                  mark: { type: "point" as const, filled: true, size: 34, opacity: 0.5 },
                  encoding: {
                    y,
                    x: quantitative(column.replaceAll(".", "\\."), titled.yTitle, domain),
                    color,
                    description: runLabel,
                  },
                },
              ]),
          {
            data: { values: own(means) },
            mark: { type: "rule" as const, strokeWidth: 3, aria: false },
            encoding: { y, x: quantitative("low", titled.yTitle, domain), x2: { field: "high" }, color },
          },
          {
            data: { values: own(means) },
            mark: { type: "tick" as const, thickness: 3, size: 18, aria: false },
            encoding: { y, x: quantitative("mean", titled.yTitle, domain), color },
          },
        ],
      };
    }),
  };
}

export interface TrendFigure extends Titled {
  readonly runs: readonly Row[];
  readonly means: readonly Row[];
  readonly column: string;
  /** Numeric column of the x axis, by powers of two. */
  readonly x: string;
  readonly xTitle: string;
  readonly by: string;
}

/** Means with bands over a setting that doubles, and a dot a run. */
export function trendFigure({ runs, means, column, x, xTitle, by, order, ...titled }: TrendFigure): DescribedFigure {
  const scales = scalesFor(means, by, order);
  const color = { field: by, type: "nominal" as const, scale: scales.colour, legend };
  const places = distinct(means, x).map(Number);
  const across = {
    field: x.replaceAll(".", "\\."),
    type: "quantitative" as const,
    title: xTitle,
    scale: { type: "log" as const, base: 2, nice: false, padding: 14 },
    axis: { values: places, grid: false },
  };
  return {
    description: titled.description,
    title: titleOf(titled),
    width: contentWidth - 60,
    height: 300,
    layer: [
      {
        data: { values: means.map(plain) },
        mark: { type: "area" as const, opacity: 0.18, aria: false },
        encoding: { x: across, y: quantitative("low", titled.yTitle), y2: { field: "high" }, color },
      },
      {
        data: { values: means.map(plain) },
        mark: { type: "line" as const, strokeWidth: 2.2, aria: false },
        encoding: {
          x: across,
          y: quantitative("mean", titled.yTitle),
          color,
          strokeDash: { field: by, type: "nominal" as const, scale: scales.dash, legend },
        },
      },
      {
        data: { values: runs.filter((row) => row[column] !== undefined).map(withLabel) },
        mark: { type: "point" as const, filled: true, size: 34, opacity: 0.55 },
        encoding: { x: across, y: quantitative(column, titled.yTitle), color, description: runLabel },
      },
    ],
  };
}

export interface ScatterFigure extends Titled {
  readonly runs: readonly Row[];
  readonly x: string;
  readonly xTitle: string;
  readonly y: string;
  readonly by: string;
}

/** A dot a run, one figure against another. */
export function scatterFigure({ runs, x, xTitle, y, by, order, ...titled }: ScatterFigure): DescribedFigure {
  const scales = scalesFor(runs, by, order);
  return {
    description: titled.description,
    title: titleOf(titled),
    width: contentWidth - 60,
    height: 320,
    data: { values: runs.map(withLabel) },
    mark: { type: "point" as const, filled: true, size: 42, opacity: 0.6 },
    encoding: {
      x: quantitative(x, xTitle),
      y: quantitative(y, titled.yTitle),
      color: { field: by, type: "nominal" as const, scale: scales.colour, legend: { ...legend, symbolType: "circle" } },
      description: runLabel,
    },
  };
}
