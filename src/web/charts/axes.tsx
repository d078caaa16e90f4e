/**
 * Axes: thin lines, few marks, the title at the end where it is read. Marks are moved as a whole: letters that are moved
 * by themselves are set anew, which is most of what a slider costs the browser.
 */
import { figure, type Scale } from "./scale.ts";

interface AxisProps {
  readonly scale: Scale;
  readonly title?: string | undefined;
  readonly show?: ((value: number) => string) | undefined;
}

export function LeftAxis({
  scale,
  title,
  show = figure,
  left,
  right,
}: AxisProps & { readonly left: number; readonly right: number }) {
  return (
    <g class="axis">
      {scale.ticks.map((tick) => (
        <g key={tick} transform={`translate(0 ${scale(tick)})`}>
          <line class={tick === 0 ? "base" : "grid"} x1={left} x2={right} />
          <text x={left - 6} text-anchor="end" dominant-baseline="middle">
            {show(tick)}
          </text>
        </g>
      ))}
      {title === undefined ? null : (
        <text class="title" x={0} y={10}>
          {title}
        </text>
      )}
    </g>
  );
}

export function BottomAxis({
  scale,
  title,
  show = figure,
  y,
  right,
}: AxisProps & { readonly y: number; readonly right: number }) {
  return (
    <g class="axis">
      {scale.ticks.map((tick) => (
        <g key={tick} transform={`translate(${scale(tick)} ${y})`}>
          <line class="tick" y2={4} />
          <text y={16} text-anchor="middle">
            {show(tick)}
          </text>
        </g>
      ))}
      {title === undefined ? null : (
        <text class="title" x={right} y={y + 32} text-anchor="end">
          {title}
        </text>
      )}
    </g>
  );
}
