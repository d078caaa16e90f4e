/**
 * A matrix of values between 0 and 1 as a picture: a cell a pixel on a canvas, however many there are, with marks
 * between the rows that belong together.
 */
import { useEffect, useRef } from "preact/hooks";
import { Chart, type ChartProps } from "./chart.tsx";

export interface MatrixProps extends Omit<ChartProps, "draw" | "under" | "height"> {
  readonly columns: number;
  readonly rows: number;
  /** The class of the colour of the cells. */
  readonly series: string;
  /** Writes the strength of each cell, 0 … 255, row by row; zeros at first. */
  readonly fill: (cells: Uint8ClampedArray) => void;
  /** Names of equal runs of rows. */
  readonly rowGroups: readonly string[];
  readonly columnTitle: string;
  readonly rowTitle: string;
  readonly height?: number;
}

const margin = { top: 20, right: 8, bottom: 20, left: 40 };

export function Matrix({
  columns,
  rows,
  series,
  fill,
  rowGroups,
  columnTitle,
  rowTitle,
  height = 230,
  ...chart
}: MatrixProps) {
  const inner = height - margin.top - margin.bottom;
  const every = Math.max(1, Math.ceil((14 * rowGroups.length) / inner));
  const y = (group: number) => margin.top + (inner * group) / rowGroups.length;
  const draw = (width: number) => (
    <>
      <rect class="frame" x={margin.left} y={margin.top} width={width - margin.left - margin.right} height={inner} />
      {rowGroups.map((label, g) => (
        <g key={label}>
          {g === 0 ? null : <line class="grid" x1={margin.left} x2={width - margin.right} y1={y(g)} y2={y(g)} />}
          {g % every === 0 ? (
            <text
              class="mark"
              x={margin.left - 6}
              y={(y(g) + y(g + 1)) / 2}
              text-anchor="end"
              dominant-baseline="middle"
            >
              {label}
            </text>
          ) : null}
        </g>
      ))}
      <text class="title" x={0} y={10}>
        {rowTitle}
      </text>
      <text class="title" x={width - margin.right} y={height - 4} text-anchor="end">
        {columnTitle}
      </text>
    </>
  );
  const under = (width: number) => (
    <Cells
      columns={columns}
      rows={rows}
      series={series}
      fill={fill}
      style={{
        left: `${margin.left}px`,
        top: `${margin.top}px`,
        width: `${width - margin.left - margin.right}px`,
        height: `${inner}px`,
        // More tokens than pixels: blend them, lest some vanish.
        imageRendering: columns > width - margin.left - margin.right ? "auto" : "pixelated",
      }}
    />
  );
  return <Chart {...chart} height={height} draw={draw} under={under} />;
}

type CellsProps = Pick<MatrixProps, "columns" | "rows" | "series" | "fill"> & {
  readonly style: Record<string, string>;
};

function Cells({ columns, rows, series, fill, style }: CellsProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => paint(canvas.current!, columns, rows, fill));
  return <canvas ref={canvas} class={`cells ${series}`} width={columns} height={rows} style={style} />;
}

function paint(canvas: HTMLCanvasElement, columns: number, rows: number, fill: MatrixProps["fill"]): void {
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(columns, rows);
  const strengths = new Uint8ClampedArray(columns * rows);
  fill(strengths);
  const [red, green, blue] = getComputedStyle(canvas).color.match(/\d+/g)!.map(Number);
  const colour = (blue! << 16) | (green! << 8) | red!; // little-endian, as all machines with a browser are
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (strengths[i]! << 24) | colour;
  context.putImageData(image, 0, 0);
}
