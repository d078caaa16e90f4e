/** One number for each expert, in a few lines. */
import { figure, grid } from "./plain-text.ts";

/** Beyond it only the largest are shown. */
const MOST_EXPERTS = 64;
const LARGEST_SHOWN = 16;

/** `expert: number` in columns. */
export function expertFigures(values: ArrayLike<number>): string[] {
  const all = Array.from(values, (value, expert) => ({ value, expert }));
  const isLong = all.length > MOST_EXPERTS;
  const shown = isLong ? all.sort((a, b) => b.value - a.value || a.expert - b.expert).slice(0, LARGEST_SHOWN) : all;
  const numbers = String(values.length - 1).length;
  const lines = grid(
    shown.map(({ value, expert }) => `${String(expert).padStart(numbers)}: ${figure(value).padEnd(7)}`),
    "   ",
  );
  return isLong ? [...lines, `   the ${LARGEST_SHOWN} largest of ${values.length}`] : lines;
}
