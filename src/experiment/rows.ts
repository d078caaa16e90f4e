/** Questions that claims ask of tables: means over seeds, differences between pairs of runs, and how sure they are. */
import { randomStream } from "../core/random.ts";
import { mean } from "../core/statistics.ts";
import type { Row } from "./experiment.ts";

/** A mean with its 95 % bootstrap interval. */
export interface Estimate {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** Values that it is the mean of. */
  readonly count: number;
}

/** Column → value; a row fits when all agree. */
export type Where = Readonly<Record<string, number | string>>;

export const fits = (row: Row, where: Where): boolean =>
  Object.entries(where).every(([column, value]) => row[column] === value);

/** The numbers of a column in the rows that fit; rows without one are left out. */
export const valuesOf = (rows: readonly Row[], column: string, where: Where = {}): number[] =>
  rows.filter((row) => fits(row, where)).flatMap((row) => (typeof row[column] === "number" ? [row[column]] : []));

/** @throws RangeError if no row fits: a claim about nothing is no claim */
export function estimate(rows: readonly Row[], column: string, where: Where = {}): Estimate {
  const values = valuesOf(rows, column, where);
  if (values.length === 0) throw new RangeError(`no ${column} where ${JSON.stringify(where)}`);
  return bootstrap(values);
}

/**
 * How much more one kind of run has of a quantity than another, by pairs: runs of the same seed share their data, its
 * order and their starting weights, so most of the noise cancels.
 * @param by columns that make a pair, besides the seed
 */
export function difference(
  rows: readonly Row[],
  column: string,
  more: Where,
  than: Where,
  by: readonly string[] = [],
): Estimate {
  const pairs = rows
    .filter((row) => fits(row, more))
    .flatMap((row) => {
      const other = rows.find((each) => fits(each, than) && ["seed", ...by].every((key) => each[key] === row[key]));
      const [a, b] = [row[column], other?.[column]];
      return typeof a === "number" && typeof b === "number" ? [a - b] : [];
    });
  if (pairs.length === 0)
    throw new RangeError(`no pairs of ${column}: ${JSON.stringify(more)} and ${JSON.stringify(than)}`);
  return bootstrap(pairs);
}

const RESAMPLES = 4000;

/** Mean and percentile bootstrap interval (Efron 1979), by a fixed stream: the same values give the same interval. */
export function bootstrap(values: readonly number[]): Estimate {
  const middle = mean(values);
  if (values.length === 1) return { mean: middle, low: middle, high: middle, count: 1 };
  const random = randomStream("bootstrap");
  const means = Float64Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[random.below(values.length)]!;
    return sum / values.length;
  }).sort();
  const at = (share: number) => means[Math.round(share * (RESAMPLES - 1))]!;
  return { mean: middle, low: at(0.025), high: at(0.975), count: values.length };
}

/** Whether an interval lies on one side of a value. */
export const isAbove = ({ low }: Estimate, value: number): boolean => low > value;
export const isBelow = ({ high }: Estimate, value: number): boolean => high < value;

/** "0.123 [0.120, 0.126]". */
export const printed = ({ mean: middle, low, high }: Estimate, digits: number): string =>
  `${middle.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
