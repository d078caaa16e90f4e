/** Layers of line figures: one line a variant, told apart by colour, dash and shape, and named at its end. */
import { type Point, shortened, spread, variantsOf } from "./figure.ts";
import { textWidth } from "./font-metrics.ts";
import type { variantScales } from "./theme.ts";

type Scales = ReturnType<typeof variantScales>;

export interface LinePanel {
  readonly scales: Scales;
  /** Range of the x axis. */
  readonly steps: readonly [number, number];
  /** Range of the y axis. */
  readonly domain: readonly [number, number];
  readonly height: number;
  readonly yTitle: string;
  readonly stepTicks: number;
}

const encoding = ({ scales, steps, stepTicks, domain, yTitle }: LinePanel) => ({
  x: {
    field: "step",
    type: "quantitative" as const,
    title: "optimizer step",
    scale: { domain: [...steps], nice: false, zero: false },
    axis: { tickCount: stepTicks, tickMinStep: 1 },
  },
  y: {
    field: "value",
    type: "quantitative" as const,
    title: yTitle,
    scale: { domain: [...domain], nice: false, zero: false },
    axis: { domain: false, ticks: false },
  },
  color: { field: "variant", type: "nominal" as const, scale: scales.colour, legend: null },
});

/** Every step, in the background. */
export const faintLines = (series: readonly Point[], panel: LinePanel) => ({
  data: { values: [...series] },
  mark: { type: "line" as const, strokeWidth: 1, opacity: 0.35, aria: false },
  encoding: encoding(panel),
});

/** What the figure is about. */
export const strongLines = (series: readonly Point[], panel: LinePanel) => ({
  data: { values: [...series] },
  mark: { type: "line" as const, strokeWidth: 2.4, aria: false },
  encoding: {
    ...encoding(panel),
    strokeDash: { field: "variant", type: "nominal" as const, scale: panel.scales.dash, legend: null },
  },
});

/** Shapes a line: more would run into one another. */
const mostMarks = 12;

/** A shape on some points of each line, evenly spaced, the last among them. */
export const marks = (series: readonly Point[], panel: LinePanel) => ({
  data: { values: sparse(series) },
  mark: { type: "point" as const, filled: true, opacity: 1, size: 42, aria: false },
  encoding: {
    ...encoding(panel),
    shape: { field: "variant", type: "nominal" as const, scale: panel.scales.shape, legend: null },
  },
});

const sparse = (series: readonly Point[]): Point[] =>
  variantsOf(series).flatMap((variant) => {
    const own = series.filter((point) => point.variant === variant);
    const every = Math.ceil(own.length / mostMarks);
    return own.filter((_, i) => (own.length - 1 - i) % every === 0);
  });

const labelDistance = 9;
const labelSize = 12;
const labelHeight = 16;
const mostLetters = 30;

/** The last value of each variant's line, and its name. */
export interface EndLabel extends Point {
  readonly text: string;
}

export const endLabelsOf = (ends: readonly Point[], print: (value: number) => string): EndLabel[] =>
  ends.map((end) => ({ ...end, text: `${print(end.value)} ${shortened(end.variant, mostLetters)}` }));

/** Pixels that the labels need at the right of their panel. */
export const endLabelsWidth = (labels: readonly EndLabel[]): number =>
  labelDistance + Math.ceil(Math.max(...labels.map(({ text }) => textWidth(text, labelSize, "bold"))));

/** A panel's height, more where many lines end in labels. */
export const heightFor = (variants: readonly string[]): number => Math.max(330, labelHeight * variants.length);

/** The text at the end of each line, moved apart where lines end close together. */
export function endLabels(labels: readonly EndLabel[], panel: LinePanel) {
  const [low, high] = panel.domain;
  const places = spread(
    labels.map((label) => label.value),
    (labelHeight / panel.height) * (high - low),
  );
  return {
    data: { values: labels.map((label, i) => ({ ...label, value: places[i]! })) },
    mark: {
      type: "text" as const,
      align: "left" as const,
      baseline: "middle" as const,
      dx: labelDistance,
      fontSize: labelSize,
      fontWeight: "bold" as const,
      aria: false,
    },
    encoding: { ...encoding(panel), text: { field: "text", type: "nominal" as const } },
  };
}

/** A light box around what another panel enlarges. */
export const enlargedBox = (panel: LinePanel, { steps, domain }: LinePanel) => ({
  data: { values: [{ step: steps[0], end: steps[1], value: domain[0], top: domain[1] }] },
  mark: { type: "rect" as const, fill: "#000000", fillOpacity: 0.07, stroke: "#555555", strokeWidth: 1, aria: false },
  encoding: {
    x: encoding(panel).x,
    x2: { field: "end" },
    y: encoding(panel).y,
    y2: { field: "top" },
  },
});
