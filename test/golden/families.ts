/** The table of golden families that this project can answer. A new one is one adapter file and one line here. */
import { edgeCases } from "./edge-cases.ts";
import { expertBiasUpdate } from "./expert-bias-update.ts";
import type { Adapter } from "./golden-case.ts";
import { loadMetricCases } from "./load-metrics.ts";
import { megatronAuxLosses } from "./megatron-aux-losses.ts";
import { megatronTopkRouting } from "./megatron-topk-routing.ts";
import { mogePangu } from "./moge-pangu.ts";

export const families = {
  moge_pangu: mogePangu,
  megatron_topk_routing: megatronTopkRouting,
  megatron_aux_losses: megatronAuxLosses,
  expert_bias_update: expertBiasUpdate,
  load_metrics: loadMetricCases,
  edge_cases: edgeCases,
} satisfies Record<string, Adapter>;
