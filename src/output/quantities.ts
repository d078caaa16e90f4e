/** The quantities that tables and conclusions compare: how they are called and printed. Less of each is better. */
import type { SummaryColumn, SummaryRow } from "./summary-rows.ts";

export interface Quantity {
  readonly column: SummaryColumn;
  /** In prose. */
  readonly title: string;
  /** After figures in prose; empty for plain numbers. */
  readonly unit: string;
  /** The figure without its unit. */
  print(value: number): string;
}

/** Seconds as milliseconds, two decimals as long as they say something. */
export function milliseconds(seconds: number): string {
  const value = seconds * 1e3;
  if (value === 0) return "0";
  if (value >= 100) return value.toFixed(1);
  return value >= 0.1 ? value.toFixed(2) : String(Number(value.toPrecision(2)));
}

/** An exact 0 shows that it is one. */
export const decimals =
  (digits: number) =>
  (value: number): string =>
    value === 0 ? "0" : value.toFixed(digits);

const simulated = (part: "step" | "compute" | "wait" | "communication", title: string): Quantity => ({
  column: `simulated_${part}_seconds`,
  title,
  unit: "ms",
  print: milliseconds,
});

export const quantities = {
  validationLoss: {
    column: "validation_loss_nats_per_byte",
    title: "validation loss",
    unit: "nats per byte",
    print: decimals(3),
  },
  imbalanceMean: { column: "imbalance_score_mean", title: "device imbalance score", unit: "", print: decimals(3) },
  imbalanceP95: { column: "imbalance_score_p95", title: "its 95th percentile", unit: "", print: decimals(3) },
  imbalanceMax: { column: "imbalance_score_max", title: "its maximum", unit: "", print: decimals(3) },
  expertMaxOverMean: { column: "expert_max_over_mean", title: "expert max/mean load", unit: "", print: decimals(2) },
  fanOut: { column: "fan_out_devices_per_token", title: "fan-out", unit: "devices per token", print: decimals(2) },
  dropRate: {
    column: "drop_rate",
    title: "share of dropped assignments",
    unit: "",
    print: (value) => (value === 0 ? "0" : `${(100 * value).toFixed(1)}%`),
  },
  stepTime: simulated("step", "simulated step time"),
  compute: simulated("compute", "simulated compute"),
  wait: simulated("wait", "simulated wait for the hottest device"),
  communication: simulated("communication", "simulated communication"),
} satisfies Record<string, Quantity>;

/** What a row has of a quantity, printed; undefined where the variant does not have it. */
export function printed({ values }: SummaryRow, { column, print }: Quantity): string | undefined {
  const value = values[column];
  return value === undefined ? undefined : print(value);
}
