/** The variants side by side for a terminal of 80 columns. */
import picocolors from "picocolors";
import { printed, type Quantity, quantities } from "./quantities.ts";
import type { SummaryRow } from "./summary-rows.ts";

const columns: readonly { readonly head: readonly [string, string]; readonly quantity: Quantity }[] = [
  { head: ["valid.", "nats/byte"], quantity: quantities.validationLoss },
  { head: ["imbalance", "mean"], quantity: quantities.imbalanceMean },
  { head: ["", "max"], quantity: quantities.imbalanceMax },
  { head: ["expert", "max/mean"], quantity: quantities.expertMaxOverMean },
  { head: ["fan-out", "devices"], quantity: quantities.fanOut },
  { head: ["", "drops"], quantity: quantities.dropRate },
  { head: ["step ms", "simulated"], quantity: quantities.stepTime },
];

/** Bold and dim for a person at a terminal; a pipe or a log gets plain text. */
const { bold, dim } = picocolors.createColors(Boolean(process.stdout.isTTY) && picocolors.isColorSupported);

const widestTable = 80;
const shortestName = 8;

/** @returns lines without a last line feed; bold headers where picocolors finds a terminal that shows them */
export function summaryTable(rows: readonly SummaryRow[]): string {
  const heads = [0, 1].map((line) => columns.map(({ head }) => head[line]!));
  const figures = rows.map((row) => columns.map(({ quantity }) => printed(row, quantity) ?? "-"));
  const widths = columns.map((_, i) => Math.max(...[...heads, ...figures].map((row) => row[i]!.length)));
  const forNames = Math.max(shortestName, widestTable - widths.reduce((sum, width) => sum + width + 2, 0));
  const names = rows.map(({ variant }) => shortened(variant, forNames));
  const nameWidth = Math.max(...["variant", ...names].map((name) => name.length));
  const aligned = (name: string, row: readonly string[]) =>
    [name.padEnd(nameWidth), ...row.map((cell, i) => cell.padStart(widths[i]!))].join("  ").trimEnd();
  return [
    ...heads.map((row, line) => bold(aligned(line === 0 ? "" : "variant", row))),
    ...figures.map((row, i) => aligned(names[i]!, row)),
    dim("imbalance: score of the device loads, assignments per token; 0 is even"),
  ].join("\n");
}

const shortened = (name: string, longest: number): string =>
  name.length <= longest ? name : `${name.slice(0, longest - 1)}…`;
