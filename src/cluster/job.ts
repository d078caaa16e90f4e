/** One training job: everything that the price of its step depends on but how tokens are routed. */
import type { Architecture } from "./architecture.ts";
import type { Device } from "./device.ts";
import type { Format } from "./kernels.ts";
import type { Batch, Layout } from "./layout.ts";
import type { RoutingProfile } from "./routing-profile.ts";
import type { Topology } from "./topology.ts";

export const recomputations = {
  none: "all activations are kept",
  selective:
    "the core of attention is computed again, as in Megatron; fused attention keeps nothing else that it could save",
  "fine-grained":
    "norms, activation functions and the projections up of latent attention are computed again, as DeepSeek-V3 and, among others, Pangu Ultra MoE do",
  full: "only the input of a layer is kept; its whole forward pass, collectives too, runs again",
} as const;

export type Recomputation = keyof typeof recomputations;

export const dispatches = {
  "all-to-all": "every chosen token goes straight to its expert's device",
  hierarchical: "a token crosses once to each node that needs it and is fanned out inside",
  streamed:
    "the same, the two stages side by side: nodes pass on what arrives while more does, as DeepEP and DeepSeek-V3 do (arXiv:2412.19437, section 3.2.2)",
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
  /** Number format of products with weights, but for router and output head. */
  readonly products: Format;
  /** Of activations and weights; 2 is bf16. */
  readonly bytesPerValue: number;
  /** Of a value on its way to the experts, and of its gradient on its way there; what comes back is in full. */
  readonly bytesPerDispatched: number;
  /** Of what products keep of their inputs for the backward pass. */
  readonly bytesPerKept: number;
  /** Of gradients as they are accumulated and reduced. */
  readonly bytesPerGradient: number;
  /** Of what the optimizer keeps for a parameter. */
  readonly bytesPerState: number;
  /** Optimizer states live in the host's memory, behind a link of so many bytes a second. */
  readonly offloadBytesPerSecond?: number;
  /** Speed of single devices, 1 is nominal. */
  readonly speeds: ReadonlyMap<number, number>;
}

/** What is computed again of a layer. */
export function recomputationOf({ model, layout, recompute, recomputeLayers }: Job, layer: number): Recomputation {
  const chunk = (model.layers + layout.paddingLayers) / (layout.pipeline * layout.virtual);
  return layer % chunk < recomputeLayers ? recompute : "none";
}
