/** Small pictures of the same axes beside each other, one a subject: what differs between them is seen at once. */
import { BottomAxis, LeftAxis, roomFor } from "./axes.tsx";
import { Chart, type ChartProps } from "./chart.tsx";
import { firstOnTop, pathOf, type Series } from "./lines.tsx";
import { extent, linear } from "./scale.ts";

export interface Panel {
  readonly label: string;
  readonly lines: readonly Series[];
}

export interface PanelsProps extends Omit<ChartProps, "draw" | "height"> {
  readonly panels: readonly Panel[];
  readonly xTitle: string;
  readonly yTitle: string;
  readonly xDomain?: readonly [number, number];
}

const panel = { width: 200, height: 110, gap: 22, top: 34 };
const margin = { right: 12, bottom: 40, top: 14 };

export function Panels({ panels, xTitle, yTitle, xDomain, ...chart }: PanelsProps) {
  const lines = panels.flatMap((each) => each.lines);
  const xs = xDomain ?? extent(lines.flatMap(({ x }) => Array.from(x)));
  const ys = extent(lines.flatMap(({ y }) => Array.from(y)));
  const marginLeft = roomFor(linear(ys, [panel.height, 0], 3), 40);
  const columnsFor = (width: number) =>
    Math.max(1, Math.min(panels.length, Math.floor((width - marginLeft) / panel.width)));
  const rowsFor = (width: number) => Math.ceil(panels.length / columnsFor(width));
  const height = (width: number) => margin.top + rowsFor(width) * (panel.top + panel.height) + margin.bottom;
  const draw = (width: number) => {
    const columns = columnsFor(width);
    const each = (width - marginLeft - margin.right + panel.gap) / columns;
    return (
      <>
        <text class="title" x={0} y={10}>
          {yTitle}
        </text>
        {panels.map(({ label, lines: own }, i) => {
          const [row, column] = [Math.floor(i / columns), i % columns];
          const left = marginLeft + column * each;
          const right = left + each - panel.gap;
          const top = margin.top + row * (panel.top + panel.height) + panel.top;
          const bottom = top + panel.height;
          const x = linear(xs, [left, right], 3);
          const y = linear(ys, [bottom, top], 3);
          return (
            <g key={label}>
              <LeftAxis scale={y} left={left} right={right} show={column === 0 ? undefined : () => ""} />
              {i + columns >= panels.length ? <BottomAxis scale={x} y={bottom} right={right} /> : null}
              <text class="subject" x={left} y={top - 8}>
                {label}
              </text>
              {firstOnTop(
                own.map((line, l) => (
                  <g key={line.label} class={`line ${line.series}`}>
                    <path class="stroke" d={pathOf(line, x, y)} />
                    <text class="mark" x={right - (own.length - 1 - l) * 42} y={top - 8} text-anchor="end">
                      {lastText(line)}
                    </text>
                  </g>
                )),
              )}
            </g>
          );
        })}
        <text class="title" x={width} y={height(width) - 6} text-anchor="end">
          {xTitle}
        </text>
      </>
    );
  };
  return <Chart {...chart} height={height} draw={draw} />;
}

function lastText({ y }: Series): string {
  const last = Array.from(y).findLast(Number.isFinite);
  return last === undefined ? "" : last.toPrecision(3);
}
