/** Lines over a common axis, with a band where their values scatter; each with a dash of its own and its name at its end. */

import { BottomAxis, breadthOf, LeftAxis, roomFor } from "./axes.tsx";
import { Chart, type ChartProps } from "./chart.tsx";
import { extent, linear, type Scale } from "./scale.ts";

export interface Series {
  readonly label: string;
  /** Class of its colour and dash: "topk", "moge" or "series-0" … "series-6". */
  readonly series: string;
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
  /** Least and largest at each x. */
  readonly band?: { readonly low: ArrayLike<number>; readonly high: ArrayLike<number> };
}

export interface LinesProps extends Omit<ChartProps, "draw" | "height"> {
  readonly lines: readonly Series[];
  readonly xTitle: string;
  readonly yTitle: string;
  readonly height?: number;
  readonly xDomain?: readonly [number, number];
  readonly yDomain?: readonly [number, number];
}

const margin = { top: 24, bottom: 40 };

export function Lines({ lines, xTitle, yTitle, height = 240, xDomain, yDomain, ...chart }: LinesProps) {
  const xs = xDomain ?? extent(lines.flatMap(({ x }) => Array.from(x)));
  const ys =
    yDomain ??
    extent(lines.flatMap(({ y, band }) => [y, band?.low ?? [], band?.high ?? []].flatMap((all) => Array.from(all))));
  const draw = (width: number) => {
    const right = width - Math.min(0.45 * width, 16 + Math.max(0, ...lines.map(({ label }) => breadthOf(label))));
    const y = linear(ys, [height - margin.bottom, margin.top], 5);
    const left = roomFor(y, 48);
    const x = linear(xs, [left, right], Math.max(3, Math.floor((right - left) / 80)));
    const labels = apart(
      lines.map((line) => y(lastOf(line))),
      height - margin.bottom - 4,
    );
    return (
      <>
        <LeftAxis scale={y} title={yTitle} left={left} right={right} />
        <BottomAxis scale={x} title={xTitle} y={height - margin.bottom} right={right} />
        {firstOnTop(
          lines.map((line, i) => (
            <g key={line.label} class={`line ${line.series}`}>
              {line.band ? <path class="band" d={bandOf(line, line.band, x, y)} /> : null}
              <path class="stroke" d={pathOf(line, x, y)} />
              {line.y.length === 0 ? null : (
                <text class="mark" x={right + 6} y={labels[i]} dominant-baseline="middle">
                  {line.label}
                </text>
              )}
            </g>
          )),
        )}
      </>
    );
  };
  return <Chart {...chart} height={height} draw={draw} />;
}

/** In the order of drawing: the first line is dashed, and shows what it covers between its dashes. */
export const firstOnTop = <Drawn,>(lines: readonly Drawn[]): Drawn[] => lines.toReversed();

const lastOf = ({ y }: Series): number => Array.from(y).findLast(Number.isFinite) ?? 0;

/** Half of the dash, in pixels, that stands for a value without neighbours. */
const LONE = 3;

/** A line that is broken where a value is missing. */
export function pathOf({ x, y }: Series, xScale: Scale, yScale: Scale): string {
  const has = (i: number) => Number.isFinite(y[i]);
  let path = "";
  for (let i = 0; i < x.length; i++) {
    if (!has(i)) continue;
    const [at, up] = [xScale(x[i]!), yScale(y[i]!).toFixed(1)];
    if (has(i - 1)) path += `L${at.toFixed(1)} ${up}`;
    else path += has(i + 1) ? `M${at.toFixed(1)} ${up}` : `M${(at - LONE).toFixed(1)} ${up}h${2 * LONE}`;
  }
  return path;
}

function bandOf({ x }: Series, { low, high }: NonNullable<Series["band"]>, xScale: Scale, yScale: Scale): string {
  const points = Array.from(x, (_, i) => i).filter((i) => Number.isFinite(low[i]) && Number.isFinite(high[i]));
  const at = (i: number, y: ArrayLike<number>) => `${xScale(x[i]!).toFixed(1)} ${yScale(y[i]!).toFixed(1)}`;
  const there = points.map((i) => at(i, high));
  const back = points.map((i) => at(i, low)).reverse();
  return points.length === 0 ? "" : `M${[...there, ...back].join("L")}Z`;
}

/** Labels moved until none covers another, and none is below the lowest place. */
function apart(places: readonly number[], lowest: number, least = 15): number[] {
  const order = places.map((_, i) => i).sort((a, b) => places[a]! - places[b]!);
  const moved = [...places];
  let last = Number.NEGATIVE_INFINITY;
  for (const i of order) last = moved[i] = Math.max(moved[i]!, last + least);
  let below = lowest + least;
  for (const i of order.toReversed()) below = moved[i] = Math.min(moved[i]!, below - least);
  return moved;
}
