/** Imbalance score of the device loads over the steps. */
import { loadMetrics } from "../../metrics/metrics.ts";
import { decimals } from "../quantities.ts";
import { extent, type Figure, lastPoints, points, thinned, trailingMean, variantsOf } from "./figure.ts";
import { endLabels, endLabelsOf, endLabelsWidth, faintLines, heightFor, type LinePanel, strongLines } from "./lines.ts";
import { contentWidth, variantScales } from "./theme.ts";

/** The y axis with its labels and title. */
const axisWidth = 43;
const threeDecimals = decimals(3);
const mostPoints = 400;
/** The strong line averages this share of the run. */
const smoothing = 1 / 20;

export const imbalanceFigure: Figure = {
  description: "Imbalance score of the device loads over the optimizer steps, mean over layers, one line a variant",
  rows: "steps.csv",
  specification(read) {
    const rows = read("steps.csv");
    const scores = points(rows, "imbalance_score");
    if (scores.length === 0) return undefined;
    const [, last] = extent(scores.map((point) => point.step));
    const window = Math.max(1, Math.round(last * smoothing));
    const smooth = thinned(trailingMean(scores, window), mostPoints);
    const faint = thinned(scores, mostPoints);
    const variants = variantsOf(rows);
    const labels = endLabelsOf(lastPoints(smooth), threeDecimals);
    const largest = extent(scores.map((point) => point.value))[1] || 1;
    const panel: LinePanel = {
      scales: variantScales(variants),
      steps: [0, last],
      // A line at 0 stands clear of the axis.
      domain: [-0.04 * largest, 1.04 * largest],
      height: heightFor(variants),
      yTitle: `imbalance score (${loadMetrics["imbalance-score"].unit})`,
      stepTicks: 6,
    };
    return {
      title: {
        text: "Imbalance of the devices",
        subtitle: [
          "Hottest minus coolest device, assignments per token of the batch; mean over layers. 0: all devices equal.",
          window > 1 ? `Strong: mean of the last ${window} steps. Faint: each step.` : "",
        ].filter((line) => line !== ""),
      },
      width: contentWidth - axisWidth - endLabelsWidth(labels),
      height: panel.height,
      layer: [faintLines(faint, panel), strongLines(smooth, panel), endLabels(labels, panel)],
    };
  },
};
