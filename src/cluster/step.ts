/**
 * One training step of a job: seconds, split into what devices do and what they wait for.
 *
 * SIMULATED. Layers are priced kernel by kernel, laid on the stages of the pipeline and played as discrete events, or
 * put into the closed form of the schedule, which is exact when all chunks are alike and messages are free. Then
 * gradients are reduced and the optimizer steps.
 */
import { trainingFlopsPerToken } from "./architecture.ts";
import { gatherSeconds } from "./gather.ts";
import type { Job, Routing } from "./job.ts";
import { streamSeconds } from "./kernels.ts";
import { LayerKernels } from "./layer-kernels.ts";
import { type LayerPrice, LayerPrices, type LayerSeconds } from "./layer-price.ts";
import { devicesOf, type LayoutSpans, layoutSpans } from "./layout.ts";
import { memoryOf, placeStages, type StageMemory, type StagePlacement } from "./memory.ts";
import { addParts, noParts, type Parts, scaledParts, secondsOf } from "./parts.ts";
import { Chunk, PipelinePlan, type PlayedStages } from "./pipeline-price.ts";

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
  /** Means over the micro-batches, with the assignments and expert kernels of the one that is hottest there. */
  readonly layers: readonly LayerPrice[];
  readonly memory: readonly StageMemory[];
  /** Gradient reduction and optimizer, after the last micro-batch. */
  readonly tail: Parts;
  /** Present when the pipeline was played. */
  readonly timeline?: PlayedStages;
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
    this.placement = placeStages(job);
    this.prices = new LayerPrices(job, kernels, this.placement);
    this.tail = tailOf(job, spans, this.placement);
    this.plan = new PipelinePlan(job, spans, this.placement);
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
    let kinds: LayerSeconds[][] = [];
    for (const block of this.prices.distinctBlocks(routing)) {
      const own = this.kindsOf(routing, (kind) => this.prices.layerSeconds(block, routing, kind));
      const seconds = this.plan.quickSeconds(own);
      if (seconds > slowest) [slowest, kinds] = [seconds, own];
    }
    const memory = () => memoryOf(job, placement, this.hottestRows(kinds));
    return { seconds: slowest + secondsOf(this.tail), memory };
  }

  /** The slowest pipeline in full. */
  price(routing: Routing, { events }: PriceOptions): StepPrice {
    const { job, plan } = this;
    const pipelines = this.prices.distinctBlocks(routing).map((block) => {
      const layers = this.kindsOf(routing, (kind) =>
        this.passesOf((pass) => this.prices.layers(block, pass, routing, kind)),
      );
      const chunks = layers.map((passes, kind) =>
        this.passesOf((pass) => this.chunks(passes[pass]!, block, pass, routing, kind)),
      );
      return { layers, chunks, ...plan.closedForm(chunks) };
    });
    const slowest = pipelines.reduce((most, each) => (each.seconds > most.seconds ? each : most));
    const played = events ? plan.play(slowest.chunks) : undefined;
    // Without a pipeline the closed form is exact, and its sums are shorter.
    const { seconds: busySeconds, stages: busy } = job.layout.pipeline > 1 ? (played ?? slowest) : slowest;
    const stages = busy.map((parts) => ({
      ...addParts(parts, this.tail),
      bubble: Math.max(0, busySeconds - secondsOf(parts)),
    }));
    const split = meanSplit(stages);
    const seconds = secondsOf(split) + split.bubble;
    const tokens = job.batch.globalBatch * job.batch.sequence;
    const devices = devicesOf(job.layout);
    const flops = tokens * trainingFlopsPerToken(job.model, job.batch.sequence);
    return {
      seconds,
      split,
      stages,
      tokensPerSecondPerDevice: tokens / seconds / devices,
      utilisation: flops / seconds / (devices * job.device.peakFlopsPerSecond.value),
      layers: this.meanLayers(slowest.layers),
      memory: memoryOf(job, this.placement, this.hottestRows(slowest.layers.flat())),
      tail: this.tail,
      ...(played && { timeline: { devices: played.devices, seconds: played.seconds } }),
    };
  }

  /** What is worked out once for all micro-batches that are routed alike. */
  private kindsOf<T>({ microBatches }: Routing, of: (kind: number) => T): T[] {
    return Array.from({ length: Math.min(microBatches, this.plan.shape.microBatches) }, (_, kind) => of(kind));
  }

  /** What is worked out for each pass. They differ only beside a slow device: what a stage holds of them differs. */
  private passesOf<T>(of: (pass: number) => T): T[] {
    const passes = this.placement.stageOf.length;
    if (this.job.speeds.size > 0) return Array.from({ length: passes }, (_, pass) => of(pass));
    return new Array<T>(passes).fill(of(0));
  }

  /** The chunks of layers at each position of a pass. */
  private chunks(layers: readonly LayerPrice[], block: number, pass: number, routing: Routing, kind: number): Chunk[] {
    const { positions } = this.placement;
    return positions.map((own, position) => {
      const chunk = new Chunk();
      for (const layer of own) chunk.add(layers[layer]!);
      if (position === 0) chunk.add(this.prices.embedding(block, pass));
      if (position === positions.length - 1) {
        for (const edge of this.prices.head(block, pass, routing, kind)) chunk.add(edge);
      }
      return chunk;
    });
  }

  /** [MoE layers] assignments on the hottest device, in the micro-batch where that is most */
  private hottestRows(kinds: readonly (readonly { readonly hottestRows: number }[])[]): number[] {
    const { layers, denseLayers } = this.job.model;
    return Array.from({ length: layers - denseLayers }, (_, layer) =>
      kinds.reduce((most, own) => Math.max(most, own[denseLayers + layer]!.hottestRows), 0),
    );
  }

  /** @param kinds [kinds][passes][layers] */
  private meanLayers(kinds: readonly (readonly (readonly LayerPrice[])[])[]): readonly LayerPrice[] {
    const priced = kinds.flat();
    const [first] = priced;
    if (priced.length === 1) return first!;
    const counts = this.plan.kinds(kinds.length);
    const shares = kinds.flatMap((_, kind) => counts.map((pass) => pass[kind]! / this.plan.shape.microBatches));
    return first!.map((_, layer) => {
      const own = priced.map((layers) => layers[layer]!);
      const hottest = own.reduce((most, each) => (each.hottestRows > most.hottestRows ? each : most));
      const mean = (of: (each: LayerPrice) => number) => own.reduce((sum, each, i) => sum + of(each) * shares[i]!, 0);
      const parts = (of: (each: LayerPrice) => Parts) =>
        own.reduce((sum, each, i) => addParts(sum, scaledParts(of(each), shares[i]!)), noParts);
      return {
        ...hottest,
        forward: parts(({ forward }) => forward),
        inputGradient: parts(({ inputGradient }) => inputGradient),
        weightGradient: parts(({ weightGradient }) => weightGradient),
        hideable: mean(({ hideable }) => hideable),
        imbalance: mean(({ imbalance }) => imbalance),
        dispatchSeconds: mean(({ dispatchSeconds }) => dispatchSeconds),
      };
    });
  }
}

/** Prices one step of the slowest pipeline of a job. */
export const priceStep = (job: Job, routing: Routing, options: PriceOptions): StepPrice =>
  new StepModel(job).price(routing, options);

function meanSplit(stages: readonly StepSplit[]): StepSplit {
  const total = stages.reduce<Parts>((sum, stage) => addParts(sum, stage), noParts);
  const bubble = stages.reduce((sum, stage) => sum + stage.bubble, 0);
  return { ...scaledParts(total, 1 / stages.length), bubble: bubble / stages.length };
}

/** Reduces gradients, steps AdamW and gathers parameters, on the stage where that takes longest. */
function tailOf(job: Job, spans: LayoutSpans, { parameters }: StagePlacement): Parts {
  const { layout, topology, device, bytesPerGradient, bytesPerValue, bytesPerState, overlap } = job;
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
    const stepping = streamSeconds(updated * (bytesPerGradient + 2 * bytesPerState + bytesPerValue), device);
    // States that live with the host come in while others go out.
    const swapping = (updated * bytesPerState) / (job.offloadBytesPerSecond ?? Number.POSITIVE_INFINITY);
    const compute = Math.max(stepping, swapping);
    const hidden = overlap.data * communication;
    const parts = { ...noParts, compute, communication: communication - hidden, hidden };
    if (secondsOf(parts) > secondsOf(longest)) longest = parts;
  }
  return longest;
}
