/** How many groups: from one, which is ordinary top-k, to as many as experts are chosen. */
import type { TrainedExperiment, TrainedTables } from "../src/experiment/experiment.ts";
import { difference, estimate, isAbove, printed, valuesOf } from "../src/experiment/rows.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { curveFigure, trendFigure } from "../src/output/figures/experiment-figures.ts";

const GROUPS = "model.groups";
const LOSS = "validation_loss_nats_per_byte";
const DEVICE = "imbalance_score_mean";
const FAN_OUT = "fan_out_devices_per_token";
const STEP = "simulated_step_seconds";

const counts = [1, 2, 4, 8];
const groups = (count: number) => ({ [GROUPS]: count });

export const experiment: TrainedExperiment = {
  name: "groups",
  title: "From one group to eight",
  question:
    "Top-8 of 64 experts, taken evenly from M groups: what does each doubling of M cost in quality and buy in balance?",
  method: [
    "M = 1 is ordinary top-k; M = 8 takes one expert of each group of 8. All share gate, balancing loss, text, order and starting weights of their seed. Experts lie on 8 devices in order, so with M groups 8/M devices share a group: the groups are equal, and within a group's devices top-k decides.",
    "Five seeds; intervals are 95 % bootstrap intervals over them. The step time is simulated. One size of model, 200 steps.",
  ],
  sweep: {
    base: "experiment",
    variants: [{ name: "moge", set: { "router.selection": "moge" } }],
    // The layer that is priced has as many groups as the one that is trained.
    zip: { [GROUPS]: counts, "target.groups": counts },
    seeds: 5,
  },
  quick: {
    set: { "training.steps": 12, "training.sequences": 4, "record.validationSequences": 2, "probe.batches": 1 },
    seeds: 2,
  },
  curves: [{ name: "device imbalance", file: "layers.csv", column: "device_imbalance_score" }],
  compared: [
    LOSS,
    DEVICE,
    "imbalance_score_p95",
    "expert_max_over_mean",
    FAN_OUT,
    STEP,
    "simulated_wait_seconds",
    "simulated_communication_seconds",
    "specialisation",
    "together_on_device",
  ],
  claims: [
    {
      text: "each doubling of the groups lowers the device imbalance, in every seed",
      holds: ({ runs }) =>
        [1, 2, 4].every((count) => isAbove(difference(runs, DEVICE, groups(count), groups(2 * count)), 0)),
      found: ({ runs }) =>
        counts.map((count) => `M = ${count}: ${printed(estimate(runs, DEVICE, groups(count)), 3)}`).join("; "),
    },
    {
      text: "only as many groups as devices make it 0",
      holds: ({ runs }) =>
        counts.every((count) =>
          valuesOf(runs, "imbalance_score_max", groups(count)).every((score) => (score === 0) === (count === 8)),
        ),
    },
    {
      text: "no number of groups costs 0.01 nats per byte or more against top-k",
      holds: ({ runs }) =>
        counts.slice(1).every((count) => difference(runs, LOSS, groups(count), groups(1)).high < 0.01),
      found: ({ runs }) =>
        counts
          .slice(1)
          .map((count) => `M = ${count}: ${printed(difference(runs, LOSS, groups(count), groups(1)), 4)}`)
          .join("; "),
    },
    {
      text: "each doubling raises the fan-out, up to exactly 8 devices a token",
      holds: ({ runs }) =>
        [1, 2, 4].every((count) => isAbove(difference(runs, FAN_OUT, groups(2 * count), groups(count)), 0)) &&
        valuesOf(runs, FAN_OUT, groups(8)).every((devices) => devices === 8),
      found: ({ runs }) =>
        counts.map((count) => `M = ${count}: ${printed(estimate(runs, FAN_OUT, groups(count)), 2)}`).join("; "),
    },
    {
      text: "the simulated step is shortest with 8 groups",
      holds: ({ runs }) => [1, 2, 4].every((count) => isAbove(difference(runs, STEP, groups(count), groups(8)), 0)),
      found: ({ runs }) =>
        counts
          .map((count) => `M = ${count}: ${(1e3 * estimate(runs, STEP, groups(count)).mean).toFixed(2)} ms`)
          .join("; "),
    },
  ],
};

export function figures({ runs, means, curves }: TrainedTables): ExperimentFigures {
  const trend = (column: string, title: string, yTitle: string) =>
    trendFigure({
      runs,
      means: means.filter((row) => row["column"] === column),
      column,
      x: GROUPS,
      xTitle: "groups, M; 1 is ordinary top-k",
      by: "variant",
      title,
      subtitle: "A dot a seed; band: 95 % interval.",
      yTitle,
      description: `${title} by number of groups`,
    });
  return {
    quality: trend(LOSS, "Validation loss", "nats per byte"),
    "device-imbalance": trend(DEVICE, "Device imbalance", "imbalance score"),
    "fan-out": trend(FAN_OUT, "Fan-out", "devices per token"),
    "step-time": trend(STEP, "Simulated step time", "seconds, simulated"),
    "imbalance-over-training": curveFigure({
      rows: curves.map((row) => ({ ...row, groups: `M = ${row[GROUPS]}` })),
      by: "groups",
      title: "Device imbalance over training",
      subtitle: "Bands: 95 % intervals over five seeds.",
      yTitle: "imbalance score",
      description: "Imbalance score of the device loads over the steps, by number of groups",
    }),
  };
}
