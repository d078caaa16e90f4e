/**
 * Where each byte of a sentence goes: a column a byte, a band of rows a device, a mark an expert, the stronger the more of
 * its output counts. A sentence too long for the page goes on in the next line.
 */
import type { RoutedBytes } from "../training/trainer.ts";
import { Chart, type ChartProps } from "./chart.tsx";

export interface BytesProps extends Omit<ChartProps, "draw" | "height"> {
  /** What stands under each byte. */
  readonly letters: readonly string[];
  readonly routed: RoutedBytes;
  readonly experts: number;
  readonly devices: number;
  /** Class of the colour. */
  readonly series: string;
  /** The byte that is looked at. */
  readonly chosen: number;
  readonly deviceTitle: string;
  choose(byte: number): void;
}

const margin = { left: 40, top: 16, letters: 22, between: 14 };
const column = { least: 11, most: 20 };
const row = 2.5;
const bandGap = 3;

export function Bytes({
  letters,
  routed,
  experts,
  devices,
  series,
  chosen,
  choose,
  deviceTitle,
  ...chart
}: BytesProps) {
  const inBand = experts / devices;
  const band = inBand * row + bandGap;
  const line = devices * band + margin.letters + margin.between;
  const { slots } = routed;
  const most = Math.max(1e-9, ...routed.weights);
  const inLine = (width: number) => Math.max(1, Math.floor((width - margin.left) / column.least));
  const height = (width: number) => margin.top + line * Math.max(1, Math.ceil(letters.length / inLine(width)));
  const draw = (width: number) => {
    const count = inLine(width);
    const lines = Math.max(1, Math.ceil(letters.length / count));
    const pitch = Math.min(column.most, (width - margin.left) / Math.min(count, letters.length || 1));
    const right = margin.left + pitch * Math.min(count, letters.length);
    const x = (byte: number) => margin.left + (byte % count) * pitch;
    const top = (byte: number) => margin.top + Math.floor(byte / count) * line;
    const y = (expert: number) => Math.floor(expert / inBand) * band + (expert % inBand) * row;
    return (
      <g class={`bytes ${series}`}>
        <text class="title" x={0} y={9}>
          {deviceTitle}
        </text>
        {Array.from({ length: lines }, (_, l) =>
          Array.from({ length: devices }, (_unused, d) => (
            <g key={`${l} ${d}`}>
              <rect
                class="band"
                x={margin.left}
                y={margin.top + l * line + d * band}
                width={right - margin.left}
                height={band - bandGap}
              />
              <text
                class="mark"
                x={margin.left - 8}
                y={margin.top + l * line + (d + 0.5) * band}
                text-anchor="end"
                dy="0.2em"
              >
                {d}
              </text>
            </g>
          )),
        )}
        {letters.map((letter, byte) => (
          // biome-ignore lint/a11y/noStaticElementInteractions: the slider beside it does the same by keyboard
          <g key={byte} class={byte === chosen ? "byte chosen" : "byte"} onClick={() => choose(byte)}>
            <rect class="hit" x={x(byte)} y={top(byte)} width={pitch} height={devices * band + margin.letters} />
            {Array.from({ length: slots }, (_, j) => {
              const expert = routed.experts[byte * slots + j];
              if (expert === undefined || expert < 0) return null;
              return (
                <rect
                  key={j}
                  class="mark-cell"
                  x={(x(byte) + 0.5).toFixed(1)}
                  y={(top(byte) + y(expert)).toFixed(1)}
                  width={(pitch - 1).toFixed(1)}
                  height={row}
                  fill-opacity={(0.25 + (0.75 * routed.weights[byte * slots + j]!) / most).toFixed(2)}
                />
              );
            })}
            <text class="letter" x={x(byte) + pitch / 2} y={top(byte) + devices * band + 13} text-anchor="middle">
              {letter}
            </text>
          </g>
        ))}
      </g>
    );
  };
  return <Chart {...chart} height={height} draw={draw} />;
}
