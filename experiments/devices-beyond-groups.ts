/** Eight groups on two to sixty-four devices: where MoGE's promise ends. */
import type { TrainedExperiment, TrainedTables } from "../src/experiment/experiment.ts";
import { difference, type Estimate, estimate, isBelow, printed, valuesOf } from "../src/experiment/rows.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { trendFigure } from "../src/output/figures/experiment-figures.ts";

const DEVICES = "cluster.devices";
const DEVICE = "imbalance_score_mean";
const MAX = "device_max_over_mean";
const FAN_OUT = "fan_out_devices_per_token";
const STEP = "simulated_step_seconds";
const WAIT = "simulated_wait_seconds";

const counts = [2, 4, 8, 16, 32, 64];
const on = (variant: string, devices: number) => ({ variant, [DEVICES]: devices });
const inMilliseconds = ({ mean, low, high, count }: Estimate): Estimate => ({
  mean: 1e3 * mean,
  low: 1e3 * low,
  high: 1e3 * high,
  count,
});
const order = ["topk", "topk-lossfree", "moge"];

export const experiment: TrainedExperiment = {
  name: "devices-beyond-groups",
  title: "Eight groups on 2 to 64 devices",
  question:
    "MoGE's devices are equal as long as each holds whole groups. What is left of that when there are more devices than groups?",
  method: [
    "64 experts in 8 groups, one chosen of each, on D = 2 … 64 devices that hold 64/D neighbouring experts each. Beyond 8 devices a group is spread over D/8 of them, and which one a token goes to is the router's choice. Pangu Pro MoE's own training set-up may be such a case; its report measures a reduction of the imbalance by over 50 %, not by all.",
    "Routing does not depend on the layout, so the models of one arm and seed are the same on every D. Each device brings 4,096 tokens: the batch grows with D. Links: servers of 8 devices, so beyond 8 the network joins. Five seeds, 100 steps; intervals are 95 % bootstrap intervals over the seeds. Step times are simulated.",
  ],
  sweep: {
    base: "experiment",
    set: { "training.steps": 100, probe: { batches: 1 } },
    variants: [
      { name: "topk", set: { "router.selection": "topk" } },
      { name: "topk-lossfree", set: { "router.selection": "topk", balance: [{ rule: "loss-free-bias", rate: 0.01 }] } },
      { name: "moge", set: { "router.selection": "moge" } },
    ],
    zip: { [DEVICES]: counts, "target.expertParallel": counts },
    seeds: 5,
  },
  quick: {
    set: {
      "training.steps": 6,
      "training.sequences": 4,
      "record.validationSequences": 2,
      "target.tokensPerRank": 256,
      probe: { batches: 1 },
    },
    seeds: 1,
  },
  curves: [],
  compared: [
    DEVICE,
    MAX,
    "imbalance_score_p95",
    FAN_OUT,
    STEP,
    "simulated_compute_seconds",
    WAIT,
    "simulated_communication_seconds",
    "expert_max_over_mean",
  ],
  claims: [
    {
      text: "on 2, 4 and 8 devices MoGE's imbalance score is exactly 0 in every layer and step",
      holds: ({ runs }) =>
        [2, 4, 8].every((devices) =>
          valuesOf(runs, "imbalance_score_max", on("moge", devices)).every((score) => score === 0),
        ),
    },
    {
      text: "on 16 and more it is not",
      holds: ({ runs }) =>
        [16, 32, 64].every((devices) => valuesOf(runs, DEVICE, on("moge", devices)).every((score) => score > 0)),
      found: ({ runs }) =>
        [16, 32, 64]
          .map((devices) => `${devices}: ${printed(estimate(runs, DEVICE, on("moge", devices)), 3)}`)
          .join("; "),
    },
    {
      text: "on 16 devices it still halves the imbalance score of a top-k with the same loss",
      holds: ({ runs }) =>
        estimate(runs, DEVICE, on("moge", 16)).high < 0.5 * estimate(runs, DEVICE, on("topk", 16)).low,
      found: ({ runs }) =>
        `moge ${printed(estimate(runs, DEVICE, on("moge", 16)), 3)}, topk ${printed(estimate(runs, DEVICE, on("topk", 16)), 3)}`,
    },
    {
      text: "with an expert a device, 64 of them, nothing is left: MoGE's hottest device is within 10 % of topk's",
      holds: ({ runs }) => {
        const ratio = estimate(runs, MAX, on("moge", 64)).mean / estimate(runs, MAX, on("topk", 64)).mean;
        return ratio > 0.9 && ratio < 1.1;
      },
      found: ({ runs }) =>
        `moge ${printed(estimate(runs, MAX, on("moge", 64)), 2)}, topk ${printed(estimate(runs, MAX, on("topk", 64)), 2)}, over the mean`,
    },
    {
      text: "on every number of devices MoGE's simulated wait is no longer than topk's",
      holds: ({ runs }) =>
        counts.every((devices) => difference(runs, WAIT, on("moge", devices), on("topk", devices)).low <= 0),
      found: ({ runs }) =>
        counts
          .map(
            (devices) =>
              `${devices}: ${(1e3 * difference(runs, WAIT, on("moge", devices), on("topk", devices)).mean).toFixed(2)} ms`,
          )
          .join("; "),
    },
    {
      text: "on 16 devices, half a group each, MoGE's simulated step is shorter than topk's",
      holds: ({ runs }) => isBelow(difference(runs, STEP, on("moge", 16), on("topk", 16)), 0),
      found: ({ runs }) => `${printed(inMilliseconds(difference(runs, STEP, on("moge", 16), on("topk", 16))), 2)} ms`,
    },
  ],
};

export function figures({ runs, means }: TrainedTables): ExperimentFigures {
  const trend = (column: string, title: string, yTitle: string) =>
    trendFigure({
      runs,
      means: means.filter((row) => row["column"] === column),
      column,
      x: DEVICES,
      xTitle: "devices; 8 groups",
      by: "variant",
      order,
      title,
      subtitle: "A dot a seed; bands: 95 % intervals.",
      yTitle,
      description: `${title} by number of devices and arm`,
    });
  return {
    "device-imbalance": trend(DEVICE, "Device imbalance", "imbalance score"),
    "hottest-device": trend(MAX, "Hottest device over the mean", "max / mean"),
    "fan-out": trend(FAN_OUT, "Fan-out", "devices per token"),
    wait: trend(WAIT, "Simulated wait for the hottest device", "seconds, simulated"),
    "step-time": trend(STEP, "Simulated step time", "seconds, simulated"),
  };
}
