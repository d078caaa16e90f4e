/** Seconds of whole layers for one micro-batch, split into parts, under the routing and the slow devices of a block. */
import { type BlockSpeeds, Blocks } from "./blocks.ts";
import type { ExpertSeconds, SlowestSeconds } from "./expert-cost.ts";
import { type Job, type Recomputation, type Routing, recomputationOf } from "./job.ts";
import { addCosts, type BlockCost, type Cost, noCost, repeatedCost } from "./layer-cost.ts";
import type { LayerKernels } from "./layer-kernels.ts";
import type { StagePlacement } from "./memory.ts";
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

const noExperts = { hottestRows: 0, hottestDevice: -1, imbalance: 1, dispatchSeconds: 0 };

export class LayerPrices {
  private readonly job: Job;
  private readonly kernels: LayerKernels;
  private readonly placement: StagePlacement;
  private readonly blocks: Blocks;
  private readonly dual: boolean;

  constructor(job: Job, kernels: LayerKernels, placement: StagePlacement) {
    this.job = job;
    this.kernels = kernels;
    this.placement = placement;
    this.blocks = new Blocks(job);
    this.dual = job.layout.schedule.startsWith("dualpipe");
  }

  /** The blocks that may differ from one another. */
  distinctBlocks(routing: Routing): number[] {
    return this.blocks.distinct(routing);
  }

  /**
   * All layers of a block on the stages of a pass, for the micro-batches that are routed like `microBatch`.
   * @returns [layers]
   */
  layers(block: number, pass: number, routing: Routing, microBatch: number): LayerPrice[] {
    const { model } = this.job;
    const known = new Map<RoutingProfile, ExpertSeconds>();
    const price = (layer: number, speeds: BlockSpeeds) => {
      const recompute = recomputationOf(this.job, layer);
      if (layer < model.denseLayers) {
        return this.priceOf(layer, "dense", this.kernels.dense!, recompute, speeds, undefined);
      }
      const profile = routing.profile(layer - model.denseLayers, block % routing.blocks, microBatch);
      return this.moeLayer(layer, recompute, profile, speeds, known);
    };
    return this.placement.positions.flatMap((layers, position) => {
      const speeds = this.speedsAt(block, pass, position);
      return layers.map((layer) => price(layer, speeds));
    });
  }

  private speedsAt(block: number, pass: number, position: number): BlockSpeeds {
    return this.blocks.speedsOf(block, this.placement.stageOf[pass]![position]!);
  }

  private moeLayer(
    layer: number,
    recompute: Recomputation,
    profile: RoutingProfile,
    speeds: BlockSpeeds,
    known: Map<RoutingProfile, ExpertSeconds>,
  ): LayerPrice {
    let experts = known.get(profile);
    if (experts === undefined) {
      experts = this.kernels.experts!.evaluate(profile);
      known.set(profile, experts);
    }
    return this.priceOf(layer, "moe", this.kernels.moe!, recompute, speeds, experts);
  }

  embedding(block: number, pass: number): LayerPrice {
    return this.priceOf(-1, "edge", this.kernels.embedding, "none", this.speedsAt(block, pass, 0), undefined);
  }

  /** Head and loss, and the layers of multi-token prediction with a head of their own each. */
  head(block: number, pass: number, routing: Routing, microBatch: number): LayerPrice[] {
    const { model, recompute } = this.job;
    const speeds = this.speedsAt(block, pass, this.placement.positions.length - 1);
    const one = this.priceOf(-1, "edge", this.kernels.head, "none", speeds, undefined);
    const known = new Map<RoutingProfile, ExpertSeconds>();
    const last = model.layers - model.denseLayers - 1;
    const more = Array.from({ length: model.predictionLayers }, () =>
      model.experts > 0
        ? this.moeLayer(-1, recompute, routing.profile(last, block % routing.blocks, microBatch), speeds, known)
        : this.priceOf(-1, "dense", this.kernels.dense!, recompute, speeds, undefined),
    );
    return [one, ...more, ...more.map(() => one)];
  }

  /**
   * Seconds of all layers of a block without their split: the same sums as `layers`, several times faster. Only where
   * no device is slow and no passes overlap.
   * @returns [layers], and at the end those of the embedding and of all that `head` gives
   */
  layerSeconds(block: number, routing: Routing, microBatch: number): LayerSeconds[] {
    const { model, recompute } = this.job;
    const { kernels } = this;
    const moe = (layer: number, again: Recomputation) =>
      this.quick(kernels.moe!, again, kernels.slowest(routing, layer, block % routing.blocks, microBatch));
    const found: LayerSeconds[] = [];
    for (let layer = 0; layer < model.layers; layer++) {
      const again = recomputationOf(this.job, layer);
      found.push(
        layer < model.denseLayers
          ? this.quick(kernels.dense!, again, undefined)
          : moe(layer - model.denseLayers, again),
      );
    }
    found.push(this.quick(kernels.embedding, "none", undefined));
    const head = this.quick(kernels.head, "none", undefined);
    found.push(head);
    for (let i = 0; i < model.predictionLayers; i++) {
      found.push(
        model.experts > 0
          ? moe(model.layers - model.denseLayers - 1, recompute)
          : this.quick(kernels.dense!, recompute, undefined),
        head,
      );
    }
    return found;
  }

  private quick(block: BlockCost, recompute: Recomputation, experts: SlowestSeconds | undefined): LayerSeconds {
    const exchange = experts === undefined ? 0 : experts.dispatch + experts.combine;
    const forward = this.quickSeconds(block.forward, experts === undefined ? 0 : experts.forward, exchange);
    const backward = addCosts(block.inputGradient, repeatedCost(block, recompute));
    const inputGradient = this.quickSeconds(backward, experts === undefined ? 0 : experts.inputGradient, exchange);
    return {
      forward,
      inputGradient: recompute === "full" ? inputGradient + forward : inputGradient,
      weightGradient: this.quickSeconds(block.weightGradient, experts === undefined ? 0 : experts.weightGradient, 0),
      hottestRows: experts === undefined ? 0 : experts.hottestRows,
    };
  }

  private quickSeconds(cost: Cost, ofExperts: number, exchange: number): number {
    const { overlap } = this.job;
    const compute = cost.compute + ofExperts;
    const wanted = overlap.tensor * cost.tensor + overlap.expert * exchange;
    return compute + cost.tensor + exchange - Math.min(wanted, compute) * (1 - overlap.slowdown);
  }

  private priceOf(
    layer: number,
    kind: LayerPrice["kind"],
    block: BlockCost,
    recompute: Recomputation,
    speeds: BlockSpeeds,
    experts: ExpertSeconds | undefined,
  ): LayerPrice {
    const of = (part: "forward" | "inputGradient" | "weightGradient", exchange: number, repeated: Cost): Parts =>
      this.withOverlap(
        repeated.compute + block[part].compute,
        repeated.tensor + block[part].tensor,
        exchange,
        waits(experts?.[part], speeds),
        speeds.slowest,
      );
    const exchange = experts === undefined ? 0 : experts.dispatch + experts.combine;
    const forward = of("forward", exchange, noCost);
    const backward = of("inputGradient", exchange, repeatedCost(block, recompute));
    return {
      layer,
      kind,
      forward,
      inputGradient: recompute === "full" ? addParts(backward, forward) : backward,
      weightGradient: of("weightGradient", 0, noCost),
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
