/** Who does what when: a row for each device, a stretch for each kind of work. Work is filled, waiting is hollow. */
import { BottomAxis } from "./axes.tsx";
import { Chart, type ChartProps } from "./chart.tsx";
import { rectangle } from "./rectangle.ts";
import { linear, type Scale } from "./scale.ts";

export type Work = "compute" | "send" | "wait";

export interface Stretch {
  readonly kind: Work;
  readonly from: number;
  readonly to: number;
}

export interface TimelineProps extends Omit<ChartProps, "draw" | "height"> {
  readonly rows: readonly { readonly label: string; readonly stretches: readonly Stretch[] }[];
  /** End of the axis, where several charts are compared. */
  readonly end: number;
  readonly unit: string;
  readonly show?: (value: number) => string;
}

const kinds: readonly Work[] = ["send", "compute", "wait"];

/** The stretches of one kind in one row, as a path. */
function ofKind(kind: Work, stretches: readonly Stretch[], scale: Scale, top: number, thick: number): string {
  return stretches
    .filter((stretch) => stretch.kind === kind && stretch.to > stretch.from)
    .map(({ from, to }) => rectangle(scale(from), top, scale(to) - scale(from), thick))
    .join("");
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
        {rows.map(({ label }, r) =>
          r % every === 0 ? (
            <text
              key={label}
              class="mark"
              x={margin.left - 6}
              y={margin.top + pitch * r + thick / 2}
              text-anchor="end"
              dominant-baseline="middle"
            >
              {label}
            </text>
          ) : null,
        )}
        {kinds.map((kind) => (
          <path
            key={kind}
            class={`work ${kind}`}
            d={rows.map(({ stretches }, r) => ofKind(kind, stretches, scale, margin.top + pitch * r, thick)).join("")}
          />
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
