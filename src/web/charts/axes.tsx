/**
 * Axes: thin lines, few marks, the title at the end where it is read. Marks are moved as a whole: letters that are moved
 * by themselves are set anew, which is most of what a slider costs the browser.
 */
import { type Scale, tickLabels } from "./scale.ts";

interface AxisProps {
  readonly scale: Scale;
  readonly title?: string | undefined;
  /** Absent: as its digits tell it from its neighbours. */
  readonly show?: ((value: number) => string) | undefined;
}

const labelsOf = ({ ticks }: Scale, show: AxisProps["show"]): readonly string[] =>
  show === undefined ? tickLabels(ticks) : ticks.map(show);

/** Pixels of a text, about: Chinese characters are squares. */
export const breadthOf = (text: string): number => 7 * text.length + 5 * (text.match(/\p{Script=Han}/gu)?.length ?? 0);

/** Pixels that the labels of a left axis need, at least so many. */
export const roomFor = (scale: Scale, least: number): number =>
  Math.max(least, ...tickLabels(scale.ticks).map((label) => 14 + breadthOf(label)));

export function LeftAxis({
  scale,
  title,
  show,
  left,
  right,
}: AxisProps & { readonly left: number; readonly right: number }) {
  const labels = labelsOf(scale, show);
  return (
    <g class="axis">
      {scale.ticks.map((tick, i) => (
        <g key={tick} transform={`translate(0 ${scale(tick)})`}>
          <line class={tick === 0 ? "base" : "grid"} x1={left} x2={right} />
          <text x={left - 6} text-anchor="end" dominant-baseline="middle">
            {labels[i]}
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
  show,
  y,
  right,
}: AxisProps & { readonly y: number; readonly right: number }) {
  const labels = labelsOf(scale, show);
  return (
    <g class="axis">
      {scale.ticks.map((tick, i) => (
        <g key={tick} transform={`translate(${scale(tick)} ${y})`}>
          <line class="tick" y2={4} />
          <text y={16} text-anchor="middle">
            {labels[i]}
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
