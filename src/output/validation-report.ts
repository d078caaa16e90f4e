/** The table of `moge validate`: for a terminal of 80 columns, and for the README. */

import type { CheckedRow, Tolerance } from "../validation/row.ts";
import { notExpressible, type ValidationSummary } from "../validation/validation.ts";
import { wrapped } from "./plain-text.ts";

const figure = (value: number) => {
  const size = Math.abs(value);
  return size >= 1000 ? value.toFixed(0) : size >= 100 ? value.toFixed(1) : value.toPrecision(4);
};
const signed = (share: number) => `${share >= 0 ? "+" : ""}${(100 * share).toFixed(1)} %`;

function toleranceText(tolerance: Tolerance): string {
  switch (tolerance.kind) {
    case "share":
      return tolerance.share < 1e-9 ? "exact" : `±${Number((100 * tolerance.share).toFixed(2))} %`;
    case "amount":
      return `±${tolerance.amount}`;
    case "factor":
      return `×/÷ ${tolerance.factor}`;
    case "range":
      return `${tolerance.low} … ${tolerance.high}`;
  }
}

const mark = ({ within }: CheckedRow) => (within ? "" : "miss");

/** What the rows come to, in one sentence. */
export function validationSentence({ rows, failed, medianError, heldOut, heldOutWithin }: ValidationSummary): string {
  const fitted = rows.length - heldOut;
  return `${fitted - failed.length} of ${fitted} exact and calibration rows hold; of ${heldOut} held-out rows ${heldOutWithin} are within their tolerance, median error ${(100 * medianError).toFixed(1)} %`;
}

/** Two lines a row: figures, then source and note. */
export function validationText(summary: ValidationSummary, withSources: boolean): string {
  const lines = summary.rows.flatMap((row) => {
    const title = row.title.length > 34 ? `${row.title.slice(0, 33)}…` : row.title;
    const main = [
      row.class,
      title.padEnd(34),
      figure(row.published).padStart(7),
      figure(row.predicted).padStart(7),
      signed(row.error).padStart(8),
      toleranceText(row.tolerance).padStart(10),
      mark(row),
    ]
      .join(" ")
      .trimEnd();
    const more = withSources ? [`${row.title} [${row.unit}]: ${row.source}`] : [];
    const why = row.note !== undefined && !row.within ? [row.note] : [];
    return [main, ...[...more, ...why].flatMap((text) => wrapped(text, "    "))];
  });
  const head = `  ${"published figure".padEnd(34)} ${"publ.".padStart(7)} ${"model".padStart(7)} ${"error".padStart(8)} ${"tolerance".padStart(10)}`;
  const left = notExpressible.flatMap(({ target, title, reason }) =>
    wrapped(`target ${target}, ${title}: not expressible, ${reason}`),
  );
  return [head, ...lines, "", ...left, "", ...wrapped(validationSentence(summary))].join("\n");
}

/** The same as a Markdown table. */
export function validationMarkdown(summary: ValidationSummary): string {
  const cells = summary.rows.map((row) => [
    row.class,
    row.title,
    `${figure(row.published)} ${row.unit === "1" ? "" : row.unit}`.trim(),
    figure(row.predicted),
    signed(row.error),
    toleranceText(row.tolerance) + (row.within ? "" : ", **miss**"),
    row.source + (row.note === undefined || (row.within && row.class === "V") ? "" : `. ${row.note}`),
  ]);
  const header = ["class", "published figure", "published", "model", "error", "tolerance", "source"];
  const lines = [header, header.map(() => "---"), ...cells].map((row) => `| ${row.join(" | ")} |`);
  return `${validationSentence(summary)}.\n\n${lines.join("\n")}`;
}

/** For programs. */
export const validationJson = (summary: ValidationSummary): object => ({ ...summary, notExpressible });
