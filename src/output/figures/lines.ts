/** Layers of line figures: one line a variant, told apart by colour, dash and shape, and named at its end. */
import { type Point, spread, variantsOf } from "./figure.ts";
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

/** The text at the end of each line, moved apart where lines end close together. */
export function endLabels(ends: readonly Point[], text: (point: Point) => string, panel: LinePanel) {
  const [low, high] = panel.domain;
  const places = spread(
    ends.map((end) => end.value),
    (16 / panel.height) * (high - low),
  );
  return {
    data: { values: ends.map((end, i) => ({ ...end, value: places[i]!, text: text(end) })) },
    mark: {
      type: "text" as const,
      align: "left" as const,
      baseline: "middle" as const,
      dx: 9,
      fontWeight: "bold" as const,
      aria: false,
    },
    encoding: { ...encoding(panel), text: { field: "text", type: "nominal" as const } },
  };
}
