/** Simulated step time of the target's MoE layers, split into compute, waiting and communication. */
import { devices } from "../../cluster/devices.ts";
import type { Variant } from "../../config/resolve.ts";
import type { CsvRow } from "../csv.ts";
import { milliseconds } from "../quantities.ts";
import { type Figure, shortened, variantsOf } from "./figure.ts";
import { textWidth } from "./font-metrics.ts";
import { contentWidth, partColours } from "./theme.ts";

const parts = ["compute", "wait", "communication"] as const;
const labelDistance = 7;
const mostLetters = 75;

const seconds = (row: CsvRow, part: (typeof parts)[number] | "step") => Number(row[`simulated_${part}_seconds`]);

export const stepTimeFigure: Figure = {
  description: "Simulated step time a variant in milliseconds, stacked from compute, wait and communication",
  rows: "summary.csv",
  specification(read, variants) {
    const rows = read("summary.csv").filter((row) => row["simulated_step_seconds"]);
    if (rows.length === 0) return undefined;
    const priced = rows.map((row) => pricedOf(variants.find(({ name }) => name === row["variant"])));
    const alike = priced.every((text) => text === priced[0]);
    const labels = rows.map((row, i) => ({
      variant: row["variant"],
      total: seconds(row, "step") * 1e3,
      name: shortened(alike ? row["variant"]! : `${row["variant"]}: ${priced[i] ?? "target unknown"}`, mostLetters),
      text: `${milliseconds(seconds(row, "step"))} ms`,
      split: parts.map((part) => `${part} ${milliseconds(seconds(row, part))}`).join("  +  "),
    }));
    const y = { field: "variant", type: "nominal" as const, sort: variantsOf(rows), title: null, axis: null };
    const origin = { datum: 0, type: "quantitative" as const };
    const text = { type: "text" as const, align: "left" as const, baseline: "middle" as const, aria: false };
    return {
      title: {
        text: "Simulated step time",
        subtitle: [
          `${(alike && priced[0]) || "MoE layers of the target"}, forward and backward.`,
          "Mean over the last half of the steps. Simulated, not measured.",
        ],
      },
      width:
        contentWidth - labelDistance - Math.ceil(Math.max(...labels.map((label) => textWidth(label.text, 12, "bold")))),
      height: { step: 78 },
      layer: [
        stackedBars(rows, y),
        {
          data: { values: labels },
          mark: { ...text, dx: labelDistance, fontSize: 12, fontWeight: "bold" },
          encoding: { y, x: { ...origin, datum: undefined, field: "total" }, text: { field: "text", type: "nominal" } },
        },
        {
          data: { values: labels },
          mark: { ...text, dy: -22, fontSize: 13, fontWeight: "bold" },
          encoding: { y, x: origin, text: { field: "name", type: "nominal" } },
        },
        {
          data: { values: labels },
          mark: { ...text, dy: 21, fontSize: 11 },
          encoding: { y, x: origin, text: { field: "split", type: "nominal" } },
        },
      ],
    };
  },
};

/** What is priced, and on which machine. */
function pricedOf(variant: Variant | undefined): string | undefined {
  const target = variant?.config.target;
  if (variant === undefined || target === undefined) return undefined;
  const layers = target.layers === 1 ? "" : ` (${target.layers} layers)`;
  return `${target.name}${layers} on ${target.expertParallel} × ${devices[variant.config.cluster.device].title}`;
}

function stackedBars(rows: readonly CsvRow[], y: object) {
  const bars = rows.flatMap((row) => {
    let start = 0;
    return parts.map((part) => {
      const from = start;
      start += seconds(row, part) * 1e3;
      return { variant: row["variant"], part, from, to: start };
    });
  });
  return {
    data: { values: bars },
    mark: { type: "bar" as const, height: 24, stroke: "white", strokeWidth: 1, aria: false },
    encoding: {
      y: y as never,
      x: {
        field: "from",
        type: "quantitative" as const,
        title: "simulated milliseconds a step",
        scale: { nice: false },
        axis: { grid: false },
      },
      x2: { field: "to" },
      color: {
        field: "part",
        type: "nominal" as const,
        scale: { domain: [...parts], range: parts.map((part) => partColours[part]) },
        legend: {
          title: null,
          orient: "top" as const,
          symbolType: "square" as const,
          symbolSize: 140,
          columnPadding: 24,
        },
      },
    },
  };
}
