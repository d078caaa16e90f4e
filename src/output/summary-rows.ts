/** One row a variant: what its steps come to. Computed from the CSV files, so that an interruption changes nothing. */
import { join } from "node:path";
import { mean, quantile } from "simple-statistics";
import { loadMetrics } from "../metrics/metrics.ts";
import { type Column, simulatedParts } from "./columns.ts";
import { type CsvRow, readCsv } from "./csv.ts";
import type { Cell } from "./csv-text.ts";

/** What the CSV files do not hold. */
export interface VariantFacts {
  /** Trained parameters. */
  readonly parameters: number;
  /** Tokens seen in training. */
  readonly tokens: number;
}

/** The rows of one variant, read back from its files. */
export interface VariantRows {
  readonly variant: string;
  readonly facts: VariantFacts;
  readonly steps: readonly CsvRow[];
  readonly layers: readonly CsvRow[];
  readonly validation: readonly CsvRow[];
}

const numbers = (rows: readonly CsvRow[], column: string): number[] =>
  rows
    .map((row) => row[column] ?? "")
    .filter((cell) => cell !== "")
    .map(Number);

const meanOf = (rows: readonly CsvRow[], column: string): Cell => {
  const values = numbers(rows, column);
  return values.length === 0 ? undefined : mean(values);
};

/** The start-up, when every router is out of balance, is over by then, and the projection's pool of steps is full. */
const lastHalf = (rows: readonly CsvRow[]): readonly CsvRow[] => {
  const steps = Number(rows.at(-1)?.["step"] ?? 0);
  return rows.filter((row) => Number(row["step"]) > steps / 2);
};

function finalValidationLoss({ validation }: VariantRows): Cell {
  const last = validation.at(-1)?.["step"];
  return meanOf(
    validation.filter((row) => row["step"] === last),
    "validation_loss_nats_per_byte",
  );
}

const deviceScores = ({ layers }: VariantRows): number[] => numbers(lastHalf(layers), "device_imbalance_score");

const overScores =
  (statistic: (scores: number[]) => number) =>
  (rows: VariantRows): Cell => {
    const scores = deviceScores(rows);
    return scores.length === 0 ? undefined : statistic(scores);
  };

const score = (description: string, statistic: (scores: number[]) => number) => ({
  unit: loadMetrics["imbalance-score"].unit,
  description: `imbalance score of the device loads: ${description} over the layers and the last half of the steps`,
  value: overScores(statistic),
});

const simulated = (part: keyof typeof simulatedParts) => ({
  unit: "seconds",
  description: `SIMULATED, mean over the last half of the steps: ${simulatedParts[part]}`,
  value: ({ steps }: VariantRows) => meanOf(lastHalf(steps), `simulated_${part}_seconds`),
});

const overLayers = (unit: string, what: string, column: string) => ({
  unit,
  description: `${what}; mean over the layers and the last half of the steps`,
  value: ({ layers }: VariantRows) => meanOf(lastHalf(layers), column),
});

export const summaryDescription =
  "One row a variant, written when it finishes. Statistics are over the last half of the steps, when start-up is over.";

export const summaryColumns = {
  variant: { unit: "text", description: "name of the variant", value: ({ variant }: VariantRows) => variant },
  steps: { unit: "steps", description: "optimizer steps done", value: ({ steps }: VariantRows) => steps.length },
  tokens: { unit: "tokens", description: "tokens trained on", value: ({ facts }: VariantRows) => facts.tokens },
  parameters: {
    unit: "parameters",
    description: "trained parameters of the small model",
    value: ({ facts }: VariantRows) => facts.parameters,
  },
  validation_loss_nats_per_byte: {
    unit: "nats per byte",
    description: "at the last validation, unweighted mean over the domains",
    value: finalValidationLoss,
  },
  imbalance_score_mean: score("mean", mean),
  imbalance_score_p95: score("95th percentile, between ranks by proportion,", (scores) => quantile(scores, 0.95)),
  imbalance_score_max: score("largest", (scores) => scores.reduce((largest, each) => Math.max(largest, each))),
  device_max_over_mean: overLayers("1", "load of the hottest device over the mean device", "device_max_over_mean"),
  expert_max_over_mean: overLayers("1", "load of the hottest expert over the mean expert", "expert_max_over_mean"),
  fan_out_devices_per_token: overLayers(
    "devices per token",
    "distinct devices that a token's experts lie on",
    "fan_out_devices_per_token",
  ),
  drop_rate: overLayers("1", "assignments that found no room at an expert, share of those chosen", "drop_rate"),
  gate_mass: overLayers("1", "sum of a token's gate weights", "gate_mass"),
  simulated_step_seconds: simulated("step"),
  simulated_compute_seconds: simulated("compute"),
  simulated_wait_seconds: simulated("wait"),
  simulated_communication_seconds: simulated("communication"),
} satisfies Record<string, Column<VariantRows>>;

export type SummaryColumn = Exclude<keyof typeof summaryColumns, "variant">;

/** A row of summary.csv, read back. Quantities that the variant does not have are absent. */
export interface SummaryRow {
  readonly variant: string;
  readonly values: Readonly<Partial<Record<SummaryColumn, number>>>;
}

/** @returns the cells of one row of summary.csv */
export const summaryCells = (rows: VariantRows): Cell[] =>
  Object.values(summaryColumns).map((column) => column.value(rows));

/** The rows of a finished run's summary.csv, in the order of its variants. */
export function readSummary(directory: string): SummaryRow[] {
  return readCsv(join(directory, "summary.csv")).map(({ variant = "", ...cells }) => ({
    variant,
    values: Object.fromEntries(
      Object.entries(cells).flatMap(([column, cell]) => (cell === "" ? [] : [[column, Number(cell)]])),
    ),
  }));
}
