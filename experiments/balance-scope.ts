/** Over which tokens a load is balanced: sequence, micro-batch, expert-parallel group, global batch, or by a bias. */
import type { TrainedExperiment, TrainedTables } from "../src/experiment/experiment.ts";
import { difference, estimate, isAbove, isBelow, printed, valuesOf } from "../src/experiment/rows.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { dotFigure } from "../src/output/figures/experiment-figures.ts";

const LOSS = "validation_loss_nats_per_byte";
const DEVICE = "imbalance_score_mean";
const EXPERT = "expert_max_over_mean";
const SPECIALISATION = "specialisation";
const STEP = "simulated_step_seconds";

const selections = ["topk", "moge"] as const;
const scopes = ["none", "sequence", "micro-batch", "ep-group", "global-batch", "loss-free"] as const;
const arm = (selection: string, scope: string) => ({ variant: `${selection} ${scope}` });

const ruleOf = (scope: string) => {
  if (scope === "none") return [];
  if (scope === "loss-free") return [{ rule: "loss-free-bias", rate: 0.01 }];
  return [{ rule: "switch-loss", coefficient: 0.1, scope }];
};

export const experiment: TrainedExperiment = {
  name: "balance-scope",
  title: "Over which tokens to balance",
  question:
    "Balanced over a sequence, a micro-batch, an expert-parallel group, the global batch, by a bias or not at all: what does each scope do to balance, quality and specialisation, for top-k and for MoGE?",
  method: [
    "One step is four ranks × two micro-batches × two sequences of 64 tokens, the 1,024 tokens of the other experiments. The auxiliary loss (coefficient 0.1) sees one sequence; one rank's micro-batch, 128 tokens; the micro-batch of all four ranks, the expert-parallel group; or that with the counts of the whole step so far. The bias rule of loss-free balancing looks at the whole step. Both selections share gate, text, order and starting weights.",
    "Published before: Qwen (arXiv:2501.11873) found that quality rises from micro-batch to global-batch balance, for want of constraint inside a micro-batch; Pangu Ultra MoE found the expert-parallel group best. Both are models of billions of parameters. Here: two layers, 200 steps, five seeds; intervals are 95 % bootstrap intervals over them. Step times are simulated.",
  ],
  sweep: {
    base: "experiment",
    set: {
      "training.steps": 200,
      "training.ranks": 4,
      "training.microBatches": 2,
      "training.sequences": 2,
      probe: { batches: 2 },
    },
    variants: selections.flatMap((selection) =>
      scopes.map((scope) => ({
        name: `${selection} ${scope}`,
        set: { "router.selection": selection, balance: ruleOf(scope) },
      })),
    ),
    seeds: 5,
  },
  quick: {
    set: {
      "training.steps": 8,
      "training.ranks": 2,
      "training.microBatches": 2,
      "training.sequences": 1,
      "record.validationSequences": 2,
      probe: { batches: 1 },
    },
    seeds: 2,
  },
  curves: [],
  compared: [
    LOSS,
    DEVICE,
    "imbalance_score_p95",
    EXPERT,
    "fan_out_devices_per_token",
    SPECIALISATION,
    STEP,
    "simulated_wait_seconds",
    "simulated_communication_seconds",
  ],
  claims: [
    {
      text: "MoGE's device imbalance is 0 in every scope, and without any balancing",
      holds: ({ runs }) =>
        scopes.every((scope) =>
          valuesOf(runs, "imbalance_score_max", arm("moge", scope)).every((score) => score === 0),
        ),
    },
    {
      text: "every rule lowers the hottest expert's load against none, for both selections",
      holds: ({ runs }) =>
        selections.every((selection) =>
          scopes
            .slice(1)
            .every((scope) => isBelow(difference(runs, EXPERT, arm(selection, scope), arm(selection, "none")), 0)),
        ),
      found: ({ runs }) =>
        selections
          .map(
            (selection) =>
              `${selection}: ${scopes.map((scope) => `${scope} ${estimate(runs, EXPERT, arm(selection, scope)).mean.toFixed(2)}`).join(", ")}`,
          )
          .join("; "),
    },
    {
      text: "the wider the scope of the loss, the more the experts specialise: global batch over sequence, for both selections",
      holds: ({ runs }) =>
        selections.every((selection) =>
          isAbove(difference(runs, SPECIALISATION, arm(selection, "global-batch"), arm(selection, "sequence")), 0),
        ),
      found: ({ runs }) =>
        selections
          .map(
            (selection) =>
              `${selection}: ${scopes.map((scope) => `${scope} ${estimate(runs, SPECIALISATION, arm(selection, scope)).mean.toFixed(3)}`).join(", ")}`,
          )
          .join("; "),
    },
    {
      text: "and the better the model: the validation loss of global batch is below that of sequence, for both selections",
      holds: ({ runs }) =>
        selections.every((selection) =>
          isBelow(difference(runs, LOSS, arm(selection, "global-batch"), arm(selection, "sequence")), 0),
        ),
      found: ({ runs }) =>
        selections
          .map(
            (selection) =>
              `${selection}: ${printed(difference(runs, LOSS, arm(selection, "global-batch"), arm(selection, "sequence")), 4)}`,
          )
          .join("; "),
    },
    {
      text: "grouping does not change which scope balances experts best",
      holds: ({ runs }) => {
        const best = (selection: string) =>
          [...scopes].sort(
            (a, b) => estimate(runs, EXPERT, arm(selection, a)).mean - estimate(runs, EXPERT, arm(selection, b)).mean,
          )[0];
        return best("topk") === best("moge");
      },
    },
    {
      text: "balanced over the expert-parallel group or wider, no top-k comes within 0.1 of MoGE's device imbalance",
      holds: ({ runs }) =>
        ["ep-group", "global-batch", "loss-free"].every((scope) =>
          isAbove(estimate(runs, DEVICE, arm("topk", scope)), 0.1),
        ),
      found: ({ runs }) =>
        scopes.map((scope) => `${scope} ${printed(estimate(runs, DEVICE, arm("topk", scope)), 3)}`).join("; "),
    },
  ],
};

export function figures({ runs, means }: TrainedTables): ExperimentFigures {
  const split = <T extends { readonly [column: string]: unknown }>(row: T) => {
    const [selection, scope] = String(row["variant"]).split(" ");
    return { ...row, selection, scope };
  };
  const dots = (column: string, title: string, yTitle: string) =>
    dotFigure({
      runs: runs.map(split),
      means: means.filter((row) => row["column"] === column).map(split),
      column,
      by: "scope",
      panels: "selection",
      title,
      subtitle: "A dot a seed; bars: 95 % intervals.",
      yTitle,
      description: `${title} by scope of the balancing, for top-k and MoGE`,
    });
  return {
    "device-imbalance": dots(DEVICE, "Device imbalance", "imbalance score"),
    "expert-imbalance": dots(EXPERT, "Hottest expert over the mean", "max / mean"),
    quality: dots(LOSS, "Validation loss", "nats per byte"),
    specialisation: dots(SPECIALISATION, "Specialisation of the experts", "total variation from the mean domain"),
    "step-time": dots(STEP, "Simulated step time", "seconds, simulated"),
  };
}
