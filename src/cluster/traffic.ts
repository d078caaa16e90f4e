/**
 * Bytes that the devices of a job send in one step: over each level of links by purpose, and between every two devices
 * that share the experts. SIMULATED, and the same bytes whose seconds the price of the step contains.
 */
import { gatherBytes } from "./collectives.ts";
import { commonLevel, type GroupSpan } from "./group-span.ts";
import { type Job, type Recomputation, type Routing, recomputationOf } from "./job.ts";
import { type BlockCost, tokensOf } from "./layer-cost.ts";
import type { LayerKernels } from "./layer-kernels.ts";
import { deviceAt, type LayoutSpans, strides } from "./layout.ts";
import { placeStages, type StagePlacement } from "./memory.ts";
import { PipelinePlan } from "./pipeline-price.ts";
import { sharedKernels } from "./step.ts";

export const purposes = {
  tensor: "all-gathers and reduce-scatters of tensor parallelism",
  context: "keys and values of context parallelism",
  experts: "dispatch and combine",
  pipeline: "activations and their gradients, from stage to stage",
  gradients: "gradients and parameters, between replicas",
} as const;

export type Purpose = keyof typeof purposes;

/** What goes over one level of links for one purpose. */
export interface LinkBytes {
  readonly purpose: Purpose;
  /** Index of the level, from the innermost. */
  readonly level: number;
  /** Sent by the mean device in a step. */
  readonly mean: number;
  /** Sent or received by the device that has most. */
  readonly most: number;
}

export interface Traffic {
  readonly links: readonly LinkBytes[];
  /** [stages] of [D, D]: bytes from row to column of an expert-parallel group, the first of its stage; dispatch and combine */
  readonly pairs: readonly Float64Array[];
}

/** @throws RangeError if a group does not fill the topology evenly */
export function trafficOf(job: Job, routing: Routing): Traffic {
  const { spans, kernels } = sharedKernels(job);
  const placement = placeStages(job);
  const counter = new Counter(job, spans, kernels, placement);
  const stages = placement.held.map((_, stage) => counter.ofStage(stage, routing));
  const links = (Object.keys(purposes) as Purpose[]).flatMap((purpose) =>
    job.topology.levels.flatMap((_, level) => {
      const own = stages.map(({ bytes }) => bytes[purpose][level]!);
      const mean = own.reduce((sum, each) => sum + each.mean, 0) / own.length;
      const most = Math.max(...own.map((each) => each.most));
      return most > 0 ? [{ purpose, level, mean, most }] : [];
    }),
  );
  return { links, pairs: stages.map(({ pairs }) => pairs) };
}

/** The level over which two ranks of a group reach one another. */
export function levelOfPair({ units }: GroupSpan, from: number, to: number): number {
  let width = 1;
  return units.findIndex((each) => {
    width *= each;
    return Math.floor(from / width) === Math.floor(to / width);
  });
}

/** Device numbers of the first expert-parallel group of a stage. */
export function expertGroup({ layout }: Job, stage: number): number[] {
  const stride = strides(layout);
  return Array.from({ length: layout.expert }, (_, rank) => {
    const inStage = rank * layout.expertTensor;
    return deviceAt(stride, {
      tensor: inStage % layout.tensor,
      context: Math.floor(inStage / layout.tensor) % layout.context,
      data: Math.floor(inStage / layout.tensor / layout.context),
      pipeline: stage,
    });
  });
}

interface Amount {
  mean: number;
  most: number;
}

type Amounts = Record<Purpose, Amount[]>;

class Counter {
  private readonly job: Job;
  private readonly spans: LayoutSpans;
  private readonly kernels: LayerKernels;
  private readonly placement: StagePlacement;
  private readonly plan: PipelinePlan;

  constructor(job: Job, spans: LayoutSpans, kernels: LayerKernels, placement: StagePlacement) {
    this.job = job;
    this.spans = spans;
    this.kernels = kernels;
    this.placement = placement;
    this.plan = new PipelinePlan(job, spans, placement);
  }

  ofStage(stage: number, routing: Routing): { readonly bytes: Amounts; readonly pairs: Float64Array } {
    const { job, kernels, placement } = this;
    const { model } = job;
    const none = () => job.topology.levels.map(() => ({ mean: 0, most: 0 }));
    const bytes: Amounts = {
      tensor: none(),
      context: none(),
      experts: none(),
      pipeline: none(),
      gradients: none(),
    };
    const pairs = new Float64Array(job.layout.expert * job.layout.expert);
    const last = placement.positions.length - 1;
    const layerOf = (layer: number, pass: number, again: Recomputation) => {
      const isMoe = layer >= model.denseLayers;
      this.gathers(bytes, isMoe ? kernels.moe! : kernels.dense!, again);
      if (isMoe) this.exchange(bytes, pairs, layer - model.denseLayers, pass, again, routing);
    };
    for (const { pass, position } of placement.held[stage]!) {
      for (const layer of placement.positions[position]!) layerOf(layer, pass, recomputationOf(job, layer));
      if (position === 0) this.gathers(bytes, kernels.embedding, "none");
      if (position === last) {
        this.gathers(bytes, kernels.head, "none");
        for (let i = 0; i < model.predictionLayers; i++) {
          layerOf(model.layers - 1, pass, job.recompute);
          this.gathers(bytes, kernels.head, "none");
        }
      }
      this.messages(bytes, stage, pass, position);
    }
    this.perDevice(bytes, pairs);
    this.gradients(bytes, stage);
    return { bytes, pairs };
  }

  /** Micro-batches of a pass. */
  private get inPass(): number {
    return this.plan.shape.microBatches / this.plan.schedule.parameterCopies;
  }

  /** What every device of a group sends alike. */
  private add(amounts: readonly Amount[], sent: readonly number[], times: number): void {
    for (const [level, each] of sent.entries()) {
      amounts[level]!.mean += each * times;
      amounts[level]!.most += each * times;
    }
  }

  private gathers(bytes: Amounts, block: BlockCost, again: Recomputation): void {
    for (const { group, bytes: gathered, forward, backward } of block.gathers) {
      const repeated = again === "full" || (again === "selective" && group === "context") ? forward : 0;
      const sent = gatherBytes(gathered, this.spans[group], this.job.topology);
      this.add(bytes[group], sent, this.inPass * (forward + repeated + backward));
    }
  }

  /** Dispatch and combine of a layer: there and back in each direction, and once more where the forward pass is repeated. */
  private exchange(
    bytes: Amounts,
    pairs: Float64Array,
    layer: number,
    pass: number,
    again: Recomputation,
    routing: Routing,
  ): void {
    const { job, spans, kernels, plan } = this;
    const side = job.layout.expert;
    const counts = plan.kinds(Math.min(routing.microBatches, plan.shape.microBatches))[pass]!;
    for (const [kind, count] of counts.entries()) {
      const times = count * (again === "full" ? 3 : 2);
      const { pairBytes, gatheredBytes } = kernels.experts!.traffic(routing.profile(layer, 0, kind));
      for (let from = 0; from < side; from++) {
        for (let to = 0; to < side; to++) {
          if (from === to) continue;
          const both = pairBytes[from * side + to]! + pairBytes[to * side + from]!;
          pairs[from * side + to] = pairs[from * side + to]! + times * both;
        }
      }
      this.add(bytes.experts, gatherBytes(gatheredBytes, spans.expertTensor, job.topology), 2 * times);
    }
  }

  /** Adds what the pairs of the exchange come to for a device. */
  private perDevice({ experts }: Amounts, pairs: Float64Array): void {
    const side = this.job.layout.expert;
    const levels = experts.length;
    const sent = new Float64Array(levels * side);
    for (let from = 0; from < side; from++) {
      for (let to = 0; to < side; to++) {
        if (from === to) continue;
        const at = levelOfPair(this.spans.expert, from, to) * side + from;
        sent[at] = sent[at]! + pairs[from * side + to]!;
      }
    }
    // With every way there and back a device receives what it sends.
    for (const [level, amount] of experts.entries()) {
      const own = sent.subarray(level * side, (level + 1) * side);
      amount.mean += own.reduce((sum, each) => sum + each, 0) / side;
      amount.most += Math.max(...own);
    }
  }

  private messages({ pipeline }: Amounts, stage: number, pass: number, position: number): void {
    const { job, plan, placement, spans } = this;
    const bytes = tokensOf(job).outside * job.model.hiddenSize * job.bytesPerValue;
    for (const to of [position + 1, position - 1]) {
      if (to < 0 || to >= placement.positions.length) continue;
      if (plan.schedule.deviceOf(pass, to, plan.shape) === stage) continue;
      const amount = pipeline[commonLevel(...spans.nextStage, job.topology)]!;
      amount.mean += bytes * this.inPass;
      amount.most += bytes * this.inPass;
    }
  }

  private gradients({ gradients }: Amounts, stage: number): void {
    const { job, spans, placement } = this;
    const { dense, expert } = placement.parameters[stage]!;
    const back = job.layout.distributedOptimizer ? job.bytesPerValue : job.bytesPerGradient;
    for (const bytesEach of [job.bytesPerGradient, back]) {
      this.add(gradients, gatherBytes(dense * bytesEach, spans.data, job.topology), 1);
      this.add(gradients, gatherBytes(expert * bytesEach, spans.expertData, job.topology), 1);
    }
  }
}
