/** From values to pixels, and where the axis has its marks. */

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

/** Multiples of 1, 2 or 5 times a power of ten inside a domain, `count` of them or nearly so. */
function ticks(from: number, to: number, count: number): number[] {
  if (from === to) return [from];
  const rough = (to - from) / count;
  const power = Math.floor(Math.log10(rough));
  const ratio = rough / 10 ** power;
  const factor = ratio < Math.sqrt(2) ? 1 : ratio < Math.sqrt(10) ? 2 : ratio < Math.sqrt(50) ? 5 : 10;
  // 3 / 10 is 0.3 to the bit, and 3 * 0.1 is not.
  const multiple = (i: number) => (power < 0 ? (i * factor) / 10 ** -power : i * factor * 10 ** power);
  const [first, last] = [Math.ceil(from / multiple(1) - SLACK), Math.floor(to / multiple(1) + SLACK)];
  return Array.from({ length: last - first + 1 }, (_, i) => multiple(first + i));
}

/** Of a step, by which rounding may put an end of the domain past a mark. */
const SLACK = 1e-9;

/** Of the largest: what is nearer together is spread no further, lest the last digits look like news. */
const LEAST_SPREAD = 1e-3;

/**
 * The least and the largest, set apart where they are the same or nearly so; [0, 1] of nothing. Values that are not finite
 * do not count.
 */
export function extent(values: Iterable<number>): [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  if (least > most || (least === 0 && most === 0)) return [0, 1];
  const spread = (least === most ? 1 : LEAST_SPREAD) * Math.max(Math.abs(least), Math.abs(most));
  const missing = Math.max(0, spread - (most - least)) / 2;
  return [least - missing, most + missing];
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

/** The marks of an axis in words, with as many digits as tell what each is and no more. */
export function tickLabels(marks: readonly number[]): string[] {
  const largest = Math.max(...marks.map(Math.abs));
  const step = marks.length > 1 ? marks[1]! - marks[0]! : largest;
  const isPlain = largest === 0 || (largest < 1e5 && step >= 1e-4);
  const write = (mark: number, digits: number) => {
    if (!isPlain) return mark === 0 ? "0" : mark.toExponential(digits);
    return digits === 0 ? figure(Math.round(mark)) : mark.toFixed(digits);
  };
  const isRight = (mark: number, digits: number) =>
    Math.abs(Number(isPlain ? mark.toFixed(digits) : mark.toExponential(digits)) - mark) <= 1e-6 * step;
  let digits = 0;
  while (digits < MOST_DIGITS && !marks.every((mark) => isRight(mark, digits))) digits++;
  return marks.map((mark) => write(mark, digits).replace("e+", "e").replaceAll("-", "−"));
}

/** More than doubles have. */
const MOST_DIGITS = 17;
