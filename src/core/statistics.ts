/** Sums and means, added up in the order of the values: the same bits everywhere. */

/** 0 of nothing. */
export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i]!;
  return total;
}

/** NaN of nothing. */
export function mean(values: ArrayLike<number>): number {
  return sum(values) / values.length;
}
