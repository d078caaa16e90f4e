/** Trained on one mix of text, looked at on another: what happens to the balance. */
import type { Row, TrainedExperiment, TrainedTables } from "../src/experiment/experiment.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { dotFigure } from "../src/output/figures/experiment-figures.ts";
import { heatFigure } from "../src/output/figures/heat-figure.ts";

const trainedOn = ["moby-dick", "german", "code", "arithmetic"];
const shiftedTo = ["speeches", "russian", "japanese"];
const arms = ["topk", "topk-lossfree", "moge"];
const DEVICE = "device_imbalance_score";
const EXPERT = "expert_max_over_mean";

/** Mean over layers and domains. */
function over(domains: readonly Row[], variant: string, column: string, among: readonly string[]): number {
  const values = domains
    .filter((row) => row["variant"] === variant && among.includes(String(row["domain"])))
    .map((row) => Number(row[column]));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const both = (domains: readonly Row[], variant: string, column: string, digits: number) =>
  `${variant} ${over(domains, variant, column, trainedOn).toFixed(digits)} at home, ${over(domains, variant, column, shiftedTo).toFixed(digits)} away`;

export const experiment: TrainedExperiment = {
  name: "domain-shift",
  title: "Balance away from home",
  question:
    "A router is balanced on the text that it was trained on. What is left of its balance on text of another kind?",
  method: [
    "Trained on Moby Dick, German, code and arithmetic; then, without learning, given batches of one domain at a time: held-out text of the four, and of three that were never seen (American speeches, Russian, Japanese). A batch of one domain is harder to balance than the mix even at home, so home is measured the same way.",
    "Five seeds, 200 steps. The figures average over the seeds; batches of 1,024 tokens, four a domain. MoGE and topk share the auxiliary loss, topk-lossfree has a bias in its stead, which stays where training left it.",
  ],
  sweep: {
    base: "experiment",
    set: {
      "training.steps": 200,
      data: { kind: "text", domains: trainedOn },
      probe: { domains: [...trainedOn, ...shiftedTo], batches: 4 },
    },
    variants: [
      { name: "topk", set: { "router.selection": "topk" } },
      { name: "topk-lossfree", set: { "router.selection": "topk", balance: [{ rule: "loss-free-bias", rate: 0.01 }] } },
      { name: "moge", set: { "router.selection": "moge" } },
    ],
    seeds: 5,
  },
  quick: {
    set: {
      "training.steps": 12,
      "training.sequences": 4,
      "record.validationSequences": 2,
      data: { kind: "text", domains: trainedOn },
      probe: { domains: [...trainedOn, ...shiftedTo], batches: 1 },
    },
    seeds: 2,
  },
  curves: [],
  compared: ["validation_loss_nats_per_byte", "imbalance_score_mean", "expert_max_over_mean", "specialisation"],
  claims: [
    {
      text: "MoGE's devices stay equal on every domain, seen or not: imbalance score 0",
      holds: ({ domains }) => domains.filter(({ variant }) => variant === "moge").every((row) => row[DEVICE] === 0),
    },
    {
      text: "top-k loses balance away from home: its device imbalance on unseen domains is higher than on seen ones, with either rule",
      holds: ({ domains }) =>
        ["topk", "topk-lossfree"].every(
          (arm) => over(domains, arm, DEVICE, shiftedTo) > over(domains, arm, DEVICE, trainedOn),
        ),
      found: ({ domains }) => ["topk", "topk-lossfree"].map((arm) => both(domains, arm, DEVICE, 3)).join("; "),
    },
    {
      text: "inside the devices MoGE loses balance too: its hottest expert is hotter on unseen domains",
      holds: ({ domains }) => over(domains, "moge", EXPERT, shiftedTo) > over(domains, "moge", EXPERT, trainedOn),
      found: ({ domains }) => arms.map((arm) => both(domains, arm, EXPERT, 2)).join("; "),
    },
    {
      text: "the mix hides it: batches of a single seen domain are at least twice as unequal for topk as the mixed batches of training",
      holds: ({ runs, domains }) => over(domains, "topk", DEVICE, trainedOn) >= 2 * trainingImbalance(runs, "topk"),
      found: ({ runs, domains }) =>
        `mixed ${trainingImbalance(runs, "topk").toFixed(3)}, one domain ${over(domains, "topk", DEVICE, trainedOn).toFixed(3)}`,
    },
  ],
};

function trainingImbalance(runs: readonly Row[], variant: string): number {
  const values = runs.filter((row) => row["variant"] === variant).map((row) => Number(row["imbalance_score_mean"]));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function figures({ domains, experts }: TrainedTables): ExperimentFigures {
  const last = Math.max(...domains.map(({ layer }) => Number(layer)));
  const named = (row: Row): Row => ({
    ...row,
    domain: `${row["domain"]}${trainedOn.includes(String(row["domain"])) ? "" : " (unseen)"}`,
  });
  const points = (column: string) =>
    domains
      .filter((row) => row["layer"] === last)
      .map((row) => ({ ...named(row), mean: row[column], low: row[column], high: row[column] }));
  const panel = (column: string, title: string, yTitle: string) =>
    dotFigure({
      runs: [],
      means: points(column),
      column: "mean",
      by: "domain",
      panels: "variant",
      title,
      subtitle: "Last layer, batches of one domain, mean over three seeds.",
      yTitle,
      description: `${title} on seen and unseen domains, by arm`,
    });
  return {
    "device-imbalance": panel(DEVICE, "Device imbalance by domain", "imbalance score"),
    "expert-imbalance": panel(EXPERT, "Hottest expert by domain", "max / mean"),
    loss: panel("loss_nats_per_byte", "Loss by domain", "nats per byte"),
    "experts-by-domain": heatFigure({
      rows: experts
        .filter((row) => row["layer"] === last)
        .map((row) => ({ ...named(row), over_even: Number(row["share"]) * 64 })),
      x: "expert",
      xTitle: "experts",
      y: "domain",
      value: "over_even",
      valueTitle: "load over\nmean load",
      middle: 1,
      most: 4,
      panels: "variant",
      title: "Which experts each domain uses",
      subtitle: "Last layer, seed 1.",
      description: "Share of each expert in the assignments of each domain, by arm",
    }),
  };
}
