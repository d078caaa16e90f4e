/** A table of strengths as cells: rows with a name each, columns in groups set apart, the darker the more. */
import { Chart, type ChartProps } from "./chart.tsx";

export interface CellsProps extends Omit<ChartProps, "draw" | "height"> {
  readonly rows: readonly string[];
  /** [rows, columns] */
  readonly values: ArrayLike<number>;
  /** Names of equal runs of columns. */
  readonly columnGroups: readonly string[];
  readonly columnTitle: string;
  /** Class of the colour. */
  readonly series: string;
  /** The value that is darkest. */
  readonly most: number;
}

const margin = { top: 4, bottom: 38, left: 92 };
const pitch = 20;

export function Cells({ rows, values, columnGroups, columnTitle, series, most, ...chart }: CellsProps) {
  const columns = values.length / rows.length;
  const inGroup = columns / columnGroups.length;
  const bottom = margin.top + pitch * rows.length;
  const draw = (width: number) => {
    const ofGroup = (width - margin.left) / columnGroups.length;
    const gap = Math.min(5, ofGroup / 6);
    const breadth = (ofGroup - gap) / inGroup;
    const left = (column: number) =>
      margin.left + Math.floor(column / inGroup) * ofGroup + (column % inGroup) * breadth;
    return (
      <g class={`cell-table ${series}`}>
        {rows.map((label, r) => (
          <g key={label}>
            <text class="mark" x={margin.left - 8} y={margin.top + pitch * (r + 0.5)} text-anchor="end" dy="0.35em">
              {label}
            </text>
            {Array.from({ length: columns }, (_, column) => (
              <rect
                key={column}
                class="cell"
                x={left(column).toFixed(1)}
                y={margin.top + pitch * r + 1}
                width={breadth.toFixed(1)}
                height={pitch - 3}
                fill-opacity={Math.min(1, 0.04 + (0.96 * values[r * columns + column]!) / most).toFixed(2)}
              />
            ))}
          </g>
        ))}
        {columnGroups.map((label, g) => (
          <text
            key={label}
            class="mark"
            x={margin.left + ofGroup * (g + 0.5) - gap / 2}
            y={bottom + 14}
            text-anchor="middle"
          >
            {label}
          </text>
        ))}
        <text class="title" x={width} y={bottom + 31} text-anchor="end">
          {columnTitle}
        </text>
      </g>
    );
  };
  return <Chart {...chart} height={bottom + margin.bottom} draw={draw} />;
}
