/** Bars in order, those that belong together set apart from their neighbours: the load of experts, by device. */

import { LeftAxis, roomFor } from "./axes.tsx";
import { Chart, type ChartProps } from "./chart.tsx";
import { rectangle } from "./rectangle.ts";
import { figure, linear } from "./scale.ts";

export interface BarGroup {
  readonly label: string;
  readonly values: ArrayLike<number>;
  /** Drawn as a line across the group. */
  readonly mean?: number;
}

export interface BarLine {
  readonly value: number;
  readonly label: string;
}

export interface BarsProps extends Omit<ChartProps, "draw" | "height"> {
  readonly groups: readonly BarGroup[];
  /** Which colour: the class of a series, such as "topk". */
  readonly series: string;
  readonly height?: number;
  /** End of the scale, where several charts are compared; absent: that of the values. */
  readonly most?: number;
  /** Levels across all bars. */
  readonly lines?: readonly BarLine[];
  readonly unit?: string;
}

/** Pixels beside the bars for the names of levels. */
const LEVEL_LABEL = 36;

const margin = { top: 22, right: 8, bottom: 22 };

export function Bars({ groups, series, most, lines = [], unit, height = 180, ...chart }: BarsProps) {
  const highest =
    most ?? Math.max(1e-12, ...groups.flatMap(({ values }) => Array.from(values)), ...lines.map(({ value }) => value));
  const draw = (width: number) => {
    const scale = linear([0, highest], [height - margin.bottom, margin.top], 4);
    const [left, right] = [roomFor(scale, 40), width - margin.right - (lines.length > 0 ? LEVEL_LABEL : 0)];
    const place = placesOf(groups, left, right);
    // One path for all of a kind: a slider that moves them moves one element.
    const means = groups
      .map(({ mean, values }, g) =>
        mean === undefined ? "" : `M${place.bar(g, 0)} ${scale(mean)}H${place.bar(g, values.length)}`,
      )
      .join("");
    const bars = groups
      .flatMap(({ values }, g) =>
        Array.from(values, (value, i) =>
          rectangle(place.bar(g, i), scale(value), place.breadth, scale(0) - scale(value)),
        ),
      )
      .join("");
    return (
      <>
        <LeftAxis scale={scale} title={unit} left={left} right={right} />
        <path class={`bar ${series}`} d={bars} />
        <path class="group-mean" d={means} />
        {groups.map(({ label }, g) =>
          place.hasLabel(g) ? (
            <text key={g} class="mark" x={place.middle(g)} y={height - 6} text-anchor="middle">
              {label}
            </text>
          ) : null,
        )}
        {lines.map(({ value, label }) => (
          <g class="level" key={label} transform={`translate(0 ${scale(value)})`}>
            <line x1={left} x2={right + 4} />
            <text x={right + 8} y={-3}>
              {label}
            </text>
            <text x={right + 8} y={11}>
              {figure(value)}
            </text>
          </g>
        ))}
      </>
    );
  };
  return <Chart {...chart} height={height} draw={draw} />;
}

/** Where bars and labels stand: groups apart by a bar and a half at most, bars by a fifth of their breadth. */
function placesOf(groups: readonly BarGroup[], left: number, right: number) {
  const counts = groups.map(({ values }) => values.length);
  const bars = counts.reduce((sum, count) => sum + count, 0);
  const between = Math.min(1.5, (0.3 * bars) / Math.max(1, groups.length));
  const unit = (right - left) / (bars + between * groups.length);
  const starts = counts.map(
    (_, g) => left + unit * (counts.slice(0, g).reduce((sum, count) => sum + count, 0) + between * (g + 0.5)),
  );
  const ofGroup = (right - left) / groups.length;
  const every = Math.max(1, Math.ceil(26 / ofGroup));
  return {
    breadth: Math.max(0.5, unit * (unit > 4 ? 0.8 : 0.92)),
    bar: (g: number, i: number) => starts[g]! + unit * i,
    middle: (g: number) => starts[g]! + (unit * counts[g]!) / 2,
    hasLabel: (g: number) => g % every === 0,
  };
}
