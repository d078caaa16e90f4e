/** Seconds of whole layers for one micro-batch, split into parts, under the routing and the slow devices of a block. */
import { ExpertCost, type ExpertSeconds, type SlowestSeconds } from "./expert-cost.ts";
import type { Job, Routing } from "./job.ts";
import { attentionCost, type BlockCost, embeddingCost, headCost, networkCost, routerCost } from "./layer-cost.ts";
import { deviceAt, type LayoutSpans, strides } from "./layout.ts";
import { addParts, type Parts } from "./parts.ts";
import type { RoutingProfile } from "./routing-profile.ts";

export interface LayerPrice {
  /** −1: embedding or head */
  readonly layer: number;
  readonly kind: "dense" | "moe" | "edge";
  readonly forward: Parts;
  /** With what is computed again. */
  readonly inputGradient: Parts;
  readonly weightGradient: Parts;
  /** Exchange that a schedule with overlapped passes can hide, forward or backward. */
  readonly hideable: number;
  /** Assignments on the device that has most, and over the mean. */
  readonly hottestRows: number;
  readonly hottestDevice: number;
  readonly imbalance: number;
  /** One way. */
  readonly dispatchSeconds: number;
  /** Expert kernels of each device of the group; absent in layers without experts. */
  readonly experts?: ExpertSeconds;
}

/** Seconds of a layer for one micro-batch. */
export interface LayerSeconds {
  readonly forward: number;
  readonly inputGradient: number;
  readonly weightGradient: number;
  /** Assignments on the hottest device. */
  readonly hottestRows: number;
}

/** Speeds of a block: the slowest of its devices, and the slowest that stand for each expert-parallel rank. */
interface BlockSpeeds {
  readonly slowest: number;
  readonly ofRank: Float64Array;
}

const noExperts = { hottestRows: 0, hottestDevice: -1, imbalance: 1, dispatchSeconds: 0 };

/** Kernels of a job's layers, before layers are laid on stages: schedules and recomputation change nothing in them. */
export class LayerKernels {
  readonly attention: BlockCost;
  readonly denseNetwork: BlockCost | undefined;
  readonly moe: readonly BlockCost[];
  readonly experts: ExpertCost | undefined;
  readonly embedding: BlockCost;
  readonly head: BlockCost;
  private readonly known = new WeakMap<RoutingProfile, SlowestSeconds>();

  constructor(job: Job, spans: LayoutSpans) {
    const { model } = job;
    this.attention = attentionCost(job, spans);
    this.denseNetwork = model.denseLayers > 0 ? networkCost(job, spans, model.denseHiddenSize, true) : undefined;
    const shared = model.sharedHiddenSize > 0 ? [networkCost(job, spans, model.sharedHiddenSize, false)] : [];
    this.moe = model.experts > 0 ? [this.attention, routerCost(job), ...shared] : [];
    this.experts = model.experts > 0 ? new ExpertCost(job, spans) : undefined;
    this.embedding = embeddingCost(job, spans);
    this.head = headCost(job, spans);
  }

  /** What the slowest device of the group takes, remembered for each profile. */
  slowest(profile: RoutingProfile): SlowestSeconds {
    let seconds = this.known.get(profile);
    if (seconds === undefined) {
      seconds = this.experts!.slowest(profile);
      this.known.set(profile, seconds);
    }
    return seconds;
  }
}

export class LayerPrices {
  private readonly job: Job;
  private readonly kernels: LayerKernels;
  /** Devices of a stage that wait for one another within a micro-batch. */
  private readonly blockSize: number;
  private readonly blockCount: number;
  private readonly dual: boolean;

  constructor(job: Job, kernels: LayerKernels) {
    const { model, layout } = job;
    this.job = job;
    this.kernels = kernels;
    const replica = layout.tensor * layout.context;
    const sharing = model.experts > 0 ? layout.expert * layout.expertTensor : 1;
    this.blockSize = leastCommonMultiple(replica, sharing);
    this.blockCount = (replica * layout.data) / this.blockSize;
    this.dual = layout.schedule.startsWith("dualpipe");
  }

  /** The blocks that may differ from one another: one of the ordinary ones, and each that is routed or runs apart. */
  blocks(routing: Routing): number[] {
    const { speeds } = this.job;
    if (routing.blocks > 1) return Array.from({ length: this.blockCount }, (_, block) => block);
    const slow = new Set<number>();
    for (const [device, speed] of speeds) if (speed !== 1) slow.add(this.blockOf(device));
    for (let block = 0; block < this.blockCount && slow.size < this.blockCount; block++) {
      if (!slow.has(block)) return [block, ...slow];
    }
    return [...slow];
  }

  /** All layers of a block. */
  layers(block: number, routing: Routing): LayerPrice[] {
    const { model, layout } = this.job;
    const perStage = (model.layers + layout.paddingLayers) / layout.pipeline;
    const known = new Map<RoutingProfile, ExpertSeconds>();
    return Array.from({ length: model.layers }, (_, layer) => {
      const speeds = this.speedsOf(block, Math.min(layout.pipeline - 1, Math.floor(layer / perStage)));
      if (layer < model.denseLayers) {
        return this.priceOf(layer, "dense", this.denseBlocks(), speeds, undefined);
      }
      return this.moeLayer(layer, routing.profile(layer - model.denseLayers, block % routing.blocks), speeds, known);
    });
  }

  /**
   * Seconds of all layers of a block without their split: the same sums as `layers`, several times faster. Only where
   * no device is slow.
   * @returns [layers] forward, backward for inputs and for weights
   */
  layerSeconds(block: number, routing: Routing): LayerSeconds[] {
    const { model } = this.job;
    const { kernels } = this;
    const known = new Map<RoutingProfile, LayerSeconds>();
    const dense = model.denseLayers > 0 ? this.quick(this.denseBlocks(), undefined) : undefined;
    return Array.from({ length: model.layers }, (_, layer) => {
      if (layer < model.denseLayers) return dense!;
      const profile = routing.profile(layer - model.denseLayers, block % routing.blocks);
      let seconds = known.get(profile);
      if (seconds === undefined) {
        seconds = this.quick(kernels.moe, kernels.slowest(profile));
        known.set(profile, seconds);
      }
      return seconds;
    });
  }

  private quick(blocks: readonly BlockCost[], experts: SlowestSeconds | undefined): LayerSeconds {
    const { overlap, recompute } = this.job;
    const { slowdown } = overlap;
    const of = (part: "forward" | "inputGradient" | "weightGradient", exchange: number, extra: number) => {
      let compute = extra + (experts?.[part] ?? 0);
      let tensor = 0;
      for (const block of blocks) {
        compute += block[part].compute;
        tensor += block[part].tensor;
      }
      const wanted = overlap.tensor * tensor + (this.dual ? 0 : overlap.expert * exchange);
      return compute + tensor + exchange - Math.min(wanted, compute) * (1 - slowdown);
    };
    const exchange = experts === undefined ? 0 : experts.dispatch + experts.combine;
    const cheap = recompute === "selective" ? blocks.reduce((sum, { cheapSeconds }) => sum + cheapSeconds, 0) : 0;
    const forward = of("forward", exchange, 0);
    const again = recompute === "full" ? forward : 0;
    return {
      forward,
      inputGradient: of("inputGradient", exchange, cheap) + again,
      weightGradient: of("weightGradient", 0, 0),
      hottestRows: experts?.hottestRows ?? 0,
    };
  }

  private denseBlocks(): BlockCost[] {
    return [this.kernels.attention, this.kernels.denseNetwork!];
  }

  private moeLayer(
    layer: number,
    profile: RoutingProfile,
    speeds: BlockSpeeds,
    known: Map<RoutingProfile, ExpertSeconds>,
  ): LayerPrice {
    let experts = known.get(profile);
    if (experts === undefined) {
      experts = this.kernels.experts!.evaluate(profile);
      known.set(profile, experts);
    }
    return this.priceOf(layer, "moe", this.kernels.moe, speeds, experts);
  }

  embedding(block: number): LayerPrice {
    return this.priceOf(-1, "edge", [this.kernels.embedding], this.speedsOf(block, 0), undefined);
  }

  /** Head and loss, and the layers of multi-token prediction with a head of their own each. */
  head(block: number, routing: Routing): LayerPrice[] {
    const { model, layout } = this.job;
    const speeds = this.speedsOf(block, layout.pipeline - 1);
    const one = this.priceOf(-1, "edge", [this.kernels.head], speeds, undefined);
    const known = new Map<RoutingProfile, ExpertSeconds>();
    const last = model.layers - model.denseLayers - 1;
    const more = Array.from({ length: model.predictionLayers }, () =>
      model.experts > 0
        ? this.moeLayer(-1, routing.profile(last, block % routing.blocks), speeds, known)
        : this.priceOf(-1, "edge", this.denseBlocks(), speeds, undefined),
    );
    return [one, ...more, ...more.map(() => one)];
  }

  private blockOf(device: number): number {
    const { layout } = this.job;
    const stride = strides(layout);
    const place = (dimension: "tensor" | "context" | "data") =>
      Math.floor(device / stride[dimension]) % layout[dimension];
    const inStage = place("tensor") + layout.tensor * (place("context") + layout.context * place("data"));
    return Math.floor(inStage / this.blockSize);
  }

  private speedsOf(block: number, stage: number): BlockSpeeds {
    const { layout, speeds } = this.job;
    const ofRank = new Float64Array(layout.expert).fill(1);
    if (speeds.size === 0) return { slowest: 1, ofRank };
    const stride = strides(layout);
    let slowest = 1;
    for (let i = 0; i < this.blockSize; i++) {
      const inStage = block * this.blockSize + i;
      const device = deviceAt(stride, {
        tensor: inStage % layout.tensor,
        context: Math.floor(inStage / layout.tensor) % layout.context,
        data: Math.floor(inStage / layout.tensor / layout.context),
        pipeline: stage,
      });
      const speed = speeds.get(device) ?? 1;
      const rank = Math.floor(i / layout.expertTensor) % layout.expert;
      ofRank[rank] = Math.min(ofRank[rank]!, speed);
      slowest = Math.min(slowest, speed);
    }
    return { slowest, ofRank };
  }

  private priceOf(
    layer: number,
    kind: LayerPrice["kind"],
    blocks: readonly BlockCost[],
    speeds: BlockSpeeds,
    experts: ExpertSeconds | undefined,
  ): LayerPrice {
    const { recompute } = this.job;
    const of = (part: "forward" | "inputGradient" | "weightGradient", exchange: number, extra: number): Parts => {
      let compute = extra;
      let tensor = 0;
      for (const block of blocks) {
        compute += block[part].compute;
        tensor += block[part].tensor;
      }
      return this.withOverlap(compute, tensor, exchange, waits(experts?.[part], speeds), speeds.slowest);
    };
    const exchange = experts === undefined ? 0 : experts.dispatch + experts.combine;
    const cheap = recompute === "selective" ? blocks.reduce((sum, { cheapSeconds }) => sum + cheapSeconds, 0) : 0;
    const forward = of("forward", exchange, 0);
    const backward = of("inputGradient", exchange, cheap);
    const again = recompute === "full" && kind !== "edge";
    return {
      layer,
      kind,
      forward,
      inputGradient: again ? addParts(backward, forward) : backward,
      weightGradient: of("weightGradient", 0, 0),
      hideable: this.dual ? this.hideable(exchange, forward.compute) : 0,
      ...(experts === undefined ? noExperts : loads(experts)),
    };
  }

  /** Puts the shares of communication that overlap beside compute, as far as there is compute to put them beside. */
  private withOverlap(compute: number, tensor: number, exchange: number, wait: Waits, slowest: number): Parts {
    const { overlap } = this.job;
    const all = compute + wait.mean;
    const longest = all + wait.hottest; // the slowest device decides how much there is to hide behind
    const wanted = overlap.tensor * tensor + (this.dual ? 0 : overlap.expert * exchange);
    const hidden = Math.min(wanted, longest);
    const slowCompute = (compute + hidden * overlap.slowdown) / slowest - (compute + hidden * overlap.slowdown);
    return {
      compute: all + hidden * overlap.slowdown,
      communication: tensor + exchange - hidden,
      hottestWait: wait.hottest,
      slowWait: slowCompute + wait.slow,
      hidden,
    };
  }

  private hideable(exchange: number, compute: number): number {
    return Math.min(this.job.overlap.expert * exchange, compute);
  }
}

interface Waits {
  readonly mean: number;
  readonly hottest: number;
  readonly slow: number;
}

const noWaits: Waits = { mean: 0, hottest: 0, slow: 0 };

/** Mean seconds of the devices, and how much more the hottest and the slow ones take. */
function waits(seconds: Float64Array | undefined, { ofRank }: BlockSpeeds): Waits {
  if (seconds === undefined) return noWaits;
  let total = 0;
  let hottest = 0;
  let last = 0;
  for (let rank = 0; rank < seconds.length; rank++) {
    const own = seconds[rank]!;
    total += own;
    hottest = Math.max(hottest, own);
    last = Math.max(last, own / ofRank[rank]!);
  }
  // The mean of equal times may round to a hair beside them.
  const mean = hottest - total / seconds.length < 1e-12 * hottest ? hottest : total / seconds.length;
  return { mean, hottest: hottest - mean, slow: last - hottest };
}

function loads(experts: ExpertSeconds) {
  const { rows, dispatch } = experts;
  let hottestDevice = 0;
  let total = 0;
  for (let device = 0; device < rows.length; device++) {
    total += rows[device]!;
    if (rows[device]! > rows[hottestDevice]!) hottestDevice = device;
  }
  const hottestRows = rows[hottestDevice]!;
  return {
    hottestRows,
    hottestDevice,
    imbalance: total === 0 ? 1 : (hottestRows * rows.length) / total,
    dispatchSeconds: dispatch,
    experts,
  };
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a * b) / x;
}
