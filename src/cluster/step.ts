/**
 * One training step of a job: seconds, split into what devices do and what they wait for.
 *
 * SIMULATED. Layers are priced kernel by kernel, laid on the stages of the pipeline and played as discrete events, or
 * put into the closed form of the schedule, which is exact when all chunks are alike and messages are free. Then
 * gradients are reduced and the optimizer steps.
 */
import { trainingFlopsPerToken } from "./architecture.ts";
import { gatherSeconds, sendSeconds } from "./collectives.ts";
import { commonLevel } from "./group-span.ts";
import { type Job, OPTIMIZER_BYTES, type Routing } from "./job.ts";
import { streamSeconds } from "./kernels.ts";
import { tokensOf } from "./layer-cost.ts";
import { LayerKernels, type LayerPrice, LayerPrices, type LayerSeconds } from "./layer-price.ts";
import { devicesOf, type LayoutSpans, layoutSpans, pipelineShape } from "./layout.ts";
import { memoryOf, placeStages, type StageMemory, type StagePlacement } from "./memory.ts";
import { addParts, noParts, type Parts, scaledParts, secondsOf } from "./parts.ts";
import { type PipelineShape, type Schedule, type ScheduleName, schedules, type Work } from "./schedules.ts";
import { type PositionSeconds, playPipeline, type Timeline, workSeconds } from "./timeline.ts";

/** Where the seconds of a step go; the parts add up to `seconds`, for every stage and for their mean. */
export interface StepSplit extends Parts {
  /** Idle while the pipeline fills and drains, or a neighbour is slower. */
  readonly bubble: number;
}

export interface StepPrice {
  readonly seconds: number;
  /** Mean over the stages. */
  readonly split: StepSplit;
  /** [stages] */
  readonly stages: readonly StepSplit[];
  readonly tokensPerSecondPerDevice: number;
  /** Causal FLOP over the cube peak. */
  readonly utilisation: number;
  readonly layers: readonly LayerPrice[];
  readonly memory: readonly StageMemory[];
  /** Gradient reduction and optimizer, after the last micro-batch. */
  readonly tailSeconds: number;
  /** Present when the pipeline was played. */
  readonly timeline?: Timeline;
}

export interface PriceOptions {
  /** Play the pipeline event by event; otherwise its closed form is used. */
  readonly events: boolean;
}

/** What jobs have in common that differ in schedule, chunks and recomputation alone. */
export interface SharedKernels {
  readonly spans: LayoutSpans;
  readonly kernels: LayerKernels;
}

/** @throws RangeError if a group does not fill the topology evenly */
export function sharedKernels(job: Job): SharedKernels {
  const spans = layoutSpans(job.layout, job.topology);
  return { spans, kernels: new LayerKernels(job, spans) };
}

/** All that the price of a job's step does not owe to routing, worked out once. */
export class StepModel {
  private readonly job: Job;
  private readonly prices: LayerPrices;
  private readonly placement: StagePlacement;
  private readonly tail: Parts;
  private readonly plan: PipelinePlan;

  /**
   * @param shared what layouts that differ in schedule and recomputation alone have in common
   * @throws RangeError if a group does not fill the topology evenly
   */
  constructor(job: Job, shared: SharedKernels = sharedKernels(job)) {
    const { spans, kernels } = shared;
    this.job = job;
    this.prices = new LayerPrices(job, kernels);
    this.placement = placeStages(job);
    this.tail = tailOf(job, spans, this.placement);
    this.plan = planOf(job, spans, this.placement);
  }

  /** Seconds of a step under a routing, by the closed form; what searches and sweeps call a great many times. */
  seconds(routing: Routing): number {
    return this.quick(routing).seconds;
  }

  /** The same, and bytes of memory of every stage. */
  quick(routing: Routing): { readonly seconds: number; memory(): readonly StageMemory[] } {
    const { job, placement } = this;
    if (job.speeds.size > 0 || job.layout.schedule.startsWith("dualpipe")) {
      const { seconds, memory } = this.price(routing, { events: false });
      return { seconds, memory: () => memory };
    }
    let slowest = 0;
    let layers: LayerSeconds[] = [];
    for (const block of this.prices.blocks(routing)) {
      const own = this.prices.layerSeconds(block, routing);
      const seconds = this.quickSeconds(own, block, routing);
      if (seconds > slowest) [slowest, layers] = [seconds, own];
    }
    const memory = () =>
      memoryOf(
        job,
        placement,
        layers.slice(job.model.denseLayers).map(({ hottestRows }) => hottestRows),
      );
    return { seconds: slowest + secondsOf(this.tail), memory };
  }

  /** The closed form without the split into parts. */
  private quickSeconds(layers: readonly LayerSeconds[], block: number, routing: Routing): number {
    const { schedule, shape, positions, held, messageSeconds } = this.plan;
    const mean = { forward: 0, inputGradient: 0, weightGradient: 0, together: 0 };
    const busy = positions.map((own, position) => {
      const chunk = { forward: 0, inputGradient: 0, weightGradient: 0 };
      const add = (seconds: PositionSeconds) => {
        chunk.forward += seconds.forward;
        chunk.inputGradient += seconds.inputGradient;
        chunk.weightGradient += seconds.weightGradient;
      };
      for (const layer of own) add(layers[layer]!);
      if (position === 0) add(edgeSeconds(this.prices.embedding(block)));
      if (position === positions.length - 1)
        for (const edge of this.prices.head(block, routing)) add(edgeSeconds(edge));
      mean.forward += chunk.forward / positions.length;
      mean.inputGradient += chunk.inputGradient / positions.length;
      mean.weightGradient += chunk.weightGradient / positions.length;
      return chunk.forward + chunk.inputGradient + chunk.weightGradient;
    });
    let longest = 0;
    for (const stage of held)
      longest = Math.max(
        longest,
        stage.reduce((sum, position) => sum + busy[position]!, 0),
      );
    const messages = 2 * (held.length - 1) * messageSeconds;
    return longest * shape.microBatches + schedule.bubbleSeconds(shape, mean) + messages;
  }

  /** The slowest pipeline in full. */
  price(routing: Routing, { events }: PriceOptions): StepPrice {
    const { job, plan } = this;
    const pipelines = this.prices.blocks(routing).map((block) => {
      const layers = this.prices.layers(block, routing);
      const chunks = this.chunks(layers, block, routing);
      return { block, layers, chunks, ...closedForm(job, plan, chunks) };
    });
    const slowest = pipelines.reduce((most, each) => (each.seconds > most.seconds ? each : most));
    const played: Pipeline = events && job.layout.pipeline > 1 ? play(job, plan, slowest.chunks) : slowest;
    const stages = played.stages.map((busy) => ({
      ...addParts(busy, this.tail),
      bubble: Math.max(0, played.seconds - secondsOf(busy)),
    }));
    const split = meanSplit(stages);
    const seconds = secondsOf(split) + split.bubble;
    const tokens = job.batch.globalBatch * job.batch.sequence;
    const devices = devicesOf(job.layout);
    const rows = slowest.layers.filter(({ kind }) => kind === "moe").map(({ hottestRows }) => hottestRows);
    const flops = tokens * trainingFlopsPerToken(job.model, job.batch.sequence);
    return {
      seconds,
      split,
      stages,
      tokensPerSecondPerDevice: tokens / seconds / devices,
      utilisation: flops / seconds / (devices * job.device.peakFlopsPerSecond.value),
      layers: slowest.layers,
      memory: memoryOf(job, this.placement, rows),
      tailSeconds: secondsOf(this.tail),
      ...(played.timeline && { timeline: played.timeline }),
    };
  }

  /** The chunks of layers at each position of the pipeline. */
  private chunks(layers: readonly LayerPrice[], block: number, routing: Routing): Chunk[] {
    const { positions } = this.plan;
    return positions.map((own, position) => {
      const chunk = new Chunk();
      for (const layer of own) chunk.add(layers[layer]!);
      if (position === 0) chunk.add(this.prices.embedding(block));
      if (position === positions.length - 1) for (const edge of this.prices.head(block, routing)) chunk.add(edge);
      return chunk;
    });
  }
}

const edgeSeconds = ({ forward, inputGradient, weightGradient }: LayerPrice): PositionSeconds => ({
  forward: secondsOf(forward),
  inputGradient: secondsOf(inputGradient),
  weightGradient: secondsOf(weightGradient),
});

/** Prices one step of the slowest pipeline of a job. */
export const priceStep = (job: Job, routing: Routing, options: PriceOptions): StepPrice =>
  new StepModel(job).price(routing, options);

function meanSplit(stages: readonly StepSplit[]): StepSplit {
  const total = stages.reduce<Parts>((sum, stage) => addParts(sum, stage), noParts);
  const bubble = stages.reduce((sum, stage) => sum + stage.bubble, 0);
  return { ...scaledParts(total, 1 / stages.length), bubble: bubble / stages.length };
}

interface Pipeline {
  readonly seconds: number;
  /** [stages] parts of all the work of a stage */
  readonly stages: readonly Parts[];
  readonly timeline?: Timeline;
}

/** Prices of the layers at one position, added up. */
class Chunk {
  forward: Parts = noParts;
  inputGradient: Parts = noParts;
  weightGradient: Parts = noParts;
  /** Exchange that a forward and a backward hide in one another where the schedule runs them side by side. */
  hideable = 0;

  add(layer: LayerPrice): void {
    this.forward = addParts(this.forward, layer.forward);
    this.inputGradient = addParts(this.inputGradient, layer.inputGradient);
    this.weightGradient = addParts(this.weightGradient, layer.weightGradient);
    this.hideable += layer.hideable;
  }

  seconds(): PositionSeconds {
    return {
      forward: secondsOf(this.forward),
      inputGradient: secondsOf(this.inputGradient),
      weightGradient: secondsOf(this.weightGradient),
    };
  }
}

/** Where the layers lie and what a message between stages takes. */
interface PipelinePlan {
  readonly schedule: Schedule;
  readonly shape: PipelineShape;
  /** [positions] layers */
  readonly positions: readonly (readonly number[])[];
  /** [stages] positions, of both passes */
  readonly held: readonly (readonly number[])[];
  readonly messageSeconds: number;
}

function planOf(job: Job, spans: LayoutSpans, { positions, held }: StagePlacement): PipelinePlan {
  const { layout, batch } = job;
  return {
    schedule: schedules[layout.schedule],
    shape: pipelineShape(layout, batch),
    positions,
    held,
    messageSeconds: messageSeconds(job, spans),
  };
}

/** [stages] parts of all the work of a stage */
function busyStages({ schedule, shape, held }: PipelinePlan, chunks: readonly Chunk[]): Parts[] {
  const passes = schedule.parameterCopies === 2 ? shape.microBatches / 2 : shape.microBatches;
  return held.map((positions) => {
    let parts = noParts;
    for (const position of positions) {
      const { forward, inputGradient, weightGradient } = chunks[position]!;
      parts = addParts(parts, addParts(addParts(forward, inputGradient), weightGradient));
    }
    return scaledParts(parts, passes);
  });
}

/** Exact when all chunks are alike and messages are free; otherwise the slowest stage and the mean chunk stand for all. */
function closedForm({ layout, overlap }: Job, plan: PipelinePlan, chunks: readonly Chunk[]): Pipeline {
  const { schedule, shape } = plan;
  const stages = busyStages(plan, chunks);
  let longest = 0;
  for (const stage of stages) longest = Math.max(longest, secondsOf(stage));
  const mean = (of: (chunk: Chunk) => number) => chunks.reduce((sum, chunk) => sum + of(chunk), 0) / chunks.length;
  const forward = mean((chunk) => secondsOf(chunk.forward));
  const inputGradient = mean((chunk) => secondsOf(chunk.inputGradient));
  const weightGradient = mean((chunk) => secondsOf(chunk.weightGradient));
  const hiddenInPair = 2 * mean(({ hideable }) => hideable);
  const net = 1 - overlap.slowdown;
  const together = forward + inputGradient + weightGradient - hiddenInPair * net;
  const hidden = dualPairs(layout.schedule, shape) * hiddenInPair;
  const bubble = schedule.bubbleSeconds(shape, { forward, inputGradient, weightGradient, together });
  const messages = 2 * (layout.pipeline - 1) * plan.messageSeconds;
  return {
    seconds: longest - hidden * net + bubble + messages,
    stages: hidden === 0 ? stages : stages.map((parts) => hide(parts, hidden, overlap.slowdown)),
  };
}

function play({ overlap }: Job, plan: PipelinePlan, chunks: readonly Chunk[]): Pipeline {
  const positions = chunks.map((chunk) => chunk.seconds());
  const hideable = (work: Work) => chunks[work.position]!.hideable;
  const timeline = playPipeline(plan.schedule, plan.shape, {
    positions,
    send: () => plan.messageSeconds,
    together: (forward, backward) =>
      workSeconds(forward, positions) +
      workSeconds(backward, positions) -
      (hideable(forward) + hideable(backward)) * (1 - overlap.slowdown),
  });
  const stages = busyStages(plan, chunks).map((parts, stage) => {
    let hidden = 0;
    for (const { slot } of timeline.devices[stage]!) {
      if (slot[1] !== undefined) hidden += hideable(slot[0]) + hideable(slot[1]);
    }
    return hide(parts, hidden, overlap.slowdown);
  });
  return { seconds: timeline.seconds, stages, timeline };
}

/** Communication that disappears behind compute, which it slows down. */
const hide = (parts: Parts, hidden: number, slowdown: number): Parts => ({
  ...parts,
  communication: parts.communication - hidden,
  hidden: parts.hidden + hidden,
  compute: parts.compute + hidden * slowdown,
});

/** Pairs of a forward and a backward side by side, on the device that has most of them. */
function dualPairs(schedule: ScheduleName, { pipeline, microBatches }: PipelineShape): number {
  if (schedule === "dualpipe") return microBatches - pipeline;
  return schedule === "dualpipe-v" ? 2 * (microBatches - pipeline) : 0;
}

/** Activations from one stage to the next. */
function messageSeconds(job: Job, { nextStage }: LayoutSpans): number {
  const { layout, topology, model, bytesPerValue } = job;
  if (layout.pipeline === 1) return 0;
  const [from, to] = nextStage;
  const bytes = tokensOf(job).outside * model.hiddenSize * bytesPerValue;
  return sendSeconds(bytes, commonLevel(from, to, topology), topology);
}

/** Reduces gradients, steps AdamW and gathers parameters, on the stage where that takes longest. */
function tailOf(job: Job, spans: LayoutSpans, { parameters }: StagePlacement): Parts {
  const { layout, topology, device, bytesPerGradient, bytesPerValue, overlap } = job;
  let longest = noParts;
  for (const { dense, expert } of parameters) {
    const reduce = (count: number, span: LayoutSpans["data"]) =>
      gatherSeconds(count * bytesPerGradient, span, topology) +
      gatherSeconds(count * (layout.distributedOptimizer ? bytesPerValue : bytesPerGradient), span, topology);
    const communication = reduce(dense, spans.data) + reduce(expert, spans.expertData);
    const copies = (span: LayoutSpans["data"]) =>
      layout.distributedOptimizer ? span.units.reduce((product, units) => product * units, 1) : 1;
    const updated = dense / copies(spans.data) + expert / copies(spans.expertData);
    // Reads gradient, weight and moments; writes weight and moments, and the weight as the model uses it.
    const compute = streamSeconds(updated * (bytesPerGradient + 2 * OPTIMIZER_BYTES + bytesPerValue), device);
    const hidden = overlap.data * communication;
    const parts = { ...noParts, compute, communication: communication - hidden, hidden };
    if (secondsOf(parts) > secondsOf(longest)) longest = parts;
  }
  return longest;
}
