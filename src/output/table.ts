/** The variants side by side for a terminal of 80 columns. */
import pc from "picocolors";
import { printed, type Quantity, quantities } from "./quantities.ts";
import type { SummaryRow } from "./summary-rows.ts";

const columns: readonly { readonly head: readonly [string, string]; readonly quantity: Quantity }[] = [
  { head: ["validation", "nats/byte"], quantity: quantities.validationLoss },
  { head: ["imbalance", "mean"], quantity: quantities.imbalanceMean },
  { head: ["", "max"], quantity: quantities.imbalanceMax },
  { head: ["expert", "max/mean"], quantity: quantities.expertMaxOverMean },
  { head: ["fan-out", "devices"], quantity: quantities.fanOut },
  { head: ["step ms", "simulated"], quantity: quantities.stepTime },
];

const longestName = 20;

/** @returns lines without a last line feed; bold headers where picocolors finds a terminal that shows them */
export function summaryTable(rows: readonly SummaryRow[]): string {
  const cells = rows.map((row) => [
    shortened(row.variant),
    ...columns.map(({ quantity }) => printed(row, quantity) ?? "-"),
  ]);
  const heads = [0, 1].map((line) => [line === 0 ? "" : "variant", ...columns.map(({ head }) => head[line]!)]);
  const widths = heads[0]!.map((_, i) => Math.max(...[...heads, ...cells].map((row) => row[i]!.length)));
  const aligned = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [
    ...heads.map((row) => pc.bold(aligned(row))),
    ...cells.map(aligned),
    pc.dim("imbalance: score of the device loads, assignments per token; 0 is even"),
  ].join("\n");
}

const shortened = (name: string): string => (name.length <= longestName ? name : `${name.slice(0, longestName - 1)}…`);
