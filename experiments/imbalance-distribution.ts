/**
 * Figure 2b of the Pangu Pro MoE paper and its surroundings: what the selection rule alone does to the balance of
 * devices, before any router has learned to prefer an expert.
 */
import { mean, quantileSorted, standardDeviation } from "simple-statistics";
import { randomStream } from "../src/core/random.ts";
import { exactImbalance } from "../src/experiment/exact-imbalance.ts";
import type { Experiment } from "../src/experiment/experiment.ts";
import { type ImbalanceSample, sampleImbalance } from "../src/experiment/imbalance-samples.ts";
import { type UniformChoiceName, uniformChoices } from "../src/experiment/uniform-choices.ts";
import {
  balancedTokenProbability,
  type DrawMode,
  expectedFanOut,
  expectedImbalanceScore,
} from "../src/metrics/expected-imbalance.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { variantScales } from "../src/output/figures/theme.ts";

const shape = { experts: 64, topK: 8, groups: 8 };

/** The figure itself is 16 tokens on 8 devices. */
const batches = [1, 4, 16, 64, 256, 1024, 4096];
const deviceCounts = [2, 4, 8, 16, 32, 64];

/** Larger batches differ less from one to the next: fewer of them do, for the same number of tokens. */
const trialsOf = (trials: number, tokens: number): number =>
  Math.max(200, Math.min(trials, Math.ceil((16 * trials) / tokens)));

const modes: Record<UniformChoiceName, DrawMode | undefined> = {
  topk: "distinct",
  "topk-with-replacement": "with-replacement",
  moge: undefined,
};

function summarise(
  choice: UniformChoiceName,
  tokens: number,
  { devices, imbalanceScores, ...sample }: ImbalanceSample,
) {
  const scores = Array.from(imbalanceScores);
  const setting = { ...shape, devices };
  const mode = modes[choice];
  const wholeGroups = shape.groups % devices === 0;
  const exact = exactImbalance(choice, setting, tokens);
  return {
    choice,
    devices,
    tokens,
    trials: scores.length,
    mean_imbalance_score: mean(scores),
    exact_imbalance_score: exact?.mean,
    closed_form_imbalance_score: mode ? expectedImbalanceScore(setting, tokens, mode) : wholeGroups ? 0 : undefined,
    sd_imbalance_score: standardDeviation(scores),
    q01_imbalance_score: quantileSorted(scores, 0.01),
    q50_imbalance_score: quantileSorted(scores, 0.5),
    q99_imbalance_score: quantileSorted(scores, 0.99),
    balanced_fraction: scores.filter((score) => score === 0).length / scores.length,
    exact_balanced_fraction: exact?.balanced,
    mean_max_over_mean: sample.maxOverMean,
    mean_fan_out: sample.fanOut,
    exact_fan_out: mode ? expectedFanOut(setting, mode) : Math.min(devices, shape.topK), // one expert a group
  };
}

/** Share of the batches at each value that the imbalance score takes. */
function countValues(choice: UniformChoiceName, { imbalanceScores }: ImbalanceSample) {
  const counts = new Map<number, number>();
  for (const score of imbalanceScores) counts.set(score, (counts.get(score) ?? 0) + 1);
  return [...counts].map(([imbalance_score, count]) => ({
    choice,
    imbalance_score,
    probability: count / imbalanceScores.length,
  }));
}

export interface ImbalanceDistributionTables {
  readonly [name: string]: readonly Record<string, number | string | undefined>[];
  readonly summary: readonly ReturnType<typeof summarise>[];
  /** Figure 2b: 16 tokens on 8 devices. */
  readonly histogram: readonly ReturnType<typeof countValues>[number][];
}

function run({ trials, seed }: { trials: number; seed: number }): ImbalanceDistributionTables {
  const summary: ReturnType<typeof summarise>[] = [];
  const histogram: ReturnType<typeof countValues> = [];
  for (const choice of Object.keys(uniformChoices) as UniformChoiceName[]) {
    for (const tokens of batches) {
      const random = randomStream(seed, "imbalance-distribution", choice, tokens);
      for (const sample of sampleImbalance(
        uniformChoices[choice],
        random,
        shape,
        tokens,
        trialsOf(trials, tokens),
        deviceCounts,
      )) {
        summary.push(summarise(choice, tokens, sample));
        if (tokens === 16 && sample.devices === 8) histogram.push(...countValues(choice, sample));
      }
    }
  }
  return { summary, histogram };
}

function find({ summary }: ImbalanceDistributionTables, choice: UniformChoiceName, devices: number, tokens: number) {
  const row = summary.find((each) => each.choice === choice && each.devices === devices && each.tokens === tokens);
  if (row === undefined) throw new RangeError(`no row for ${choice}, ${devices} devices, ${tokens} tokens`);
  return row;
}

/** The drawn means that the closed form for top-k claims to match. */
const closedFormRows = (summary: ImbalanceDistributionTables["summary"]) =>
  summary.filter(({ choice, tokens }) => choice === "topk" && tokens >= 16);

const offBy = (row: ImbalanceDistributionTables["summary"][number]): number =>
  Math.abs(row.closed_form_imbalance_score! / row.mean_imbalance_score - 1);

const standardError = ({ sd_imbalance_score, trials }: { sd_imbalance_score: number; trials: number }) =>
  sd_imbalance_score / Math.sqrt(trials);

const near = (value: number, wanted: number, tolerance: number) => Math.abs(value - wanted) <= tolerance;

/** Within four standard errors of a share that is known exactly. */
const nearShare = (measured: number, exact: number, trials: number) =>
  near(measured, exact, 4 * Math.sqrt((exact * (1 - exact)) / trials));

function balancedTokensMatch(tables: ImbalanceDistributionTables, choice: UniformChoiceName, mode: DrawMode): boolean {
  const { balanced_fraction, trials } = find(tables, choice, 8, 1);
  return nearShare(balanced_fraction, balancedTokenProbability({ ...shape, devices: 8 }, mode), trials);
}

export const experiment: Experiment<{ trials: number; seed: number }, ImbalanceDistributionTables> = {
  name: "imbalance-distribution",
  title: "Imbalance score of routers without preference (Pangu Pro MoE, figure 2b)",
  question:
    "How unequal are the loads of devices when every expert is as likely as any other, and what does MoGE change?",
  defaults: { trials: 50_000, seed: 1 },
  quick: { trials: 2000 },
  method: [
    "Three ways to the same numbers: Monte Carlo, the mean over drawn batches with its spread; exact, from the polynomials of exact-imbalance.ts, where loads are independent but for their sum (independent draws up to 16 tokens, one token, two devices, MoGE's groups over several devices); closed form, by the expected range of normal numbers, good from 16 tokens on.",
    "Nothing is learned here: every expert is as likely as any other. Batches above 16 tokens are drawn less often, for the same number of tokens.",
  ],
  run,
  claims: [
    {
      text: "top-8 of 64 experts on 8 devices, 16 tokens: the mean imbalance score is 0.669 ± 0.005 (distinct experts)",
      holds: (tables) => near(find(tables, "topk", 8, 16).mean_imbalance_score, 0.669, 0.005),
    },
    {
      text: "with 8 independent draws instead, the literal reading of eq. 4, it is 0.709 ± 0.005",
      holds: (tables) => near(find(tables, "topk-with-replacement", 8, 16).mean_imbalance_score, 0.709, 0.005),
    },
    {
      text: "top-8 is out of balance in more than 99.9 % of the batches of 16 tokens",
      holds: (tables) => find(tables, "topk", 8, 16).balanced_fraction < 0.001,
    },
    {
      text: "MoGE of 8 groups has imbalance score exactly 0 in every batch on 2, 4 and 8 devices",
      holds: (tables) => [2, 4, 8].every((devices) => find(tables, "moge", devices, 16).balanced_fraction === 1),
    },
    {
      text: "on 16 devices, half a group each, MoGE is out of balance too: 0.438 ± 0.005",
      holds: (tables) => near(find(tables, "moge", 16, 16).mean_imbalance_score, 0.438, 0.005),
    },
    {
      text: "one token loads 8 devices equally with probability 8^8/C(64,8) = 0.003790, by four standard errors",
      holds: (tables) => balancedTokensMatch(tables, "topk", "distinct"),
    },
    {
      text: "with independent draws that probability is 8!/8^8 = 0.002403, by four standard errors",
      holds: (tables) => balancedTokensMatch(tables, "topk-with-replacement", "with-replacement"),
    },
    {
      text: "wherever the exact mean is known, the drawn one lies within four standard errors of it",
      holds: ({ summary }) =>
        summary.every(
          (row) =>
            row.exact_imbalance_score === undefined ||
            near(row.mean_imbalance_score, row.exact_imbalance_score, 4 * standardError(row) + 1e-12),
        ),
      found: ({ summary }) =>
        `${summary.filter((row) => row.exact_imbalance_score !== undefined).length} of ${summary.length} rows`,
    },
    {
      text: "from 16 tokens on, the closed form for top-k is within 4 % of the drawn mean on up to 16 devices",
      holds: ({ summary }) =>
        closedFormRows(summary)
          .filter(({ devices }) => devices <= 16)
          .every((row) => offBy(row) < 0.04 + (4 * standardError(row)) / row.mean_imbalance_score),
      found: ({ summary }) => {
        const worst = (rows: typeof summary) => `${(100 * Math.max(...rows.map(offBy))).toFixed(1)} %`;
        const rows = closedFormRows(summary);
        return `at most ${worst(rows.filter(({ devices }) => devices <= 16))} off, on 32 and 64 devices ${worst(rows.filter(({ devices }) => devices > 16))}`;
      },
    },
    {
      text: "the imbalance of chance falls with the batch: at 4,096 tokens on 8 devices top-k has less than a tenth of that at 16",
      holds: (tables) =>
        find(tables, "topk", 8, 4096).mean_imbalance_score < 0.1 * find(tables, "topk", 8, 16).mean_imbalance_score,
      found: (tables) =>
        [16, 256, 4096]
          .map((tokens) => `${tokens}: ${find(tables, "topk", 8, tokens).mean_imbalance_score.toFixed(4)}`)
          .join("; "),
    },
    {
      text: "MoGE pays in fan-out: 8 devices a token, exactly, against 5.43 ± 0.01 of top-8",
      holds: (tables) =>
        near(find(tables, "moge", 8, 16).mean_fan_out, 8, 1e-9) &&
        near(find(tables, "topk", 8, 16).mean_fan_out, 5.43, 0.01),
    },
  ],
};

const titles: Record<UniformChoiceName, string> = {
  topk: "top-k, distinct experts",
  "topk-with-replacement": "top-k, with replacement",
  moge: "MoGE",
};

const contents = [
  "Top-8 of 64 experts, batches of 16 tokens, every expert as likely as any other.",
  "Each histogram has its own scale of probability: MoGE on 8 devices has a single bar, of 1 at 0.",
];

/** Figure 2b, and beside it what becomes of its mean on other numbers of devices. */
export function figures(tables: ImbalanceDistributionTables): ExperimentFigures {
  const choices = Object.keys(uniformChoices) as UniformChoiceName[];
  return {
    "imbalance-score": {
      description:
        "Histograms of the imbalance score of three routing rules on 8 devices, and their means by number of devices",
      title: { text: "Imbalance score of routers without preference", subtitle: contents },
      spacing: 28,
      resolve: { legend: { color: "independent", shape: "independent" } },
      hconcat: [
        { spacing: 14, vconcat: choices.map((choice) => histogramView(choice, choices, tables)) },
        meansView(choices, tables),
      ],
    },
    "by-batch": batchFigure(choices, tables),
  };
}

/** Drawn means as points, exact ones as crosses, the closed form as lines; both axes by powers. */
function batchFigure(choices: readonly UniformChoiceName[], { summary }: ImbalanceDistributionTables) {
  const order = choices.map((choice) => titles[choice]);
  const { colour } = variantScales(order);
  const color = {
    field: "choice",
    type: "nominal" as const,
    scale: colour,
    legend: { title: null, orient: "top" as const, symbolOpacity: 1 },
  };
  const x = {
    field: "tokens",
    type: "quantitative" as const,
    title: "tokens a batch",
    scale: { type: "log" as const, base: 2, padding: 10 },
    axis: { values: batches, grid: false },
  };
  const y = (field: string) => ({
    field,
    type: "quantitative" as const,
    title: "mean imbalance score",
    scale: { type: "log" as const, base: 10 },
  });
  const panel = (devices: number) => {
    const rows = summary.filter((row) => row.devices === devices && row.mean_imbalance_score > 0);
    const values = (field: "mean_imbalance_score" | "exact_imbalance_score" | "closed_form_imbalance_score") =>
      rows.flatMap((row) =>
        row[field] ? [{ choice: titles[row.choice], devices, tokens: row.tokens, [field]: row[field] }] : [],
      );
    return {
      width: 300,
      height: 280,
      title: { text: `${devices} devices`, fontSize: 12, offset: 6 },
      layer: [
        {
          data: { values: values("closed_form_imbalance_score") },
          mark: { type: "line" as const, strokeWidth: 1.5, aria: false },
          encoding: { x, y: y("closed_form_imbalance_score"), color },
        },
        {
          data: { values: values("mean_imbalance_score") },
          mark: { type: "point" as const, filled: true, size: 50, opacity: 1, aria: false },
          encoding: { x, y: y("mean_imbalance_score"), color },
        },
        {
          data: { values: values("exact_imbalance_score") },
          mark: { type: "point" as const, shape: "cross", size: 140, aria: false },
          encoding: { x, y: y("exact_imbalance_score"), color },
        },
      ],
    };
  };
  return {
    description: "Mean imbalance score by size of the batch, drawn, exact and by the closed form, on 8 and 16 devices",
    title: {
      text: "Chance evens out as the batch grows",
      subtitle: [
        "Points: mean of the draws. Crosses: exact. Lines: closed form.",
        "MoGE on 8 devices is 0 and has no place on this scale.",
      ],
    },
    hconcat: [panel(8), panel(16)],
  };
}

/** Bars of one width, 1/16, the smallest difference between two scores. Each choice has a scale of its own. */
function histogramView(
  choice: UniformChoiceName,
  choices: readonly UniformChoiceName[],
  { histogram }: ImbalanceDistributionTables,
) {
  const { colour } = variantScales(choices);
  const half = 1 / 32;
  const top = Math.max(...histogram.map(({ imbalance_score }) => imbalance_score));
  const bars = histogram.filter((each) => each.choice === choice);
  return {
    width: 332,
    height: 82,
    title: { text: `${titles[choice]}, 8 devices`, fontSize: 12, offset: 6 },
    data: {
      values: bars.map(({ choice, imbalance_score, probability }) => ({
        choice,
        from: imbalance_score - half,
        to: imbalance_score + half,
        probability,
      })),
    },
    mark: { type: "rect" as const, fill: colour.range[choices.indexOf(choice)]!, stroke: "white", strokeWidth: 0.5 },
    encoding: {
      x: {
        field: "from",
        type: "quantitative" as const,
        title: choice === choices.at(-1) ? "imbalance score (assignments per token)" : null,
        scale: { domain: [-half, top + half], nice: false },
        axis: { grid: false, labels: choice === choices.at(-1) },
      },
      x2: { field: "to" },
      y: {
        field: "probability",
        type: "quantitative" as const,
        title: "probability",
        scale: { zero: true, nice: true },
        axis: { tickCount: 3, format: ".2f", minExtent: 32 },
      },
      y2: { datum: 0 },
    },
  };
}

/** Points are means over the drawn batches, lines the closed form; MoGE has one where devices hold whole groups. */
function meansView(choices: readonly UniformChoiceName[], { summary }: ImbalanceDistributionTables) {
  const { colour, shape: shapes } = variantScales(choices.map((choice) => titles[choice]));
  const means = summary
    .filter(({ tokens }) => tokens === 16)
    .map((row) => ({
      choice: titles[row.choice],
      devices: row.devices,
      measured: row.mean_imbalance_score,
      expected: row.closed_form_imbalance_score ?? null,
    }));
  const legend = {
    title: ["points: mean of the draws", "lines: closed form"],
    orient: "none" as const,
    legendX: 14,
    legendY: 150,
  };
  const color = { field: "choice", type: "nominal" as const, scale: colour, legend };
  const x = {
    field: "devices",
    type: "quantitative" as const,
    title: "devices",
    scale: { type: "log" as const, base: 2, nice: false, padding: 10 },
    axis: { values: [...new Set(means.map(({ devices }) => devices))], grid: false },
  };
  const y = (field: string) => ({
    field,
    type: "quantitative" as const,
    title: "mean imbalance score",
    scale: { nice: false, padding: 8 },
  });
  return {
    width: 308,
    height: 336,
    title: { text: "Mean by number of devices", fontSize: 12, offset: 6 },
    data: { values: means },
    layer: [
      {
        transform: [{ filter: "datum.expected !== null" }],
        mark: { type: "line" as const, strokeWidth: 1.5 },
        encoding: { x, y: y("expected"), color },
      },
      {
        mark: { type: "point" as const, filled: true, opacity: 1, size: 60 },
        encoding: {
          x,
          y: y("measured"),
          color,
          shape: { field: "choice", type: "nominal" as const, scale: shapes, legend },
        },
      },
    ],
  };
}
