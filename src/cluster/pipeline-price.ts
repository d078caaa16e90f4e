/**
 * The layers of a job laid on the stages of its pipeline: seconds by the closed form of the schedule, or played as
 * discrete events.
 *
 * Micro-batches may be routed differently. Those that are routed alike share their chunks, and the g-th micro-batch of
 * a step is of kind g mod the number of kinds.
 */
import { sendSeconds } from "./gather.ts";
import { commonLevel } from "./group-span.ts";
import type { Job } from "./job.ts";
import { tokensOf } from "./layer-cost.ts";
import type { LayerPrice, LayerSeconds } from "./layer-price.ts";
import { type LayoutSpans, pipelineShape } from "./layout.ts";
import type { StagePlacement } from "./memory.ts";
import { addParts, noParts, type Parts, scaledParts, secondsOf } from "./parts.ts";
import { type PipelineShape, type Schedule, type ScheduleName, type Slot, schedules, type Work } from "./schedules.ts";
import { type PositionSeconds, playPipeline, type TimedSlot, workSeconds } from "./timeline.ts";

/** Prices of the layers at one position, added up. */
export class Chunk {
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

/** [kinds][passes][positions] */
export type Chunks = readonly (readonly (readonly Chunk[])[])[];

/** A slot with what its seconds consist of. */
export interface PricedSlot extends TimedSlot {
  readonly parts: Parts;
}

export interface PlayedStages {
  /** [stages] slots in order */
  readonly devices: readonly (readonly PricedSlot[])[];
  readonly seconds: number;
}

export interface Pipeline {
  readonly seconds: number;
  /** [stages] parts of all the work of a stage */
  readonly stages: readonly Parts[];
}

/** Where the layers lie and what a message between stages takes. */
export class PipelinePlan {
  private readonly job: Job;
  readonly schedule: Schedule;
  readonly shape: PipelineShape;
  readonly placement: StagePlacement;
  private readonly messageSeconds: number;

  constructor(job: Job, spans: LayoutSpans, placement: StagePlacement) {
    this.job = job;
    this.schedule = schedules[job.layout.schedule];
    this.shape = pipelineShape(job.layout, job.batch);
    this.placement = placement;
    this.messageSeconds = messageSeconds(job, spans);
  }

  /** How many micro-batches of each kind a pass has. @returns [passes][kinds] */
  kinds(count: number): number[][] {
    const passes = this.schedule.parameterCopies;
    const inPass = this.shape.microBatches / passes;
    return Array.from({ length: passes }, (_, pass) => {
      const counts = new Array<number>(count).fill(0);
      if (count === 1) return [inPass];
      for (let i = 0; i < inPass; i++) counts[(pass * inPass + i) % count]!++;
      return counts;
    });
  }

  /** [kinds] their shares of all micro-batches */
  sharesOf(count: number): number[] {
    const counts = this.kinds(count);
    return Array.from(
      { length: count },
      (_, kind) => counts.reduce((sum, pass) => sum + pass[kind]!, 0) / this.shape.microBatches,
    );
  }

  /**
   * Exact when all chunks are alike and messages are free, or without a pipeline; otherwise the slowest stage and the
   * mean chunk stand for all.
   */
  closedForm(chunks: Chunks): Pipeline {
    const { job, schedule, shape } = this;
    const { overlap, layout } = job;
    const stages = this.busyStages(chunks);
    let longest = 0;
    for (const stage of stages) longest = Math.max(longest, secondsOf(stage));
    const shares = this.sharesOf(chunks.length);
    const mean = (of: (chunk: Chunk) => number) => {
      let sum = 0;
      for (const [kind, passes] of chunks.entries()) {
        let ofPasses = 0;
        for (const own of passes) ofPasses += own.reduce((total, chunk) => total + of(chunk), 0) / own.length;
        sum += (ofPasses / passes.length) * shares[kind]!;
      }
      return sum;
    };
    const forward = mean((chunk) => secondsOf(chunk.forward));
    const inputGradient = mean((chunk) => secondsOf(chunk.inputGradient));
    const weightGradient = mean((chunk) => secondsOf(chunk.weightGradient));
    const hiddenInPair = 2 * mean(({ hideable }) => hideable);
    const net = 1 - overlap.slowdown;
    const together = forward + inputGradient + weightGradient - hiddenInPair * net;
    const hidden = dualPairs(layout.schedule, shape) * hiddenInPair;
    const bubble = schedule.bubbleSeconds(shape, { forward, inputGradient, weightGradient, together });
    return {
      seconds: longest - hidden * net + bubble + this.fillSeconds(),
      stages: hidden === 0 ? stages : stages.map((parts) => hide(parts, hidden, overlap.slowdown)),
    };
  }

  /**
   * The closed form from seconds alone, for schedules that run nothing side by side.
   * @param kinds [kinds] seconds as `LayerPrices.layerSeconds` gives them
   */
  quickSeconds(kinds: readonly (readonly LayerSeconds[])[]): number {
    const { schedule, shape, placement } = this;
    const { positions, held } = placement;
    const [counts] = this.kinds(kinds.length);
    const layers = this.job.model.layers;
    const busy = new Float64Array(positions.length);
    const mean = { forward: 0, inputGradient: 0, weightGradient: 0, together: 0 };
    for (const [kind, seconds] of kinds.entries()) {
      const count = counts![kind]!;
      const add = (position: number, one: LayerSeconds) => {
        busy[position] = busy[position]! + count * (one.forward + one.inputGradient + one.weightGradient);
        mean.forward += count * one.forward;
        mean.inputGradient += count * one.inputGradient;
        mean.weightGradient += count * one.weightGradient;
      };
      for (let position = 0; position < positions.length; position++) {
        for (const layer of positions[position]!) add(position, seconds[layer]!);
      }
      add(0, seconds[layers]!);
      for (let edge = layers + 1; edge < seconds.length; edge++) add(positions.length - 1, seconds[edge]!);
    }
    const all = shape.microBatches * positions.length;
    mean.forward /= all;
    mean.inputGradient /= all;
    mean.weightGradient /= all;
    let longest = 0;
    for (const stage of held) {
      let sum = 0;
      for (const { position } of stage) sum += busy[position]!;
      longest = Math.max(longest, sum);
    }
    return longest + schedule.bubbleSeconds(shape, mean) + this.fillSeconds();
  }

  /** Event by event. */
  play(chunks: Chunks): Pipeline & PlayedStages {
    const { overlap } = this.job;
    const { schedule, shape } = this;
    const seconds = chunks.map((passes) => passes.map((own) => own.map((chunk) => chunk.seconds())));
    const inPass = shape.microBatches / schedule.parameterCopies;
    const kindOf = ({ pass, microBatch }: Work) => (pass * inPass + microBatch) % chunks.length;
    const chunkOf = (work: Work) => chunks[kindOf(work)]![work.pass]![work.position]!;
    const secondsOfWork = (work: Work) => workSeconds(work, seconds[kindOf(work)]![work.pass]![work.position]!);
    const { devices, seconds: whole } = playPipeline(schedule, shape, {
      work: secondsOfWork,
      send: () => this.messageSeconds,
      together: (forward, backward) =>
        secondsOfWork(forward) +
        secondsOfWork(backward) -
        (chunkOf(forward).hideable + chunkOf(backward).hideable) * (1 - overlap.slowdown),
    });
    const priced = devices.map((slots) =>
      slots.map((timed) => ({ ...timed, parts: slotParts(timed.slot, chunkOf, overlap.slowdown) })),
    );
    const stages = this.busyStages(chunks).map((parts, stage) => {
      const hidden = priced[stage]!.reduce((sum, { slot }) => sum + hiddenIn(slot, chunkOf), 0);
      return hidden === 0 ? parts : hide(parts, hidden, overlap.slowdown);
    });
    return { seconds: whole, stages, devices: priced };
  }

  /** [stages] parts of all the work of a stage */
  private busyStages(chunks: Chunks): Parts[] {
    const counts = this.kinds(chunks.length);
    return this.placement.held.map((places) => {
      let all = noParts;
      for (const [kind, passes] of chunks.entries()) {
        for (const [pass, ofKind] of counts.entries()) {
          let parts = noParts;
          for (const place of places) {
            if (place.pass !== pass) continue;
            const { forward, inputGradient, weightGradient } = passes[pass]![place.position]!;
            parts = addParts(parts, addParts(addParts(forward, inputGradient), weightGradient));
          }
          all = addParts(all, scaledParts(parts, ofKind[kind]!));
        }
      }
      return all;
    });
  }

  /** Messages while the pipeline fills and drains. */
  private fillSeconds(): number {
    return 2 * (this.shape.pipeline - 1) * this.messageSeconds;
  }
}

const hiddenIn = ([forward, backward]: Slot, chunkOf: (work: Work) => Chunk): number =>
  backward === undefined ? 0 : chunkOf(forward).hideable + chunkOf(backward).hideable;

function slotParts(slot: Slot, chunkOf: (work: Work) => Chunk, slowdown: number): Parts {
  let parts = noParts;
  for (const work of slot) parts = addParts(parts, workParts(work, chunkOf(work)));
  const hidden = hiddenIn(slot, chunkOf);
  return hidden === 0 ? parts : hide(parts, hidden, slowdown);
}

function workParts({ kind }: Work, { forward, inputGradient, weightGradient }: Chunk): Parts {
  switch (kind) {
    case "forward":
      return forward;
    case "backward":
      return addParts(inputGradient, weightGradient);
    case "input-gradient":
      return inputGradient;
    case "weight-gradient":
      return weightGradient;
  }
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
