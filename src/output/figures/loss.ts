/** Training loss (faint) and validation loss (strong) over the steps, and the end of the validation loss enlarged. */

import { decimals } from "../quantities.ts";
import { extent, type Figure, lastPoints, type Point, points, thinned, variantsOf } from "./figure.ts";
import {
  endLabels,
  endLabelsOf,
  endLabelsWidth,
  enlargedBox,
  faintLines,
  heightFor,
  type LinePanel,
  marks,
  strongLines,
} from "./lines.ts";
import { contentWidth, variantScales } from "./theme.ts";

/** The y axis with its labels and title. */
const axisWidth = 49;
const gap = 28;
const threeDecimals = decimals(3);
/** Points of the faint lines: more cannot be told apart. */
const mostPoints = 400;

export const lossFigure: Figure = {
  description: "Training and validation loss in nats per byte over the optimizer steps, one line a variant",
  rows: "steps.csv",
  specification(read) {
    const rows = read("steps.csv");
    const training = thinned(points(rows, "training_loss_nats_per_byte"), mostPoints);
    const validation = points(rows, "validation_loss_nats_per_byte");
    if (validation.length === 0) return undefined;
    const last = extent(training.map((point) => point.step))[1];
    const late = validation.filter((point) => point.step >= last / 2);
    const variants = variantsOf(training);
    const labels = endLabelsOf(lastPoints(late), threeDecimals);
    const width = contentWidth - 2 * axisWidth - gap - endLabelsWidth(labels);
    const shared = { scales: variantScales(variants), height: heightFor(variants) };
    const whole: LinePanel = {
      ...shared,
      steps: [0, last],
      domain: padded([...training, ...validation]),
      yTitle: "loss (nats per byte)",
      stepTicks: 6,
    };
    const enlarged: LinePanel = {
      ...shared,
      steps: [Math.floor(last / 2), last],
      domain: padded(late),
      yTitle: "validation loss (nats per byte)",
      stepTicks: 3,
    };
    return {
      title: { text: "Loss", subtitle: "Strong: validation, mean over the domains. Faint: training batches." },
      spacing: gap,
      hconcat: [
        {
          width: Math.ceil(0.6 * width),
          height: whole.height,
          layer: [
            enlargedBox(whole, enlarged),
            faintLines(training, whole),
            strongLines(validation, whole),
            marks(validation, whole),
          ],
        },
        {
          width: Math.floor(0.4 * width),
          height: enlarged.height,
          title: { text: "The box at the left: validation, last half", fontSize: 12, fontWeight: "normal", offset: 8 },
          layer: [strongLines(late, enlarged), marks(late, enlarged), endLabels(labels, enlarged)],
        },
      ],
    };
  },
};

/** A little air above and below. */
function padded(series: readonly Point[]): [number, number] {
  const [low, high] = extent(series.map((point) => point.value));
  const air = 0.06 * (high - low) || 0.05;
  return [low - air, high + air];
}
