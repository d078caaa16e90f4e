/** The table of golden families that this project can answer. A new one is one adapter file and one line here. */
import { auxLossesOther } from "./aux-losses-other.ts";
import { deepseekGroupLimitedGates, deepseekMoegateAux } from "./deepseek-gates.ts";
import { deviceCommAuxLosses } from "./device-comm-aux-losses.ts";
import { edgeCases } from "./edge-cases.ts";
import { eplbDeepseek, eplbVllmAscend } from "./eplb.ts";
import { expertBiasUpdate } from "./expert-bias-update.ts";
import { expertChoice } from "./expert-choice.ts";
import type { Adapter } from "./golden-case.ts";
import { gshardTop2 } from "./gshard-top2.ts";
import { loadMetricCases } from "./load-metrics.ts";
import { megatronAuxLosses } from "./megatron-aux-losses.ts";
import { megatronRouterEndToEnd } from "./megatron-router.ts";
import { megatronGroupLimitedTopk, megatronTopkRouting } from "./megatron-topk-routing.ts";
import { mogePangu } from "./moge-pangu.ts";
import { sinkhornCases } from "./sinkhorn.ts";
import { switchTop1 } from "./switch-top1.ts";
import { deviceLevelCapacity, megatronTokenDropping } from "./token-dropping.ts";
import { tokensChooseFlaxformer } from "./tokens-choose-flaxformer.ts";

export const families = {
  moge_pangu: mogePangu,
  megatron_topk_routing: megatronTopkRouting,
  megatron_group_limited_topk: megatronGroupLimitedTopk,
  megatron_aux_losses: megatronAuxLosses,
  megatron_token_dropping: megatronTokenDropping,
  megatron_router_end_to_end: megatronRouterEndToEnd,
  deepseek_group_limited_gates: deepseekGroupLimitedGates,
  deepseek_moegate_aux: deepseekMoegateAux,
  device_comm_aux_losses: deviceCommAuxLosses,
  device_level_capacity: deviceLevelCapacity,
  gshard_top2: gshardTop2,
  switch_top1: switchTop1,
  tokens_choose_flaxformer: tokensChooseFlaxformer,
  expert_choice: expertChoice,
  sinkhorn: sinkhornCases,
  expert_bias_update: expertBiasUpdate,
  aux_losses_other: auxLossesOther,
  load_metrics: loadMetricCases,
  edge_cases: edgeCases,
  eplb_deepseek: eplbDeepseek,
  eplb_vllm_ascend: eplbVllmAscend,
} satisfies Record<string, Adapter>;
