/** Published combinations of selection, score function and normalisation, by name. */
import type { RoutingSettings } from "./route.ts";

export interface RoutingPreset {
  readonly settings: RoutingSettings;
  readonly source: string;
}

export const routingPresets = {
  "pangu-topk": {
    settings: { selection: "topk", scoreFunction: "softmax", normalisation: "chosen", scale: 1 },
    source: "Pangu Pro MoE, arXiv:2505.21411, eq. 1-2: softmax over the chosen logits, weights sum to 1",
  },
  "pangu-moge": {
    settings: { selection: "moge", scoreFunction: "softmax", normalisation: "none", scale: 1 },
    source: "Pangu Pro MoE, arXiv:2505.21411, eq. 5-7: global softmax, not renormalised, weights sum to less than 1",
  },
} satisfies Record<string, RoutingPreset>;
