/** MoGE against top-k and a dense twin, trained on real text: the ablation that the Pangu Pro MoE paper does not report. */
import type { Row, TrainedExperiment, TrainedTables } from "../src/experiment/experiment.ts";
import { difference, estimate, isAbove, isBelow, printed, valuesOf } from "../src/experiment/rows.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { curveFigure, dotFigure } from "../src/output/figures/experiment-figures.ts";
import { heatFigure } from "../src/output/figures/heat-figure.ts";

const LOSS = "validation_loss_nats_per_byte";
const DEVICE = "imbalance_score_mean";
const EXPERT = "expert_max_over_mean";
const FAN_OUT = "fan_out_devices_per_token";
const STEP = "simulated_step_seconds";

const arm = (variant: string) => ({ variant });

/** Less than this, in nats per byte, is taken for no difference in quality: under half a percent of the loss. */
const NEGLIGIBLE = 0.01;

const quality = ({ runs }: TrainedTables, a: string, b: string) => difference(runs, LOSS, arm(a), arm(b));
const isNegligible = (tables: TrainedTables, a: string, b: string) => {
  const { low, high } = quality(tables, a, b);
  return low > -NEGLIGIBLE && high < NEGLIGIBLE;
};

const milliseconds = (runs: readonly Row[], a: string, b: string) => {
  const { mean, low, high, count } = difference(runs, STEP, arm(a), arm(b));
  return { mean: mean * 1e3, low: low * 1e3, high: high * 1e3, count };
};

export const experiment: TrainedExperiment = {
  name: "moge-vs-topk",
  title: "MoGE against top-k and a dense twin",
  question:
    "What does choosing experts group by group cost in quality, and what does it buy in balance and step time, against a top-k that is balanced as well as we can?",
  method: [
    "Seven arms, five seeds each. Arms of one seed share the text, its order and, parameter by parameter, the starting weights, so differences are taken by pairs. topk, topk-lossfree, moge and moge-lossfree have equal gates: sigmoid scores, normalised over the chosen. paper-topk (softmax over the chosen logits) and paper-moge (softmax over all experts, not renormalised) are the pair as the Pangu Pro MoE paper writes it, which differs in normalisation too. The dense twin has one SwiGLU of the same active width, (8 + 1) · 32.",
    "Parity: active_parameters and forward_flops_per_token of every run are in runs.csv. All MoE arms are equal in both; the dense twin has no routers, 1 to 2 % less. One learning rate for all arms, chosen on none of them by this experiment.",
    "Limits: two layers, a few hundred thousand active parameters, 200 steps of 1,024 tokens. Quality at this size says little about large models; balance and fan-out follow from the selection rule and say more. Device imbalance and fan-out are counted on 8 devices with 8 experts each. The step time is simulated for a layer of Pangu Pro MoE on eight Ascend 910B2; the dense twin has none.",
  ],
  sweep: {
    base: "experiment",
    variants: [
      { name: "dense", set: { "model.feedForward": "dense", probe: { batches: 1 } } },
      { name: "topk", set: { "router.selection": "topk" } },
      {
        name: "topk-lossfree",
        set: { "router.selection": "topk", balance: [{ rule: "loss-free-bias", rate: 0.01 }] },
      },
      { name: "moge", set: { "router.selection": "moge" } },
      {
        name: "moge-lossfree",
        set: { "router.selection": "moge", balance: [{ rule: "loss-free-bias", rate: 0.01 }] },
      },
      { name: "paper-topk", set: { "router.preset": "pangu-topk" } },
      { name: "paper-moge", set: { "router.preset": "pangu-moge" } },
    ],
    seeds: 5,
  },
  quick: {
    set: {
      "training.steps": 12,
      "training.sequences": 4,
      "record.validationEvery": 6,
      "record.validationSequences": 2,
      "probe.batches": 1,
    },
    seeds: 2,
  },
  curves: [
    { name: "validation loss", file: "steps.csv", column: LOSS },
    { name: "device imbalance", file: "layers.csv", column: "device_imbalance_score" },
    { name: "expert imbalance", file: "layers.csv", column: "expert_max_over_mean" },
    { name: "step time", file: "steps.csv", column: STEP },
  ],
  compared: [
    LOSS,
    DEVICE,
    "imbalance_score_p95",
    EXPERT,
    FAN_OUT,
    "gate_mass",
    "specialisation",
    "together_on_device",
    "strongest_companion",
    STEP,
    "simulated_compute_seconds",
    "simulated_wait_seconds",
    "simulated_communication_seconds",
    "active_parameters",
    "forward_flops_per_token",
    "loss_moby-dick_nats_per_byte",
    "loss_speeches_nats_per_byte",
    "loss_german_nats_per_byte",
    "loss_russian_nats_per_byte",
    "loss_japanese_nats_per_byte",
    "loss_code_nats_per_byte",
    "loss_arithmetic_nats_per_byte",
  ],
  claims: [
    {
      text: "MoGE has device imbalance score 0 in every layer and step of every seed, with either balancing rule",
      holds: ({ runs }) =>
        ["moge", "moge-lossfree", "paper-moge"].every((variant) =>
          valuesOf(runs, "imbalance_score_max", arm(variant)).every((score) => score === 0),
        ),
    },
    {
      text: "the best balanced top-k does not come near it: the mean device imbalance score of topk-lossfree is above 0.1",
      holds: ({ runs }) => isAbove(estimate(runs, DEVICE, arm("topk-lossfree")), 0.1),
      found: ({ runs }) => printed(estimate(runs, DEVICE, arm("topk-lossfree")), 3),
    },
    {
      text: "with equal gates and the same loss, grouping costs less than 0.01 nats per byte: moge against topk",
      holds: (tables) => isNegligible(tables, "moge", "topk"),
      found: (tables) => printed(quality(tables, "moge", "topk"), 4),
    },
    {
      text: "as the paper writes the pair, which is not renormalised on MoGE's side, it costs less than 0.01 too: paper-moge against paper-topk",
      holds: (tables) => isNegligible(tables, "paper-moge", "paper-topk"),
      found: (tables) => printed(quality(tables, "paper-moge", "paper-topk"), 4),
    },
    {
      text: "every MoE arm with equal gates is better than the dense twin of equal active width",
      holds: (tables) =>
        ["topk", "topk-lossfree", "moge", "moge-lossfree"].every((variant) =>
          isBelow(quality(tables, variant, "dense"), 0),
        ),
      found: (tables) =>
        ["topk", "topk-lossfree", "moge", "moge-lossfree"]
          .map((variant) => `${variant} ${printed(quality(tables, variant, "dense"), 3)}`)
          .join("; "),
    },
    {
      text: "grouping does nothing for balance inside the devices: the hottest expert of moge is within 10 % of topk's",
      holds: ({ runs }) => {
        const ratio = estimate(runs, EXPERT, arm("moge")).mean / estimate(runs, EXPERT, arm("topk")).mean;
        return ratio > 0.9 && ratio < 1.1;
      },
      found: ({ runs }) =>
        `moge ${printed(estimate(runs, EXPERT, arm("moge")), 2)}, topk ${printed(estimate(runs, EXPERT, arm("topk")), 2)}`,
    },
    {
      text: "MoGE pays in fan-out: 8 devices a token, exactly, against fewer than 6 of topk",
      holds: ({ runs }) =>
        valuesOf(runs, FAN_OUT, arm("moge")).every((devices) => devices === 8) &&
        isBelow(estimate(runs, FAN_OUT, arm("topk")), 6),
      found: ({ runs }) => `topk ${printed(estimate(runs, FAN_OUT, arm("topk")), 2)}`,
    },
    {
      text: "the simulated step of moge is shorter than that of topk with the same loss",
      holds: ({ runs }) => isBelow(milliseconds(runs, "moge", "topk"), 0),
      found: ({ runs }) => `${printed(milliseconds(runs, "moge", "topk"), 2)} ms`,
    },
    {
      text: "the simulated step of moge is shorter than that of topk-lossfree",
      holds: ({ runs }) => isBelow(milliseconds(runs, "moge", "topk-lossfree"), 0),
      found: ({ runs }) => `${printed(milliseconds(runs, "moge", "topk-lossfree"), 2)} ms`,
    },
    {
      text: "grouping leaves specialisation as it is: that of moge is within 10 % of topk's",
      holds: ({ runs }) => {
        const ratio =
          estimate(runs, "specialisation", arm("moge")).mean / estimate(runs, "specialisation", arm("topk")).mean;
        return ratio > 0.9 && ratio < 1.1;
      },
      found: ({ runs }) =>
        `moge ${printed(estimate(runs, "specialisation", arm("moge")), 3)}, topk ${printed(estimate(runs, "specialisation", arm("topk")), 3)}`,
    },
    {
      text: "with one expert a group, no two chosen experts of moge share a device",
      holds: ({ runs }) => valuesOf(runs, "together_on_device", arm("moge")).every((share) => share === 0),
      found: ({ runs }) => `topk ${printed(estimate(runs, "together_on_device", arm("topk")), 3)}, blind choice 0.111`,
    },
  ],
};

const by = "variant";
const order = ["dense", "topk", "topk-lossfree", "moge", "moge-lossfree", "paper-topk", "paper-moge"];
const arms = "Seven arms, five seeds; bands and bars: 95 % bootstrap intervals over the seeds.";

export function figures({ runs, means, curves, experts, pairs }: TrainedTables): ExperimentFigures {
  const last = Math.max(...experts.map(({ layer }) => Number(layer)));
  const of = (column: string) => means.filter((row) => row["column"] === column);
  const routed = <T extends Row>(rows: readonly T[]) => rows.filter(({ variant }) => variant !== "dense");
  const dots = (column: string, title: string, yTitle: string) =>
    dotFigure({
      runs,
      means: of(column),
      column,
      by,
      order,
      title,
      subtitle: "A dot a seed; bars: 95 % intervals.",
      yTitle,
      description: `${title} by arm`,
    });
  return {
    quality: dots(LOSS, "Validation loss", "nats per byte, mean over the domains"),
    "quality-by-domain": domainQuality(means),
    "device-imbalance": curveFigure({
      rows: routed(curves.filter((row) => row["curve"] === "device imbalance")),
      by,
      order,
      title: "Device imbalance over training",
      subtitle: arms,
      description: "Imbalance score of the device loads over the steps, by layer and arm",
      yTitle: "imbalance score",
    }),
    "expert-imbalance": curveFigure({
      rows: routed(curves.filter((row) => row["curve"] === "expert imbalance")),
      by,
      order,
      title: "Expert imbalance over training",
      subtitle: arms,
      description: "Load of the hottest expert over the mean one over the steps, by layer and arm",
      yTitle: "hottest expert over mean",
    }),
    "step-time": dots(STEP, "Simulated step time", "seconds, simulated, one Pangu Pro MoE layer"),
    specialisation: dots("specialisation", "Specialisation of the experts", "total variation from the mean domain"),
    "experts-by-domain": heatFigure({
      rows: routed(experts)
        .filter((row) => row["layer"] === last)
        .map((row) => ({ ...row, over_even: Number(row["share"]) * 64 })),
      x: "expert",
      xTitle: "experts",
      y: "domain",
      value: "over_even",
      valueTitle: "load over\nmean load",
      middle: 1,
      most: 4,
      panels: by,
      title: "Which experts each domain uses",
      subtitle: `Last layer, seed 1, held-out text.`,
      description: "Share of each expert in the assignments of each domain, by arm",
    }),
    "chosen-together": heatFigure({
      rows: routed(pairs).filter((row) => row["layer"] === last),
      x: "other",
      xTitle: "experts, two a cell",
      y: "block",
      value: "over_even",
      valueTitle: "pairs over\neven spread",
      middle: 1,
      most: 3,
      panels: by,
      title: "Which experts are chosen together",
      subtitle:
        "Last layer, seed 1. Blue squares along MoGE's diagonal: experts of one group are never chosen together.",
      description: "How often pairs of experts are chosen for the same token, over an even spread, by arm",
    }),
  };
}

function domainQuality(means: readonly Row[]) {
  const rows: Row[] = means.flatMap((row): Row[] => {
    const domain = /^loss_(.+)_nats_per_byte$/.exec(String(row["column"]))?.[1];
    return domain === undefined ? [] : [{ ...row, domain }];
  });
  const relative = rows.map((row): Row => {
    const base = rows.find((other) => other["variant"] === "topk" && other["domain"] === row["domain"])!;
    const less = (value: unknown) => Number(value) - Number(base["mean"]);
    return { ...row, mean: less(row["mean"]), low: less(row["low"]), high: less(row["high"]) };
  });
  return dotFigure({
    runs: [],
    means: relative.filter((row) =>
      ["moge", "topk-lossfree", "moge-lossfree", "paper-moge"].includes(String(row["variant"])),
    ),
    column: "mean",
    by: "domain",
    panels: "variant",
    title: "Validation loss by domain, against topk",
    subtitle: "Left of 0: better than topk's mean. Bars: 95 % intervals over the seeds.",
    yTitle: "nats per byte",
    description: "Validation loss of each domain less that of topk, by arm",
  });
}
