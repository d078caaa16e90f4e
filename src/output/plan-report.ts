/** Layouts that a search found, for a terminal and as CSV. Every figure is SIMULATED. */
import type { Job } from "../cluster/job.ts";
import { devicesOf } from "../cluster/layout.ts";
import type { Candidate, PlanResult } from "../cluster/plan.ts";
import { csvText } from "./csv-text.ts";
import { aligned } from "./plain-text.ts";
import { milliseconds } from "./quantities.ts";

const columns: readonly (readonly [string, (candidate: Candidate) => string | number])[] = [
  ["tensor", ({ layout }) => layout.tensor],
  ["pipeline", ({ layout }) => layout.pipeline],
  ["virtual", ({ layout }) => layout.virtual],
  ["context", ({ layout }) => layout.context],
  ["data", ({ layout }) => layout.data],
  ["expert", ({ layout }) => layout.expert],
  ["expert_tensor", ({ layout }) => layout.expertTensor],
  ["schedule", ({ layout }) => layout.schedule],
  ["padding_layers", ({ layout }) => layout.paddingLayers],
  ["micro_batch", ({ microBatch }) => microBatch],
  ["recompute", ({ recompute }) => recompute],
  ["simulated_step_seconds", ({ seconds }) => seconds],
  ["simulated_tokens_per_second_per_device", (candidate) => candidate.tokensPerSecondPerDevice],
  ["simulated_mfu", ({ utilisation }) => utilisation],
  ["simulated_memory_bytes", ({ memoryBytes }) => memoryBytes],
  ["fits", ({ fits }) => (fits ? "yes" : "no")],
];

export const planCsv = ({ candidates }: PlanResult): string =>
  csvText([
    columns.map(([name]) => name),
    ...candidates.map((candidate) => columns.map(([, value]) => value(candidate))),
  ]);

const heads = ["TP", "PP", "VP", "CP", "DP", "EP", "MB", "schedule", "recompute", "step ms", "tok/s", "MFU %", "GB"];

/** @returns lines of at most 80 letters */
export function planText(name: string, job: Job, candidates: readonly Candidate[]): string {
  const rows = candidates.map((candidate) => {
    const { layout, microBatch, recompute, seconds, tokensPerSecondPerDevice, utilisation, memoryBytes } = candidate;
    const { tensor, pipeline, virtual, context, data, expert, schedule } = layout;
    return [
      ...[tensor, pipeline, virtual, context, data, expert, microBatch].map(String),
      pipeline === 1 ? "-" : schedule,
      recompute,
      milliseconds(seconds),
      tokensPerSecondPerDevice.toFixed(tokensPerSecondPerDevice < 1000 ? 1 : 0),
      (100 * utilisation).toFixed(1),
      (memoryBytes / 1e9).toFixed(1),
    ];
  });
  return [
    `${name}: ${job.model.title} on ${devicesOf(job.layout).toLocaleString("en-US")} x ${job.device.title}, SIMULATED`,
    ...aligned([heads, ...rows], (column) => ["schedule", "recompute"].includes(heads[column]!), " "),
    "step: closed form of the schedule; tok/s: a device; GB: the fullest device",
  ].join("\n");
}
