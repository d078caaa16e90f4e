/** How things are said to a person. */
import * as plainText from "../output/plain-text.ts";

/** A line to a person, on stderr: stdout is for data. */
export const say = (text: string): void => void process.stderr.write(`${text}\n`);

export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** A text in lines of at most `width` letters. */
export const wrapped = (text: string, width: number): string => plainText.wrapped(text, "", "", width).join("\n");

/** Columns padded to their widest cell; numbers to the right. @param width lines are cut to it, by their last column */
export function table(rows: readonly (readonly string[])[], width: number): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  const isNumeric = widths.map((_, i) => rows.slice(1).every((row) => /^[-+\d.,e%~≈ ]*$|^–$/.test(row[i] ?? "")));
  return rows
    .map((row) => {
      const line = row
        .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ");
      const text = line.trimEnd();
      return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
    })
    .join("\n");
}

/** Of a terminal; a pipe gets what it gets. */
export const terminalWidth = (): number => (process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY);
