/** What every metric says of itself. The tables beside this file differ in what their metrics are measured on. */

export interface MetricDescription {
  readonly title: string;
  readonly formula: string;
  /** "1" for a plain ratio. */
  readonly unit: string;
  readonly direction: "lower is better" | "higher is better" | "neither";
  /** Who defines it so; where the field has several definitions, which of them this is. */
  readonly source: string;
  /** Name of its column in CSV files. */
  readonly column: string;
}
