/** Heat maps: cells coloured by a value. */
import type { Row } from "../../experiment/experiment.ts";
import { type DescribedFigure, distinct, plain, type Titled, titleOf } from "./experiment-figures.ts";
import { contentWidth, softInk } from "./theme.ts";

export interface HeatFigure extends Omit<Titled, "yTitle"> {
  readonly rows: readonly Row[];
  readonly x: string;
  readonly xTitle: string;
  readonly y: string;
  readonly value: string;
  readonly valueTitle: string;
  /** Where the colours turn, and the largest value that has its own. */
  readonly middle: number;
  readonly most: number;
  /** A panel for each value of this column. */
  readonly panels: string;
}

/** Cells coloured by a value around its middle, a panel a variant. */
export function heatFigure({
  rows,
  x,
  xTitle,
  y,
  value,
  valueTitle,
  middle,
  most,
  panels,
  ...titled
}: HeatFigure): DescribedFigure {
  const parts = distinct(rows, panels);
  const columns = Math.min(parts.length, 2);
  const width = Math.floor((contentWidth - 100 - 110 * columns) / columns);
  const square = y === "block";
  return {
    description: titled.description,
    title: titleOf(titled),
    columns,
    spacing: 26,
    concat: parts.map((part) => ({
      width,
      height: square ? width : { step: 22 },
      title: { text: String(part), fontSize: 12, offset: 4, color: softInk },
      data: { values: rows.filter((row) => row[panels] === part).map(plain) },
      mark: { type: "rect" as const, aria: false },
      encoding: {
        x: { field: x, type: "ordinal" as const, title: xTitle, axis: { labels: false, ticks: false } },
        y: {
          field: y,
          type: "ordinal" as const,
          title: null,
          sort: null,
          axis: square ? { labels: false, ticks: false } : { grid: false },
        },
        color: {
          field: value,
          type: "quantitative" as const,
          scale: { scheme: "blueorange" as const, domain: [0, most], domainMid: middle, clamp: true },
          legend: { title: valueTitle.split("\n"), gradientLength: 110 },
        },
      },
    })),
  };
}
