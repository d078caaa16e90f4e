/** Trained on one mix of text, looked at on another: what happens to the balance. */
import { mean } from "../src/core/statistics.ts";
import type { Row, TrainedExperiment, TrainedTables } from "../src/experiment/experiment.ts";
import { difference, estimate, isAbove, printed, valuesOf } from "../src/experiment/rows.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { dotFigure } from "../src/output/figures/experiment-figures.ts";
import { heatFigure } from "../src/output/figures/heat-figure.ts";

const trainedOn = ["moby-dick", "german", "code", "arithmetic"];
const shiftedTo = ["speeches", "russian", "japanese"];
const arms = ["topk", "topk-lossfree", "moge"];
const DEVICE = "device_imbalance_score";
const EXPERT = "expert_max_over_mean";

const at = (variant: string, place: string) => ({ variant, place });

/**
 * A row a run and kind of text: at home and away the mean over layers and domains, and the mixed batches of training;
 * `over_mixed` is the device imbalance over that of the mix.
 */
function places({ runs, probes }: TrainedTables): Row[] {
  return runs.flatMap(({ run, variant, seed, imbalance_score_mean: mixed, [EXPERT]: hottest }) => {
    const over = (place: string, domains: readonly string[]): Row => {
      const own = probes.filter((row) => row["run"] === run && domains.includes(String(row["domain"])));
      const device = mean(valuesOf(own, DEVICE));
      const over_mixed = device / Number(mixed);
      return { run, variant, seed, place, [DEVICE]: device, [EXPERT]: mean(valuesOf(own, EXPERT)), over_mixed };
    };
    const mix: Row = { run, variant, seed, place: "mixed", [DEVICE]: mixed, [EXPERT]: hottest };
    return [mix, over("home", trainedOn), over("away", shiftedTo)];
  });
}

const moreAway = (tables: TrainedTables, variant: string, column: string) =>
  difference(places(tables), column, at(variant, "away"), at(variant, "home"));

const both = (tables: TrainedTables, variant: string, column: string, digits: number) => {
  const [home, away] = ["home", "away"].map((place) => estimate(places(tables), column, at(variant, place)));
  const more = printed(moreAway(tables, variant, column), digits);
  return `${variant} ${home!.mean.toFixed(digits)} at home, ${away!.mean.toFixed(digits)} away, difference ${more}`;
};

export const experiment: TrainedExperiment = {
  name: "domain-shift",
  title: "Balance away from home",
  question:
    "A router is balanced on the text that it was trained on. What is left of its balance on text of another kind?",
  method: [
    "Trained on Moby Dick, German, code and arithmetic; then, without learning, given batches of one domain at a time: held-out text of the four, and of three that were never seen (American speeches, Russian, Japanese). A batch of one domain is harder to balance than the mix even at home, so home is measured the same way.",
    "Five seeds, 200 steps; intervals are 95 % bootstrap intervals over the seeds, of differences by pairs. Batches of 1,024 tokens, four a domain. MoGE and topk share the auxiliary loss, topk-lossfree has a bias in its stead, which stays where training left it.",
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
  probes: true,
  claims: [
    {
      text: "MoGE's devices stay equal on every domain, seen or not: imbalance score 0",
      holds: ({ probes }) => valuesOf(probes, DEVICE, { variant: "moge" }).every((score) => score === 0),
    },
    {
      text: "top-k loses balance away from home: its device imbalance on unseen domains is higher than on seen ones, with either rule",
      holds: (tables) => ["topk", "topk-lossfree"].every((variant) => isAbove(moreAway(tables, variant, DEVICE), 0)),
      found: (tables) => ["topk", "topk-lossfree"].map((variant) => both(tables, variant, DEVICE, 3)).join("; "),
    },
    {
      text: "inside the devices MoGE loses balance too: its hottest expert is hotter on unseen domains",
      holds: (tables) => isAbove(moreAway(tables, "moge", EXPERT), 0),
      found: (tables) => arms.map((variant) => both(tables, variant, EXPERT, 2)).join("; "),
    },
    {
      text: "the mix hides it: batches of a single seen domain are at least twice as unequal for topk as the mixed batches of training",
      holds: (tables) => isAbove(estimate(places(tables), "over_mixed", at("topk", "home")), 2),
      found: (tables) => {
        const of = (column: string, place: string) => estimate(places(tables), column, at("topk", place));
        const [mixed, home] = [of(DEVICE, "mixed"), of(DEVICE, "home")].map((each) => printed(each, 3));
        return `mixed ${mixed}, one domain ${home}, ${printed(of("over_mixed", "home"), 2)} times`;
      },
    },
  ],
};

export function figures({ probes, experts }: TrainedTables): ExperimentFigures {
  const last = Math.max(...probes.map(({ layer }) => Number(layer)));
  const named = (row: Row): Row => ({
    ...row,
    domain: `${row["domain"]}${trainedOn.includes(String(row["domain"])) ? "" : " (unseen)"}`,
  });
  const shown = probes.filter((row) => row["layer"] === last).map(named);
  const domains = [...new Set(shown.map(({ domain }) => String(domain)))];
  const panel = (column: string, title: string, yTitle: string) =>
    dotFigure({
      runs: shown,
      means: arms.flatMap((variant) =>
        domains.map((domain) => ({ variant, domain, ...estimate(shown, column, { variant, domain }) })),
      ),
      column,
      by: "domain",
      panels: "variant",
      title,
      subtitle: "Last layer, batches of one domain. A dot a seed; bars: 95 % intervals.",
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
