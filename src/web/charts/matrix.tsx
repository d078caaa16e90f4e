/**
 * A matrix of values between 0 and 1 as a picture: a cell a pixel on a canvas, however many there are, with marks
 * between the rows that belong together.
 */
import { useLayoutEffect, useRef } from "preact/hooks";
import { theme } from "../theme.ts";
import { Chart, type ChartProps } from "./chart.tsx";

export interface MatrixProps extends Omit<ChartProps, "draw" | "under" | "height"> {
  readonly columns: number;
  readonly rows: number;
  /** The class of the colour of the cells. */
  readonly series: string;
  /** Marks cells, counted row by row, with a strength of 0 … 255; all others have none. */
  readonly fill: (mark: (cell: number, strength: number) => void) => void;
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
  const memory = useRef(new Uint32Array(0)); // of the largest picture so far, used again for the next
  // Before the frame is shown, so that the cells never lag behind the rest of the page.
  useLayoutEffect(() => {
    const cells = columns * rows;
    if (memory.current.length < cells) memory.current = new Uint32Array(cells);
    const pixels = memory.current.subarray(0, cells);
    paint(canvas.current!, pixels, fill, colourOf(canvas.current!, `${series} ${theme.value}`));
  });
  return <canvas ref={canvas} class={`cells ${series}`} width={columns} height={rows} style={style} />;
}

function paint(canvas: HTMLCanvasElement, pixels: Uint32Array<ArrayBuffer>, fill: MatrixProps["fill"], colour: number) {
  pixels.fill(colour);
  const bytes = new Uint8ClampedArray(pixels.buffer, 0, pixels.byteLength);
  fill((cell, strength) => {
    bytes[4 * cell + 3] = strength;
  });
  canvas.getContext("2d")!.putImageData(new ImageData(bytes, canvas.width, canvas.height), 0, 0);
}

/** Colours by series and light: to ask the browser costs a whole pass over the style. */
const colours = new Map<string, number>();

/** As the low bytes of a pixel. */
function colourOf(canvas: HTMLCanvasElement, name: string): number {
  let colour = colours.get(name);
  if (colour === undefined) {
    const [red, green, blue] = getComputedStyle(canvas).color.match(/\d+/g)!.map(Number);
    colour = (blue! << 16) | (green! << 8) | red!; // little-endian, as all machines with a browser are
    colours.set(name, colour);
  }
  return colour;
}
