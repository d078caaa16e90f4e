/** Who does what when: a row for each device, a stretch for each kind of work. Work is filled, waiting is hollow. */
import { BottomAxis } from "./axes.tsx";
import { Chart, type ChartProps } from "./chart.tsx";
import { linear } from "./scale.ts";

export type Work = "compute" | "send" | "wait";

export interface Stretch {
  readonly kind: Work;
  readonly from: number;
  readonly to: number;
  /** Written inside where there is room. */
  readonly label?: string;
}

export interface TimelineProps extends Omit<ChartProps, "draw" | "height"> {
  readonly rows: readonly { readonly label: string; readonly stretches: readonly Stretch[] }[];
  /** End of the axis, where several charts are compared. */
  readonly end: number;
  readonly unit: string;
  readonly show?: (value: number) => string;
}

const margin = { top: 4, right: 12, bottom: 38, left: 40 };

export function Timeline({ rows, end, unit, show, ...chart }: TimelineProps) {
  const pitch = Math.max(5, Math.min(20, Math.floor(200 / rows.length)));
  const thick = pitch > 8 ? pitch - 4 : pitch - 1;
  const height = margin.top + pitch * rows.length + margin.bottom;
  const every = Math.max(1, Math.ceil(14 / pitch));
  const draw = (width: number) => {
    const scale = linear([0, end], [margin.left, width - margin.right], Math.max(2, Math.floor(width / 90)));
    return (
      <>
        {rows.map(({ label, stretches }, r) => (
          <g key={label}>
            {r % every === 0 ? (
              <text
                class="mark"
                x={margin.left - 6}
                y={margin.top + pitch * r + thick / 2}
                text-anchor="end"
                dominant-baseline="middle"
              >
                {label}
              </text>
            ) : null}
            {stretches.map(({ kind, from, to }, i) => (
              <rect
                key={i}
                class={`work ${kind}`}
                x={scale(from)}
                width={Math.max(0, scale(to) - scale(from))}
                y={margin.top + pitch * r}
                height={thick}
              />
            ))}
          </g>
        ))}
        <BottomAxis
          scale={scale}
          title={unit}
          show={show}
          y={margin.top + pitch * rows.length}
          right={width - margin.right}
        />
      </>
    );
  };
  return <Chart {...chart} height={height} draw={draw} />;
}
