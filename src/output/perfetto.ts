/**
 * A simulated step as a trace for Perfetto or chrome://tracing (Trace Event Format, JSON).
 *
 * One process a pipeline stage with lanes for compute, communication and waiting, and arrows along the pipeline; and
 * one process a device of the expert-parallel group, for one micro-batch of the layer with the largest imbalance:
 * dispatch, experts, wait, combine, a counter of its tokens, and arrows from dispatch to the hottest device.
 */
import type { Job } from "../cluster/job.ts";
import type { LayerPrice } from "../cluster/layer-price.ts";
import type { Parts } from "../cluster/parts.ts";
import type { Work } from "../cluster/schedules.ts";
import type { StepPrice } from "../cluster/step.ts";
import type { TimedSlot } from "../cluster/timeline.ts";

type TraceEvent = Readonly<Record<string, unknown>>;

const lanes = { pass: 0, compute: 1, communication: 2, wait: 3 } as const;
const laneTitles = ["pipeline", "compute", "communication", "wait"];
const microseconds = (seconds: number) => Math.round(seconds * 1e9) / 1e3;

/** @throws RangeError if the step was priced without playing its pipeline */
export function perfettoTrace(
  job: Job,
  price: StepPrice,
): { readonly traceEvents: readonly TraceEvent[]; readonly displayTimeUnit: "ms" } {
  const events: TraceEvent[] = [];
  const stages = price.timeline?.devices ?? [];
  if (stages.length === 0) events.push(...passLanes(job, price));
  stages.forEach((slots, stage) => {
    events.push(...named(stage, `stage ${stage}: ${job.device.title}, SIMULATED`, laneTitles));
    for (const slot of slots) events.push(...slotEvents(stage, slot, price));
  });
  events.push(...expertGroup(stages.length + 1, job, price));
  return { traceEvents: events, displayTimeUnit: "ms" };
}

function named(process: number, title: string, threads: readonly string[]): TraceEvent[] {
  return [
    { ph: "M", name: "process_name", pid: process, args: { name: title } },
    ...threads.map((name, thread) => ({ ph: "M", name: "thread_name", pid: process, tid: thread, args: { name } })),
  ];
}

const slice = (
  process: number,
  lane: number,
  name: string,
  start: number,
  seconds: number,
  args: object = {},
): TraceEvent => ({
  ph: "X",
  name,
  pid: process,
  tid: lane,
  ts: microseconds(start),
  dur: microseconds(seconds),
  args,
});

const workTitle = ({ kind, position, microBatch }: Work) => `${kind} of micro-batch ${microBatch}, chunk ${position}`;

/** The slot itself, its parts one after the other, and an arrow to what it hands on. */
function slotEvents(stage: number, { slot, start, end }: TimedSlot, price: StepPrice): TraceEvent[] {
  const events = [slice(stage, lanes.pass, slot.map(workTitle).join(" beside "), start, end - start)];
  const shares = price.stages[stage]!;
  const busy = shares.compute + shares.communication + shares.hottestWait + shares.slowWait;
  let at = start;
  const parts: [number, string, number][] = [
    [lanes.compute, "kernels", shares.compute],
    [lanes.communication, "collectives", shares.communication],
    [lanes.wait, "wait for the hottest rank", shares.hottestWait],
    [lanes.wait, "wait for slow devices", shares.slowWait],
  ];
  for (const [lane, name, part] of parts) {
    const seconds = ((end - start) * part) / busy;
    if (seconds > 0)
      events.push(slice(stage, lane, name, at, seconds, { note: "the stage's average share, in this order" }));
    at += seconds;
  }
  for (const { kind, pass, position, microBatch } of slot) {
    if (kind === "weight-gradient") continue;
    const isForward = kind === "forward";
    const direction = isForward ? "activations" : "gradients";
    const flow = (from: number) => `${direction} ${pass} ${from} ${microBatch}`;
    const common = { name: direction, cat: "pipeline", pid: stage, tid: lanes.pass };
    events.push({ ...common, ph: "s", id: flow(position), ts: microseconds(end) - 0.001 });
    const from = position + (isForward ? -1 : 1);
    events.push({ ...common, ph: "f", bp: "e", id: flow(from), ts: microseconds(start) });
  }
  return events;
}

/** Without a pipeline: one micro-batch layer by layer. */
function passLanes(job: Job, { layers }: StepPrice): TraceEvent[] {
  const events = named(0, `one micro-batch on ${job.device.title}, SIMULATED`, laneTitles);
  let at = 0;
  const add = (title: string, parts: Parts) => {
    const pieces: [number, string, number][] = [
      [lanes.compute, "kernels", parts.compute],
      [lanes.communication, "collectives", parts.communication],
      [lanes.wait, "wait for the hottest rank", parts.hottestWait],
      [lanes.wait, "wait for slow devices", parts.slowWait],
    ];
    const seconds = pieces.reduce((sum, [, , part]) => sum + part, 0);
    events.push(slice(0, lanes.pass, title, at, seconds));
    for (const [lane, name, part] of pieces) {
      if (part > 0) events.push(slice(0, lane, name, at, part));
      at += part;
    }
  };
  for (const layer of layers) add(`forward of layer ${layer.layer}`, layer.forward);
  for (const layer of layers.toReversed()) {
    add(`backward of layer ${layer.layer}, inputs`, layer.inputGradient);
    add(`backward of layer ${layer.layer}, weights`, layer.weightGradient);
  }
  return events;
}

/** The devices that share the experts of the most unequal layer, through one forward pass of it. */
function expertGroup(first: number, job: Job, { layers }: StepPrice): TraceEvent[] {
  const layer = layers.reduce<LayerPrice | undefined>(
    (most, each) => (each.experts && each.imbalance > (most?.imbalance ?? 0) ? each : most),
    undefined,
  );
  if (layer?.experts === undefined) return [];
  const { rows, forward, dispatch, combine } = layer.experts;
  const hottest = Math.max(...forward);
  const title = `layer ${layer.layer}, forward`;
  return Array.from(rows, (load, device) => {
    const process = first + device;
    const seconds = forward[device]!;
    const flow = { name: "all-to-all", cat: "dispatch", id: `dispatch ${device}` };
    return [
      ...named(process, `expert-parallel device ${device}: ${job.device.title}, SIMULATED`, laneTitles),
      { ph: "C", name: "tokens for its experts", pid: process, ts: 0, args: { assignments: load } },
      slice(process, lanes.pass, title, 0, dispatch + hottest + combine),
      slice(process, lanes.communication, "dispatch", 0, dispatch),
      slice(process, lanes.compute, "experts", dispatch, seconds, { assignments: load }),
      ...(hottest > seconds
        ? [slice(process, lanes.wait, "wait for the hottest rank", dispatch + seconds, hottest - seconds)]
        : []),
      slice(process, lanes.communication, "combine", dispatch + hottest, combine),
      { ...flow, ph: "s", pid: process, tid: lanes.communication, ts: 0 },
      { ...flow, ph: "f", bp: "e", pid: first + layer.hottestDevice, tid: lanes.compute, ts: microseconds(dispatch) },
    ];
  }).flat();
}
