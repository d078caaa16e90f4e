/** From values to pixels, and where the axis has its marks. */
import { ticks } from "d3-array";

export interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

/** A straight scale whose ends are the domain's. @param count about how many marks */
export function linear(
  [from, to]: readonly [number, number],
  [first, last]: readonly [number, number],
  count = 5,
): Scale {
  const span = to - from || 1;
  return Object.assign((value: number) => first + ((value - from) / span) * (last - first), {
    ticks: ticks(from, to, count),
  });
}

/** The least and the largest; [0, 1] of nothing. Values that are not finite do not count. */
export function extent(values: Iterable<number>): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return least > most ? [0, 1] : [least, most];
}

/** A number for people: three figures, no more. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "—";
  if (Number.isInteger(value) && Math.abs(value) < 1000) return String(value);
  if (Number.isInteger(value)) return value.toLocaleString("en").replaceAll(",", " ");
  if (Math.abs(value) >= 1000) return figure(Math.round(value));
  if (Math.abs(value) < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}
