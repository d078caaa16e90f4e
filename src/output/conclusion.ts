/** What the summary rows say in words. Nothing is known of variants but their figures; the first is the baseline. */
import { printed, type Quantity, quantities } from "./quantities.ts";
import type { SummaryRow } from "./summary-rows.ts";

const { imbalanceMean, validationLoss, expertMaxOverMean, fanOut, stepTime, wait, communication } = quantities;
const compared: readonly Quantity[] = [
  imbalanceMean,
  wait,
  communication,
  stepTime,
  fanOut,
  expertMaxOverMean,
  validationLoss,
];

type Verdict = "better" | "worse" | "equal";

/** A sentence for each variant after the first; figures that print alike are equal. */
export function conclusion([baseline, ...others]: readonly SummaryRow[]): string {
  if (baseline === undefined) return "No variant has finished.";
  if (others.length === 0) return `${baseline.variant} ran alone, so nothing is compared.`;
  return others.map((row) => sentence(baseline, row)).join(" ");
}

function sentence(baseline: SummaryRow, row: SummaryRow): string {
  const found: Record<Verdict, string[]> = { better: [], worse: [], equal: [] };
  for (const quantity of compared) {
    const [before, after] = [printed(baseline, quantity), printed(row, quantity)];
    if (before === undefined || after === undefined) continue;
    const verdict = verdictOf(baseline, row, quantity);
    const unit = quantity.unit === "" ? "" : ` ${quantity.unit}`;
    const figures = verdict === "equal" ? `${after}${unit}` : `${after}, not ${before}${unit}`;
    found[verdict].push(`${quantity.title} (${figures})`);
  }
  const parts = (["better", "worse", "equal"] as const)
    .filter((verdict) => found[verdict].length > 0)
    .map((verdict) => `${verdict} in ${list(found[verdict])}`);
  if (parts.length === 0) return `${row.variant} and ${baseline.variant} have no figure in common.`;
  return `Against ${baseline.variant}, ${row.variant} is ${parts.join("; ")}.`;
}

function verdictOf(baseline: SummaryRow, row: SummaryRow, quantity: Quantity): Verdict {
  if (printed(baseline, quantity) === printed(row, quantity)) return "equal";
  return row.values[quantity.column]! < baseline.values[quantity.column]! ? "better" : "worse";
}

const list = (items: readonly string[]): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
