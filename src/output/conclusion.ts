/** What the summary rows say in words. Nothing is known of variants but their figures; the first is the baseline. */
import { printed, type Quantity, quantities } from "./quantities.ts";
import type { SummaryRow } from "./summary-rows.ts";

const { imbalanceMean, validationLoss, expertMaxOverMean, fanOut, stepTime, wait, communication } = quantities;
/** What balance buys and what it is bought with. */
const causes: readonly Quantity[] = [imbalanceMean, wait, expertMaxOverMean, fanOut, communication];
/** What it all comes to. */
const outcomes: readonly Quantity[] = [stepTime, validationLoss];

/** A sentence for each variant after the first, and one on which is best; figures that print alike are equal. */
export function conclusion(rows: readonly SummaryRow[]): string[] {
  const [baseline, ...others] = rows;
  if (baseline === undefined) return ["No variant has finished."];
  if (others.length === 0) return [`${baseline.variant} ran alone, so nothing is compared.`];
  const best = outcomes.flatMap((quantity) => bestIn(rows, quantity));
  return [
    ...others.map((row) => sentence(baseline, row)),
    ...(best.length === 0 ? [] : [`${capitalised(list(best))}.`]),
  ];
}

function sentence(baseline: SummaryRow, row: SummaryRow): string {
  const shared = (of: readonly Quantity[], applies: Comparison) =>
    of.filter((quantity) => hasBoth(baseline, row, quantity) && applies(baseline, row, quantity));
  const parts = (
    [
      ["has the lower", isLess],
      ["has the higher", isMore],
      ["has the same", isEqual],
    ] as const
  ).flatMap(([verb, applies]) => {
    const figures = shared(causes, applies).map((quantity) => figure(baseline, row, quantity));
    return figures.length === 0 ? [] : [`${verb} ${list(figures)}`];
  });
  const altogether = shared(outcomes, () => true).map((quantity) => outcome(baseline, row, quantity));
  if (parts.length + altogether.length === 0) {
    return `${row.variant} and ${baseline.variant} have no figure in common.`;
  }
  const comparison = parts.length === 0 ? [] : [`Against ${baseline.variant}, ${row.variant} ${parts.join("; it ")}.`];
  const result = altogether.length === 0 ? [] : [`${capitalised(list(altogether))} for ${row.variant}.`];
  return [...comparison, ...result].join(" ");
}

type Comparison = (baseline: SummaryRow, row: SummaryRow, quantity: Quantity) => boolean;

const hasBoth: Comparison = (baseline, row, quantity) =>
  printed(baseline, quantity) !== undefined && printed(row, quantity) !== undefined;
const isEqual: Comparison = (baseline, row, quantity) => printed(baseline, quantity) === printed(row, quantity);
const isLess: Comparison = (baseline, row, quantity) =>
  !isEqual(baseline, row, quantity) && row.values[quantity.column]! < baseline.values[quantity.column]!;
const isMore: Comparison = (baseline, row, quantity) => isLess(row, baseline, quantity);

const unitOf = ({ unit }: Quantity): string => (unit === "" ? "" : ` ${unit}`);

/** "fan-out (8.00, against 5.40 devices per token)". */
function figure(baseline: SummaryRow, row: SummaryRow, quantity: Quantity): string {
  const before = isEqual(baseline, row, quantity) ? "" : `, against ${printed(baseline, quantity)}`;
  return `${quantity.title} (${printed(row, quantity)}${before}${unitOf(quantity)})`;
}

/** "simulated step time is 29.22 ms against 28.41", or "is unchanged at 28.41 ms". */
function outcome(baseline: SummaryRow, row: SummaryRow, quantity: Quantity): string {
  const value = `${printed(row, quantity)}${unitOf(quantity)}`;
  return isEqual(baseline, row, quantity)
    ? `${quantity.title} is unchanged at ${value}`
    : `${quantity.title} is ${value} against ${printed(baseline, quantity)}`;
}

/** "the lowest validation loss is that of moge", for all variants that share the lowest figure. */
function bestIn(rows: readonly SummaryRow[], quantity: Quantity): string[] {
  const having = rows.filter((row) => row.values[quantity.column] !== undefined);
  if (having.length < 2) return [];
  const lowest = having.reduce((best, row) => (isLess(best, row, quantity) ? row : best));
  const winners = having.filter((row) => isEqual(lowest, row, quantity)).map(({ variant }) => variant);
  return [`the lowest ${quantity.title} is that of ${list(winners)}`];
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const list = (items: readonly string[]): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
