/** The price of a step for a terminal of 80 columns, as rows of a CSV file, and as JSON. Every figure in it is SIMULATED. */

import type { Job, Routing } from "../cluster/job.ts";
import type { LayerPrice } from "../cluster/layer-price.ts";
import { addParts, type Parts, secondsOf } from "../cluster/parts.ts";
import { schedules } from "../cluster/schedules.ts";
import { constantsOf } from "../cluster/sourced.ts";
import type { StepPrice } from "../cluster/step.ts";
import type { Traffic } from "../cluster/traffic.ts";
import type { MemoryVerdict } from "../cluster/verdict.ts";
import type { CostConfig } from "../config/cost-schema.ts";
import { csvText } from "./csv-text.ts";
import { aligned, wrapped } from "./plain-text.ts";
import { milliseconds } from "./quantities.ts";
import { linkTable } from "./traffic-report.ts";

export interface Priced {
  readonly config: CostConfig;
  readonly job: Job;
  readonly routing: Routing;
  readonly price: StepPrice;
  readonly traffic: Traffic;
  readonly verdict: MemoryVerdict;
}

const partTitles = [
  ["compute", "compute of the mean device"],
  ["communication", "communication that nothing hides"],
  ["hottestWait", "wait for the hottest rank"],
  ["slowWait", "wait for slow devices"],
  ["bubble", "pipeline bubble"],
] as const;

const gigabytes = (bytes: number) => (bytes / 1e9).toFixed(1);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const grouped = (count: number) => Math.round(count).toLocaleString("en-US");

/** The whole report. @returns lines of at most 80 letters */
export function costText(priced: Priced): string {
  const { config, job, routing, price, verdict } = priced;
  const { layout, batch } = job;
  const chunks = layout.virtual > 1 ? ` x ${layout.virtual} chunks` : "";
  const head = [
    `${config.name}: SIMULATED training step`,
    `  model    ${job.model.title}`,
    `  machine  ${grouped(config.cluster.devices)} x ${job.device.title}`,
    `  links    ${job.topology.title}`,
    `  layout   tensor ${layout.tensor}, pipeline ${layout.pipeline}${chunks} (${schedules[layout.schedule].title}), data ${layout.data}${layout.context > 1 ? `, context ${layout.context}` : ""}`,
    ...(job.model.experts > 0
      ? [`           expert ${layout.expert}, expertTensor ${layout.expertTensor}, dispatch ${job.dispatch}`]
      : []),
    `  batch    ${grouped(batch.sequence)} tokens x ${batch.microBatch} x ${grouped(batch.globalBatch / batch.microBatch / layout.data)} micro-batches x ${layout.data}; recompute ${job.recompute}`,
    `  routing  ${routing.title}`,
    ...(job.products === "fp8" ? ["  numbers  products with weights in fp8, MFU over the peak in bf16"] : []),
  ];
  return [
    head.join("\n"),
    splitText(price, job),
    goodputText(priced),
    memoryText(price, verdict),
    layerText(price),
    trafficText(priced),
    assumptionsText(job),
  ]
    .filter((part) => part !== "")
    .map((part) => part.split("\n").flatMap(folded).join("\n"))
    .join("\n\n");
}

function splitText({ seconds, split, tokensPerSecondPerDevice, utilisation }: StepPrice, { device }: Job): string {
  const teraflops = ((utilisation * device.peakFlopsPerSecond.value) / 1e12).toFixed(1);
  const lines = partTitles.map(
    ([part, title]) =>
      `  ${title.padEnd(34)} ${milliseconds(split[part]).padStart(11)} ms ${percent(split[part] / seconds).padStart(8)}`,
  );
  return [
    `step ${milliseconds(seconds)} ms, mean over the pipeline stages:`,
    ...lines,
    `  hidden behind compute, not in sum  ${milliseconds(split.hidden).padStart(11)} ms`,
    `${tokensPerSecondPerDevice.toFixed(1)} tokens/s and ${teraflops} TFLOP/s a device; MFU ${percent(utilisation)} (causal, cube peak)`,
  ].join("\n");
}

/** What failures leave of the time: 1 − √(2·C/M) − R/M, M the mean time between failures of the whole machine (Young, 1974). */
export function goodput(config: CostConfig): { readonly share: number; readonly everySeconds: number } | undefined {
  const { failures, devices } = config.cluster;
  if (failures === undefined) return undefined;
  const between = (failures.hoursBetween * 3600) / devices;
  const everySeconds = Math.sqrt(2 * failures.checkpointSeconds * between);
  const share = 1 - Math.sqrt((2 * failures.checkpointSeconds) / between) - failures.restartSeconds / between;
  return { share: Math.max(0, share), everySeconds };
}

function goodputText({ config, price }: Priced): string {
  const left = goodput(config);
  if (left === undefined) return "";
  const rate = (price.tokensPerSecondPerDevice * left.share).toFixed(1);
  return `failures leave ${percent(left.share)} of the time: ${rate} tokens/s a device, with a checkpoint every ${grouped(left.everySeconds)} s (Young's formula)`;
}

function memoryText({ memory }: StepPrice, { fits, fullest, capacityBytes, device, fixes }: MemoryVerdict): string {
  const rows = [["stage", "total", "weights", "gradients", "optimizer", "activations", "buffers", "GB"]];
  for (const stage of memory.length <= 4
    ? memory
    : [memory[0]!, fullest, memory.at(-1)!].filter((s, i, all) => all.indexOf(s) === i)) {
    const { total, parameters, gradients, optimizer, activations, buffers } = stage;
    rows.push([
      String(stage.stage),
      ...[total, parameters, gradients, optimizer, activations, buffers].map(gigabytes),
      "",
    ]);
  }
  const verdict = fits
    ? `fits: the fullest device needs ${gigabytes(fullest.total)} ${ofCapacity(capacityBytes)}`
    : `DOES NOT FIT: ${outOfMemory({ fits, fullest, capacityBytes, device, fixes })}`;
  return [`memory of the fullest device of a stage, peak under this imbalance`, table(rows), verdict].join("\n");
}

/** The ideal device has as much memory as is asked of it. */
const ofCapacity = (bytes: number) =>
  bytes < Number.MAX_VALUE ? `of ${gigabytes(bytes)} GB` : "GB; there is no limit";

/** What is too full, and what would help, in one line. */
export function outOfMemory({ fullest, capacityBytes, device, fixes }: MemoryVerdict): string {
  const help =
    fixes.length > 0
      ? `any one of these would fit: ${fixes.join("; ")}`
      : "no single change would fit; use more devices";
  return `device ${device} (stage ${fullest.stage}, most of it in layer ${fullest.fullestLayer}) needs ${gigabytes(fullest.total)} of ${gigabytes(capacityBytes)} GB; ${help}`;
}

const backward = (layer: LayerPrice): Parts => addParts(layer.inputGradient, layer.weightGradient);

function layerText({ layers }: StepPrice): string {
  const rows = [["layer", "kind", "forward", "backward", "exchange", "wait", "max/mean", "hottest", "ms"]];
  const lines = layers.map((layer) => {
    const whole = addParts(layer.forward, backward(layer));
    return [
      layer.kind,
      milliseconds(secondsOf(layer.forward)),
      milliseconds(secondsOf(backward(layer))),
      milliseconds(whole.communication),
      milliseconds(whole.hottestWait + whole.slowWait),
      layer.kind === "moe" ? layer.imbalance.toFixed(3) : "-",
      layer.kind === "moe" ? String(layer.hottestDevice) : "-",
      "",
    ];
  });
  for (let from = 0; from < lines.length; ) {
    let to = from;
    while (to + 1 < lines.length && lines[to + 1]!.join() === lines[from]!.join()) to++;
    rows.push([from === to ? String(from) : `${from}-${to}`, ...lines[from]!]);
    from = to + 1;
  }
  return ["one micro-batch by layer; wait and hottest: ranks of the expert-parallel group", table(rows)].join("\n");
}

function trafficText({ traffic, job }: Priced): string {
  if (traffic.links.length === 0) return "";
  return ["sent by a device in a step; hottest: experts, the device with most", table(linkTable(traffic, job))].join(
    "\n",
  );
}

function assumptionsText({ device, topology }: Job): string {
  const assumed = [...constantsOf(device), ...constantsOf(topology)].filter(
    ({ constant }) => constant.evidence === "assumed",
  );
  const names = assumed.map(({ path }) => path);
  return names.length === 0 ? "" : `assumed, not measured: ${names.join(", ")}`;
}

const table = (rows: readonly (readonly string[])[]): string =>
  aligned(rows, (column) => column < 2)
    .map((line) => `  ${line}`)
    .join("\n");

/** A line in pieces of at most 80 letters, the later ones indented further. */
function folded(line: string): string[] {
  const indent = /^ */.exec(line)![0];
  return wrapped(line.slice(indent.length), indent, `${indent}    `);
}

/** The split of the step, then of every stage, then of every layer, as one table. */
export function costCsv({ price }: Priced): string {
  const header = [
    "scope",
    "index",
    "kind",
    "seconds",
    "compute_seconds",
    "communication_seconds",
    "hottest_wait_seconds",
    "slow_wait_seconds",
    "bubble_seconds",
    "hidden_seconds",
    "max_over_mean",
    "hottest_device",
  ];
  const row = (scope: string, index: number, kind: string, parts: Parts, bubble?: number, layer?: LayerPrice) => [
    scope,
    index,
    kind,
    secondsOf(parts) + (bubble ?? 0),
    parts.compute,
    parts.communication,
    parts.hottestWait,
    parts.slowWait,
    bubble,
    parts.hidden,
    layer?.imbalance,
    layer?.kind === "moe" ? layer.hottestDevice : undefined,
  ];
  const layers = price.layers.flatMap((layer) => [
    row("layer", layer.layer, `${layer.kind} forward`, layer.forward, undefined, layer),
    row("layer", layer.layer, `${layer.kind} backward`, backward(layer), undefined, layer),
  ]);
  const ranks = price.layers.flatMap(({ layer, experts }) =>
    experts === undefined
      ? []
      : Array.from(experts.forward, (forward, device) => {
          const compute = forward + experts.inputGradient[device]! + experts.weightGradient[device]!;
          return [
            `rank of layer ${layer}`,
            device,
            "experts, forward and backward",
            compute,
            compute,
            ...new Array(7).fill(undefined),
          ];
        }),
  );
  return csvText([
    header,
    row("step", 0, "mean of stages", price.split, price.split.bubble),
    ...price.stages.map((stage, i) => row("stage", i, "", stage, stage.bubble)),
    ...layers,
    ...ranks,
  ]);
}

/** All of it, for programs. */
export function costJson({ config, job, routing, price, traffic, verdict }: Priced): object {
  const { timeline: _, layers, ...rest } = price;
  return {
    simulated: true,
    name: config.name,
    model: job.model.title,
    device: job.device.title,
    topology: job.topology.title,
    devices: config.cluster.devices,
    routing: routing.title,
    ...rest,
    flopsPerSecondPerDevice: price.utilisation * job.device.peakFlopsPerSecond.value,
    utilisationBasis: "causal FLOP over the cube peak in bf16",
    sentBytes: traffic.links.map(({ level, ...link }) => ({ ...link, links: job.topology.levels[level]!.title })),
    ...(goodput(config) && { goodput: goodput(config) }),
    fits: verdict.fits,
    ...(verdict.fits ? {} : { outOfMemory: outOfMemory(verdict) }),
    layers: layers.map(({ experts, ...layer }) => ({
      ...layer,
      ...(experts && { assignments: Array.from(experts.rows) }),
    })),
  };
}
