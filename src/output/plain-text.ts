/** Plain text for a terminal of 80 columns. */

export const TERMINAL_WIDTH = 80;

/** Words in lines of at most `width` letters, the first line after `first`, the others after `rest`. */
export function wrapped(text: string, first = "", rest = first, width = TERMINAL_WIDTH): string[] {
  const lines = [first];
  let isFresh = true;
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (!isFresh && line.length + 1 + word.length > width) {
      lines.push(`${rest}${word}`);
    } else {
      lines[lines.length - 1] = isFresh ? `${line}${word}` : `${line} ${word}`;
    }
    isFresh = false;
  }
  return lines;
}

/**
 * A table: rows of as many cells as the first, in columns as wide as their widest.
 * @param isText whether the cells of a column stand at its left, as words do, rather than at its right
 */
export function aligned(
  rows: readonly (readonly string[])[],
  isText: (column: number) => boolean,
  gap = "  ",
): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const padded = (cell: string, column: number) =>
    isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return rows.map((row) => row.map(padded).join(gap).trimEnd());
}

/** Cells in columns of equal width, as many a line as fit. */
export function grid(cells: readonly string[], indent: string, width = TERMINAL_WIDTH): string[] {
  const widest = Math.max(0, ...cells.map((cell) => cell.length));
  const each = widest + 2;
  const most = Math.max(1, Math.floor((width - indent.length + 2) / each));
  const perLine = [32, 16, 8, 4, 2, 1].find((count) => count <= most)!;
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i += perLine) {
    lines.push(
      (
        indent +
        cells
          .slice(i, i + perLine)
          .map((cell) => cell.padStart(widest))
          .join("  ")
      ).trimEnd(),
    );
  }
  return lines;
}

/** Four significant digits, no exponent where it can be helped; an exact 0 shows that it is one. */
export function figure(value: number): string {
  if (Number.isNaN(value)) return "-";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const text = String(Number(value.toPrecision(4)));
  return text.replace(/^-/, "−");
}
