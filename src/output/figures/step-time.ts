/** Simulated step time of the target's MoE layers, split into compute, waiting and communication. */

import { milliseconds } from "../quantities.ts";
import { type Figure, variantsOf } from "./figure.ts";
import { partColours } from "./theme.ts";

const parts = ["compute", "wait", "communication"] as const;

export const stepTimeFigure: Figure = {
  description: "Simulated step time a variant in milliseconds, stacked from compute, wait and communication",
  specification(read) {
    const rows = read("summary.csv").filter((row) => row["simulated_step_seconds"]);
    if (rows.length === 0) return undefined;
    const seconds = (row: (typeof rows)[number], part: string) => Number(row[`simulated_${part}_seconds`]);
    const bars = rows.flatMap((row) => {
      let start = 0;
      return parts.map((part) => {
        const from = start;
        start += seconds(row, part) * 1e3;
        return { variant: row["variant"], part, from, to: start };
      });
    });
    const labels = rows.map((row) => ({
      variant: row["variant"],
      total: seconds(row, "step") * 1e3,
      text: `${milliseconds(seconds(row, "step"))} ms`,
      split: parts.map((part) => `${part} ${milliseconds(seconds(row, part))}`).join("  +  "),
    }));
    const variant = { field: "variant", type: "nominal" as const, sort: variantsOf(rows), title: null };
    return {
      title: {
        text: "Simulated step time",
        subtitle: "All MoE layers of the target, forward and backward; mean over the last half of the steps.",
      },
      width: 560,
      height: { step: 64 },
      layer: [
        {
          data: { values: bars },
          mark: { type: "bar", height: 24, stroke: "white", strokeWidth: 1, aria: false },
          encoding: {
            y: {
              ...variant,
              axis: {
                domain: false,
                ticks: false,
                grid: false,
                labelFontSize: 13,
                labelFontWeight: "bold",
                labelLimit: 150,
              },
            },
            x: { field: "from", type: "quantitative", title: "simulated milliseconds a step", axis: { grid: false } },
            x2: { field: "to" },
            color: {
              field: "part",
              type: "nominal",
              scale: { domain: [...parts], range: parts.map((part) => partColours[part]) },
              legend: { title: null, orient: "top", symbolType: "square", symbolSize: 140, columnPadding: 24 },
            },
          },
        },
        {
          data: { values: labels },
          mark: { type: "text", align: "left", baseline: "middle", dx: 7, fontWeight: "bold", aria: false },
          encoding: {
            y: variant,
            x: { field: "total", type: "quantitative" },
            text: { field: "text", type: "nominal" },
          },
        },
        {
          data: { values: labels },
          mark: { type: "text", align: "left", baseline: "middle", dy: 22, fontSize: 11, aria: false },
          encoding: { y: variant, x: { datum: 0, type: "quantitative" }, text: { field: "split", type: "nominal" } },
        },
      ],
    };
  },
};
