/** The page that a finished run ends with, `summary.md`: question, figures, conclusion, how to read and to reproduce it. */
import { join } from "node:path";
import { clusterOf } from "../cluster/presets.ts";
import { constantsOf } from "../cluster/sourced.ts";
import type { ResolvedConfig, Variant } from "../config/resolve.ts";
import type { TargetConfig } from "../config/schema.ts";
import { writeWhole } from "../host/whole-file.ts";
import { expectedFanOut, expectedImbalanceScore } from "../metrics/expected-imbalance.ts";
import { conclusion } from "./conclusion.ts";
import { drawFigures, type FigureName, figures } from "./figures/figures.ts";
import { printed, type Quantity, quantities } from "./quantities.ts";
import { readSummary, type SummaryRow } from "./summary-rows.ts";

/** Draws the figures and writes summary.md in the directory of a finished run, from its CSV files. */
export async function writeReport(directory: string, resolved: ResolvedConfig): Promise<void> {
  const drawn = await drawFigures(directory);
  writeWhole(join(directory, "summary.md"), summaryPage(resolved, readSummary(directory), drawn));
}

/** @param drawn the figures beside the page */
export function summaryPage(
  { file, variants }: ResolvedConfig,
  rows: readonly SummaryRow[],
  drawn: readonly FigureName[],
): string {
  const priced = rows.some((row) => row.values.simulated_step_seconds !== undefined);
  const paragraphs = [
    `# ${file.name}`,
    file.description ?? "",
    summaryTableMarkdown(rows),
    conclusion(rows)
      .map((sentence) => `- ${sentence}`)
      .join("\n"),
    ...drawn.map((name) => `![${figures[name].description}](${name}.svg)`),
    "## How to read it",
    [
      ...readingNotes(variants.filter(isRouted)),
      "One seed only: a difference that another seed could reverse is no finding.",
    ]
      .map((note) => `- ${note}`)
      .join("\n"),
    ...(priced ? ["## What is simulated", ...byVariant(variants.filter(isPriced), simulationNote)] : []),
    "## To reproduce",
    "In the folder of this page, with the resolved configuration that the run wrote beside it:",
    "```sh\nnpx moge run config.yaml --results again\n```",
    reproductionNote(variants),
  ];
  return `${paragraphs.filter((paragraph) => paragraph !== "").join("\n\n")}\n`;
}

const columns: readonly { readonly head: string; readonly quantity: Quantity }[] = [
  { head: "validation loss, nats per byte", quantity: quantities.validationLoss },
  { head: "device imbalance score, mean", quantity: quantities.imbalanceMean },
  { head: "p95", quantity: quantities.imbalanceP95 },
  { head: "max", quantity: quantities.imbalanceMax },
  { head: "expert max/mean", quantity: quantities.expertMaxOverMean },
  { head: "fan-out, devices per token", quantity: quantities.fanOut },
  { head: "dropped", quantity: quantities.dropRate },
  { head: "simulated step, ms", quantity: quantities.stepTime },
  { head: "compute", quantity: quantities.compute },
  { head: "wait", quantity: quantities.wait },
  { head: "communication", quantity: quantities.communication },
];

function summaryTableMarkdown(rows: readonly SummaryRow[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(["variant", ...columns.map(({ head }) => head)]),
    line(["---", ...columns.map(() => "---:")]),
    ...rows.map((row) => line([row.variant, ...columns.map(({ quantity }) => printed(row, quantity) ?? "–")])),
  ].join("\n");
}

/** How much of the result comes out again elsewhere. */
function reproductionNote(variants: readonly Variant[]): string {
  const exact = variants.every(({ config: { engine } }) => engine.kind === "wasm" && engine.kernels === "plain");
  return exact
    ? "The files come out the same, byte for byte, but for `provenance.json`; PNG files on another kind of machine may differ in single pixels."
    : "The files come out the same on the same machine; on others this engine's arithmetic differs in its last bits, and training magnifies that.";
}

const isRouted = ({ config }: Variant): boolean => config.model.feedForward === "moe";
const isPriced = (variant: Variant): boolean => isRouted(variant) && variant.config.target !== undefined;

/** What is true of each variant, said once where it is true of all. */
function byVariant(variants: readonly Variant[], textOf: (variant: Variant) => string): string[] {
  const names = new Map<string, string[]>();
  for (const variant of variants) names.set(textOf(variant), [...(names.get(textOf(variant)) ?? []), variant.name]);
  return [...names].map(([text, of]) => (names.size === 1 ? text : `${of.join(", ")}: ${text}`));
}

function readingNotes(routed: readonly Variant[]): string[] {
  const loss = "Validation loss: on held-out text after the last step, unweighted mean over the domains.";
  if (routed.length === 0) return [loss];
  return [
    loss,
    "Device imbalance score: hottest minus coolest device, in assignments per token of the batch; 0 is even. Statistics of the routing are over all layers and the last half of the steps; the figures show the start.",
    "Expert max/mean: load of the hottest expert over the mean one. Even devices can hold uneven experts.",
    "Fan-out: distinct devices that a token's experts lie on; each costs a transfer.",
    ...byVariant(routed, chanceNote),
  ];
}

/** What a router without any preference would show. */
function chanceNote({ config: { model, cluster, training } }: Variant): string {
  const tokens = training.microBatches * training.ranks * training.sequences * model.context;
  const setting = { ...model, devices: cluster.devices };
  const score = expectedImbalanceScore(setting, tokens, "distinct").toFixed(3);
  const fanOut = expectedFanOut(setting, "distinct").toFixed(2);
  return [
    `For comparison: choosing ${model.topK} of ${model.experts} experts blindly for ${tokens} tokens,`,
    `on ${cluster.devices} devices, gives an imbalance score of ${score} by chance alone and a fan-out of ${fanOut}.`,
  ].join(" ");
}

/** What the step time is the time of, on which machine, and how the trained router came to drive it. */
function simulationNote({ config }: Variant): string {
  const target = config.target as TargetConfig;
  const { device, topology } = clusterOf(config.cluster);
  const layers = target.layers === 1 ? "one layer" : `${target.layers} layers`;
  return [
    `The step time was simulated, not measured: the routed experts of “${target.name}”`,
    `(${layers}, hidden size ${target.hiddenSize}, expert hidden size ${target.expertHiddenSize}), forward and backward,`,
    `on ${target.expertParallel} × ${device.title}; links: ${topology.title}.`,
    target.dispatch === "deduplicated"
      ? "A token travels once to each device that holds one of its chosen experts."
      : "A token travels once for each of its chosen experts.",
    "Compute is the mean device's, wait is how much longer the hottest one takes, communication is the dispatch and",
    "combine all-to-all; mean over the last half of the steps.",
    "It is a projection: the model that was trained is small, and each step",
    `the tokens of its last ${target.window} steps were pooled, whole, each with all its chosen experts, and`,
    `${target.tokensPerRank} tokens for each of the ${target.expertParallel} devices were drawn from them with replacement.`,
    "Pooling averages over steps, so a router whose loads swing from one step to the next would wait longer than is said here.",
    "Trained layers stand for the priced ones by depth; where several stand for one, it takes their mean.",
    `Of the constants, these were assumed for want of a measurement: ${assumptions(config.cluster).join("; ")}.`,
  ].join(" ");
}

/** Every constant of a device and its links that nobody has measured, with its value. */
function assumptions(cluster: Variant["config"]["cluster"]): string[] {
  const { device, topology } = clusterOf(cluster);
  return [device, topology, ...topology.levels].flatMap((part) => {
    const assumed = constantsOf({ ...part, levels: [] }).filter(({ constant }) => constant.evidence === "assumed");
    return assumed.length === 0
      ? []
      : [`${part.title}: ${assumed.map(({ path, constant }) => `${words(path)} ${constant.value}`).join(", ")}`];
  });
}

/** "efficiency.groupedGemm" → "efficiency of grouped gemm". */
const words = (path: string): string =>
  path.replace(".", " of ").replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
