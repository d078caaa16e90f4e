/**
 * Bytes that the devices of a job send in one step: over each level of links by purpose, and between every two devices.
 * SIMULATED, and the same bytes whose seconds the price of the step contains.
 */
import { gatherBytes, gatherPairBytes } from "./gather.ts";
import { commonLevel } from "./group-span.ts";
import { type Job, type Recomputation, type Routing, recomputationOf } from "./job.ts";
import { type BlockCost, tokensOf } from "./layer-cost.ts";
import type { LayerKernels } from "./layer-kernels.ts";
import { ascending, type LayoutGroups, type LayoutSpans, layoutGroups } from "./layout.ts";
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

/** What one device sends to another in a step. */
export interface PairBytes {
  readonly purpose: Purpose;
  readonly stage: number;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

export interface Traffic {
  readonly links: readonly LinkBytes[];
  /**
   * Of each stage: dispatch and combine between all devices of its first expert-parallel group; and, where all devices
   * of a group send alike, what the first device of the stage sends to each of its peers.
   */
  pairs(): Iterable<PairBytes>;
}

/** @throws RangeError if a group does not fill the topology evenly */
export function trafficOf(job: Job, routing: Routing): Traffic {
  const { spans, kernels } = sharedKernels(job);
  const placement = placeStages(job);
  const plan = new PipelinePlan(job, spans, placement);
  const stages = placement.held.map((_, stage) => new StageTraffic(job, spans, kernels, plan, stage, routing));
  const links = (Object.keys(purposes) as Purpose[]).flatMap((purpose) =>
    job.topology.levels.flatMap((_, level) => {
      const own = stages.map(({ bytes }) => bytes[purpose][level]!);
      const mean = own.reduce((sum, each) => sum + each.mean, 0) / own.length;
      const most = Math.max(...own.map((each) => each.most));
      return most > 0 ? [{ purpose, level, mean, most }] : [];
    }),
  );
  return {
    links,
    *pairs() {
      for (const stage of stages) yield* stage.pairs();
    },
  };
}

interface Amount {
  mean: number;
  most: number;
}

/** What the devices of one stage send. */
class StageTraffic {
  readonly bytes: Record<Purpose, Amount[]>;
  private readonly job: Job;
  private readonly spans: LayoutSpans;
  private readonly kernels: LayerKernels;
  private readonly placement: StagePlacement;
  private readonly plan: PipelinePlan;
  private readonly stage: number;
  private readonly groups: LayoutGroups;
  /** By purpose: from the first device to its peers. */
  private readonly peers: Record<Purpose, Map<number, number>>;
  /** [D, D] from row to column of the expert-parallel group */
  private readonly exchanged: Float64Array;

  constructor(
    job: Job,
    spans: LayoutSpans,
    kernels: LayerKernels,
    plan: PipelinePlan,
    stage: number,
    routing: Routing,
  ) {
    const none = () => job.topology.levels.map(() => ({ mean: 0, most: 0 }));
    this.job = job;
    this.spans = spans;
    this.kernels = kernels;
    this.placement = plan.placement;
    this.plan = plan;
    this.stage = stage;
    this.groups = layoutGroups(job.layout, stage);
    this.bytes = { tensor: none(), context: none(), experts: none(), pipeline: none(), gradients: none() };
    this.peers = {
      tensor: new Map(),
      context: new Map(),
      experts: new Map(),
      pipeline: new Map(),
      gradients: new Map(),
    };
    this.exchanged = new Float64Array(job.layout.expert * job.layout.expert);
    this.layers(routing);
    this.perDevice();
    this.gradients();
  }

  *pairs(): Iterable<PairBytes> {
    const { stage, groups, exchanged } = this;
    const { expert } = groups;
    for (const [i, bytes] of exchanged.entries()) {
      const [from, to] = [Math.floor(i / expert.length), i % expert.length];
      if (from !== to) yield { purpose: "experts", stage, from: expert[from]!, to: expert[to]!, bytes };
    }
    for (const purpose of Object.keys(purposes) as Purpose[]) {
      for (const [to, bytes] of this.peers[purpose]) yield { purpose, stage, from: groups.tensor[0]!, to, bytes };
    }
  }

  /** Micro-batches of a pass. */
  private get inPass(): number {
    return this.plan.shape.microBatches / this.plan.schedule.parameterCopies;
  }

  private layers(routing: Routing): void {
    const { job, kernels, placement, stage } = this;
    const { model } = job;
    const last = placement.positions.length - 1;
    const layerOf = (layer: number, pass: number, again: Recomputation) => {
      const isMoe = layer >= model.denseLayers;
      this.gathers(isMoe ? kernels.moe! : kernels.dense!, again);
      if (isMoe) this.exchange(layer - model.denseLayers, pass, again, routing);
    };
    for (const { pass, position } of placement.held[stage]!) {
      for (const layer of placement.positions[position]!) layerOf(layer, pass, recomputationOf(job, layer));
      if (position === 0) this.gathers(kernels.embedding, "none");
      if (position === last) {
        this.gathers(kernels.head, "none");
        for (let i = 0; i < model.predictionLayers; i++) {
          layerOf(model.layers - 1, pass, job.recompute);
          this.gathers(kernels.head, "none");
        }
      }
      this.messages(pass, position);
    }
  }

  /** Some all-gathers or reduce-scatters of so many bytes, in which all devices of a group send alike. */
  private gather(purpose: Purpose, group: keyof LayoutGroups, gathered: number, times: number): void {
    const { job, spans, groups, peers, bytes } = this;
    for (const [level, each] of gatherBytes(gathered, spans[group], job.topology).entries()) {
      bytes[purpose][level]!.mean += each * times;
      bytes[purpose][level]!.most += each * times;
    }
    const sentTo = gatherPairBytes(gathered, spans[group], job.topology);
    for (const [rank, device] of groups[group].toSorted(ascending).entries()) {
      const sent = sentTo(0, rank) * times;
      if (sent > 0) peers[purpose].set(device, (peers[purpose].get(device) ?? 0) + sent);
    }
  }

  private gathers(block: BlockCost, again: Recomputation): void {
    for (const { group, bytes: gathered, forward, backward } of block.gathers) {
      const repeated = again === "full" || (again === "selective" && group === "context") ? forward : 0;
      this.gather(group, group, gathered, this.inPass * (forward + repeated + backward));
    }
  }

  /** Dispatch and combine of a layer: both in each direction, and once more where the forward pass is repeated. */
  private exchange(layer: number, pass: number, again: Recomputation, routing: Routing): void {
    const { job, kernels, plan, exchanged } = this;
    const { hiddenSize } = job.model;
    const [out, back] = [hiddenSize * job.bytesPerDispatched, hiddenSize * job.bytesPerValue];
    const side = job.layout.expert;
    const counts = plan.kinds(Math.min(routing.microBatches, plan.shape.microBatches))[pass]!;
    for (const [kind, count] of counts.entries()) {
      const times = count * (again === "full" ? 3 : 2);
      const { pairs, gathered } = kernels.experts!.vectors(routing.profile(layer, 0, kind));
      for (let from = 0; from < side; from++) {
        for (let to = 0; to < side; to++) {
          const at = from * side + to;
          exchanged[at] = exchanged[at]! + times * (pairs[at]! * out + pairs[to * side + from]! * back);
        }
      }
      this.gather("experts", "expertTensor", gathered * out, times);
      this.gather("experts", "expertTensor", gathered * back, times);
    }
  }

  /** Adds what the pairs of the exchange come to for a device. */
  private perDevice(): void {
    const { exchanged, groups, job } = this;
    const side = groups.expert.length;
    const levels = this.bytes.experts.length;
    const sent = new Float64Array(levels * side);
    const received = new Float64Array(levels * side);
    for (const [i, bytes] of exchanged.entries()) {
      const [from, to] = [Math.floor(i / side), i % side];
      if (bytes === 0) continue;
      const level = commonLevel(groups.expert[from]!, groups.expert[to]!, job.topology) * side;
      sent[level + from] = sent[level + from]! + bytes;
      received[level + to] = received[level + to]! + bytes;
    }
    for (const [level, amount] of this.bytes.experts.entries()) {
      const own = (amounts: Float64Array) => amounts.subarray(level * side, (level + 1) * side);
      amount.mean += own(sent).reduce((sum, each) => sum + each, 0) / side;
      amount.most += Math.max(...own(sent), ...own(received));
    }
  }

  private messages(pass: number, position: number): void {
    const { job, plan, placement, stage, peers, groups } = this;
    const bytes = tokensOf(job).outside * job.model.hiddenSize * job.bytesPerValue * this.inPass;
    for (const next of [position + 1, position - 1]) {
      if (next < 0 || next >= placement.positions.length) continue;
      const other = plan.schedule.deviceOf(pass, next, plan.shape);
      if (other === stage) continue;
      const to = layoutGroups(job.layout, other).tensor[0]!;
      const amount = this.bytes.pipeline[commonLevel(groups.tensor[0]!, to, job.topology)]!;
      amount.mean += bytes;
      amount.most += bytes;
      peers.pipeline.set(to, (peers.pipeline.get(to) ?? 0) + bytes);
    }
  }

  private gradients(): void {
    const { job, placement, stage } = this;
    const { dense, expert } = placement.parameters[stage]!;
    const back = job.layout.distributedOptimizer ? job.bytesPerValue : job.bytesPerGradient;
    for (const bytesEach of [job.bytesPerGradient, back]) {
      this.gather("gradients", "data", dense * bytesEach, 1);
      this.gather("gradients", "expertData", expert * bytesEach, 1);
    }
  }
}
