/** Reads CSV, as RFC 4180 has it. The library that reads it elsewhere brings a writer along, for which the page has no room. */

/** A cell, in quotes or not, and what ends it. */
const CELL = /(?:"([^"]*(?:""[^"]*)*)"|([^,\r\n]*))(,|\r?\n|\r|$)/gy;

/** Rows of cells. */
export function csvRows(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const { 1: quoted, 2: plain, 3: end, index } of text.matchAll(CELL)) {
    if (index === text.length && row.length === 0) break; // after the last line break there is no row
    row.push(quoted?.replaceAll('""', '"') ?? plain!);
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
