/** Arrays of all layers as one, as a saved state holds them. */

/** One after the other, a copy. */
export function flat(rows: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    all.set(row, at);
    at += row.length;
  }
  return all;
}

/** The way back. @param all of the joint length of the rows @param rows written */
export function unflatten(all: Float64Array, rows: readonly Float64Array[]): void {
  let at = 0;
  for (const row of rows) {
    row.set(all.subarray(at, at + row.length));
    at += row.length;
  }
}
