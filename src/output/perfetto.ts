/**
 * A simulated step as a trace for Perfetto or chrome://tracing (Trace Event Format, JSON).
 *
 * One process a pipeline stage, with a lane of its work and lanes for compute, communication and waiting that together
 * fill the step, and arrows along the pipeline; one process for a micro-batch layer by layer; and one process a device
 * of the expert-parallel group in the layer with the largest imbalance: dispatch, experts, wait, combine, a counter of
 * the tokens of each of its experts, and arrows of the all-to-all from every device to the hottest.
 */
import type { Job } from "../cluster/job.ts";
import type { LayerPrice } from "../cluster/layer-price.ts";
import { pipelineShape } from "../cluster/layout.ts";
import type { Parts } from "../cluster/parts.ts";
import type { PricedSlot } from "../cluster/pipeline-price.ts";
import { schedules, type Work } from "../cluster/schedules.ts";
import type { StepPrice } from "../cluster/step.ts";

type TraceEvent = Readonly<Record<string, unknown>>;

export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: "ms";
}

const lanes = { pass: 0, compute: 1, communication: 2, wait: 3 } as const;
const laneTitles = ["pipeline", "compute", "communication", "wait"];
const microseconds = (seconds: number) => Math.round(seconds * 1e9) / 1e3;

/** @throws RangeError if the step was priced without playing its pipeline */
export function perfettoTrace(job: Job, price: StepPrice): Trace {
  const { timeline } = price;
  if (timeline === undefined) throw new RangeError("trace: price the step with events");
  const events: TraceEvent[] = [];
  timeline.devices.forEach((slots, stage) => {
    events.push(...named(stage, `stage ${stage}: ${job.device.title}, SIMULATED`, laneTitles));
    let free = 0;
    const idle = (until: number) => {
      if (microseconds(until) > microseconds(free)) {
        events.push(slice(stage, lanes.wait, "pipeline bubble", free, until));
      }
    };
    for (const slot of slots) {
      idle(slot.start);
      events.push(...slotEvents(stage, slot, job));
      free = slot.end;
    }
    idle(timeline.seconds);
    events.push(...pieces(stage, "gradients and optimizer", timeline.seconds, price.tail));
  });
  const after = timeline.devices.length;
  events.push(...layerLanes(after, job, price), ...expertGroup(after + 1, job, price));
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
  end: number,
  args: object = {},
): TraceEvent => ({
  ph: "X",
  name,
  pid: process,
  tid: lane,
  ts: microseconds(start),
  dur: microseconds(microseconds(end) / 1e6 - microseconds(start) / 1e6),
  args,
});

/** Tokens of a device's experts from a moment on, a series an expert. */
const counter = (process: number, at: number, firstExpert: number, tokens: Float64Array): TraceEvent => ({
  ph: "C",
  name: "tokens of its experts",
  pid: process,
  ts: microseconds(at),
  args: Object.fromEntries(Array.from(tokens, (own, i) => [`expert ${firstExpert + i}`, own])),
});

/** A piece of work, and its parts in their lanes one after the other; within the piece their order is not simulated. */
function pieces(process: number, title: string, start: number, parts: Parts): TraceEvent[] {
  const own: [number, string, number][] = [
    [lanes.compute, "kernels", parts.compute],
    [lanes.communication, "collectives", parts.communication],
    [lanes.wait, "wait for the hottest rank", parts.hottestWait],
    [lanes.wait, "wait for slow devices", parts.slowWait],
  ];
  const events: TraceEvent[] = [];
  let at = start;
  for (const [lane, name, seconds] of own) {
    if (microseconds(at + seconds) > microseconds(at)) events.push(slice(process, lane, name, at, at + seconds));
    at += seconds;
  }
  return [slice(process, lanes.pass, title, start, at), ...events];
}

const workTitle = ({ kind, position, microBatch }: Work) => `${kind} of micro-batch ${microBatch}, chunk ${position}`;

/** A slot and its parts, and an arrow to what it hands on. */
function slotEvents(stage: number, { slot, start, end, parts }: PricedSlot, { layout, batch }: Job): TraceEvent[] {
  const events = pieces(stage, slot.map(workTitle).join(" beside "), start, parts);
  const last = schedules[layout.schedule].positions(pipelineShape(layout, batch)) - 1;
  for (const work of slot) {
    if (work.kind === "weight-gradient") continue;
    const step = work.kind === "forward" ? 1 : -1;
    const arrow = (ph: "s" | "f", from: number, at: number) => ({
      ph,
      ...(ph === "f" && { bp: "e" }),
      name: step === 1 ? "activations" : "gradients",
      cat: "pipeline",
      id: `${step === 1 ? "activations" : "gradients"} ${work.pass} ${from} ${work.microBatch}`,
      pid: stage,
      tid: lanes.pass,
      ts: at,
    });
    const { position } = work;
    const [to, from] = [position + step, position - step];
    if (to >= 0 && to <= last) events.push(arrow("s", position, microseconds(end) - 0.001));
    if (from >= 0 && from <= last) events.push(arrow("f", from, microseconds(start)));
  }
  return events;
}

/** One micro-batch layer by layer, the mean of all. */
function layerLanes(process: number, job: Job, { layers }: StepPrice): TraceEvent[] {
  const events = named(process, `one micro-batch by layer: ${job.device.title}, SIMULATED`, laneTitles);
  let at = 0;
  const add = (title: string, parts: Parts) => {
    events.push(...pieces(process, title, at, parts));
    at += parts.compute + parts.communication + parts.hottestWait + parts.slowWait;
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
  const { assignments, rows, forward, dispatch, combine } = layer.experts;
  const perDevice = assignments.length / rows.length;
  const hottest = Math.max(...forward);
  const title = `layer ${layer.layer}, forward`;
  return Array.from(rows, (load, device) => {
    const process = first + device;
    const seconds = forward[device]!;
    const arrow = { name: "all-to-all", cat: "dispatch", id: `dispatch ${device}` };
    const done = dispatch + hottest;
    return [
      ...named(process, `expert-parallel device ${device}: ${job.device.title}, SIMULATED`, laneTitles),
      counter(process, 0, device * perDevice, assignments.subarray(device * perDevice, (device + 1) * perDevice)),
      counter(process, done + combine, device * perDevice, new Float64Array(perDevice)),
      slice(process, lanes.pass, title, 0, done + combine),
      slice(process, lanes.communication, "dispatch", 0, dispatch),
      slice(process, lanes.compute, "experts", dispatch, dispatch + seconds, { assignments: load }),
      ...(hottest > seconds ? [slice(process, lanes.wait, "wait for the hottest rank", dispatch + seconds, done)] : []),
      slice(process, lanes.communication, "combine", done, done + combine),
      { ...arrow, ph: "s", pid: process, tid: lanes.communication, ts: 0 },
      { ...arrow, ph: "f", bp: "e", pid: first + layer.hottestDevice, tid: lanes.compute, ts: microseconds(dispatch) },
    ];
  }).flat();
}
