/** Measured loads of several layers or steps for a terminal and for files. */
import type { Measured } from "../metrics/measure.ts";
import { type Cell, csvText } from "./csv-text.ts";
import { metricJson, metricLines, metricRows } from "./metric-lines.ts";
import { wrapped } from "./plain-text.ts";

export interface MeasuredLoads {
  readonly title: string;
  readonly experts: number;
  readonly devices: number | undefined;
  /** Loads alone do not say K; without it the imbalance score takes each assignment for a token. */
  readonly topKKnown: boolean;
  readonly layers: readonly {
    readonly name: string;
    readonly load: ArrayLike<number>;
    readonly measured: readonly Measured[];
  }[];
  /** Of all loads together. */
  readonly pooled: readonly Measured[];
}

/** Mean over the loads of each metric of a single one; those that are no number are left out. */
function meansOf({ layers }: MeasuredLoads): Measured[] {
  return layers[0]!.measured.map((first, i) => {
    const values = layers.map(({ measured }) => measured[i]!.value).filter((value) => !Number.isNaN(value));
    return { ...first, value: values.reduce((sum, value) => sum + value, 0) / values.length };
  });
}

export function loadsText(loads: MeasuredLoads): string {
  const { title, experts, devices, topKKnown, layers, pooled } = loads;
  const count =
    layers.length === 1 ? "one load" : `${layers.length} loads, ${layers[0]!.name} … ${layers.at(-1)!.name}`;
  const caution = "K is not in the file: --topk says it; until then the imbalance score counts by assignments";
  return [
    ...wrapped(`${title}: ${count}; experts ${experts}${devices === undefined ? "" : `, devices ${devices}`}`),
    ...(topKKnown ? [] : wrapped(caution)),
    "",
    ...(layers.length === 1 ? [] : ["mean over the loads; --json and --out have each of them"]),
    ...metricLines(meansOf(loads)),
    ...(layers.length === 1 ? [] : ["", "all loads together", ...metricLines(pooled)]),
  ].join("\n");
}

export const loadsJson = (loads: MeasuredLoads) => ({
  shape: { experts: loads.experts, devices: loads.devices },
  load: loads.layers.map(({ load }) => Array.from(load)),
  loads: loads.layers.map(({ name, measured }) => ({ name, metrics: metricJson(measured) })),
  mean: metricJson(meansOf(loads)),
  together: metricJson(loads.pooled),
});

/** CSV files by name. */
export function loadsFiles(loads: MeasuredLoads): Readonly<Record<string, string>> {
  const each: Cell[][] = [["load", "metric", "of", "value"]];
  for (const { name, measured } of loads.layers) {
    for (const { metric, of, value } of measured)
      each.push([name, metric, of, Number.isNaN(value) ? undefined : value]);
  }
  return {
    "loads.csv": csvText(each),
    "metrics.csv": csvText(metricRows([...meansOf(loads), ...loads.pooled])),
  };
}
