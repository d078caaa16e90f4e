/** A value for each of a few names, as dots on a common axis, with a line over the extent of what was averaged. */
import { BottomAxis, breadthOf } from "./axes.tsx";
import { Chart, type ChartProps } from "./chart.tsx";
import { extent, figure, linear } from "./scale.ts";

export interface Mark {
  readonly label: string;
  readonly series: string;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export interface DotsProps extends Omit<ChartProps, "draw" | "height"> {
  readonly marks: readonly Mark[];
  readonly xTitle: string;
}

const margin = { top: 8, right: 60, bottom: 42 };
const pitch = 26;

export function Dots({ marks, xTitle, ...chart }: DotsProps) {
  const bottom = margin.top + pitch * marks.length;
  const draw = (width: number) => {
    const left = Math.min(width / 2.5, 12 + Math.max(...marks.map(({ label }) => breadthOf(label))));
    const [least, most] = extent(marks.flatMap(({ low, high }) => [low, high]));
    const room = (most - least || Math.abs(most) || 1) / 20;
    const x = linear([least - room, most + room], [left, width - margin.right], 5);
    return (
      <>
        <BottomAxis scale={x} title={xTitle} y={bottom} right={width - margin.right} />
        {marks.map(({ label, series, mean, low, high }, i) => {
          const y = margin.top + pitch * (i + 0.5);
          return (
            <g key={label} class={`line ${series}`}>
              <line class="grid" x1={left} x2={width - margin.right} y1={y} y2={y} />
              <text class="mark" x={left - 10} y={y} text-anchor="end" dy="0.35em">
                {label}
              </text>
              {low < high ? <line class="extent" x1={x(low)} x2={x(high)} y1={y} y2={y} /> : null}
              <circle class="dot" cx={x(mean)} cy={y} r={5} />
              <text class="mark" x={width - margin.right + 8} y={y} dy="0.35em">
                {figure(mean)}
              </text>
            </g>
          );
        })}
      </>
    );
  };
  return <Chart {...chart} height={bottom + margin.bottom} draw={draw} />;
}
