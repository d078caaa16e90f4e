/** One training job: everything that the price of its step depends on but how tokens are routed. */
import type { Architecture } from "./architecture.ts";
import type { Device } from "./device.ts";
import type { Batch, Layout } from "./layout.ts";
import type { RoutingProfile } from "./routing-profile.ts";
import type { Topology } from "./topology.ts";

export const recomputations = {
  none: "all activations are kept",
  selective:
    "the core of attention is computed again, as in Megatron; fused attention keeps nothing else that it could save",
  "fine-grained": "norms and activation functions are computed again, as Pangu Ultra MoE does among others",
  full: "only the input of a layer is kept; its whole forward pass, collectives too, runs again",
} as const;

export type Recomputation = keyof typeof recomputations;

export const dispatches = {
  "all-to-all": "every chosen token goes straight to its expert's device",
  hierarchical: "a token crosses once to each node that needs it and is fanned out inside",
  "all-gather": "all tokens of the group go to all its devices and the results are reduced back, as Pangu does",
} as const;

export type Dispatch = keyof typeof dispatches;

/** Shares of communication that run beside compute, each from 0 to 1. */
export interface Overlap {
  readonly tensor: number;
  readonly expert: number;
  readonly data: number;
  /** How much slower compute gets for each second that it runs beside communication. */
  readonly slowdown: number;
}

/** The routing of every MoE layer. */
export interface Routing {
  readonly title: string;
  /** Groups of devices that share the experts of a layer and are routed differently; 1: all alike. */
  readonly blocks: number;
  /** After so many micro-batches the loads come round again; 1: all micro-batches alike. */
  readonly microBatches: number;
  /** @param layer 0 … MoE layers − 1 @param block 0 … blocks − 1 @param microBatch 0 … microBatches − 1 */
  profile(layer: number, block: number, microBatch: number): RoutingProfile;
}

export interface Job {
  readonly model: Architecture;
  readonly device: Device;
  readonly topology: Topology;
  readonly layout: Layout;
  readonly batch: Batch;
  readonly recompute: Recomputation;
  /** Layers of each chunk, from its first, that are recomputed; infinity: all. */
  readonly recomputeLayers: number;
  readonly dispatch: Dispatch;
  /** A token travels once to each device that holds a chosen expert, not once for each expert. */
  readonly deduplicate: boolean;
  readonly overlap: Overlap;
  /** Of activations and weights; 2 is bf16. */
  readonly bytesPerValue: number;
  /** Of gradients as they are accumulated and reduced. */
  readonly bytesPerGradient: number;
  /** Speed of single devices, 1 is nominal. */
  readonly speeds: ReadonlyMap<number, number>;
}

/** Bytes that AdamW keeps for a parameter: single-precision weight and two moments. */
export const OPTIMIZER_BYTES = 12;

/** What is computed again of a layer. */
export function recomputationOf({ model, layout, recompute, recomputeLayers }: Job, layer: number): Recomputation {
  const chunk = (model.layers + layout.paddingLayers) / (layout.pipeline * layout.virtual);
  return layer % chunk < recomputeLayers ? recompute : "none";
}
