/** DeepSeek's device-level loss: the auxiliary loss with the experts of a device taken together. */
import { assignmentShares, blockLoss } from "./blocks.ts";
import { balancingLoss, scopeKnob } from "./rule.ts";

export const deviceLoss = balancingLoss({
  kind: "loss",
  title: "load-balancing loss over devices",
  formula: "α Σ_d f_d P_d,  f_d = mean over experts of d of N/(K·T) · assignments,  P_d = Σ_{i in d} p_i",
  source: "DeepSeekMoE, arXiv:2401.06066, eq. 15-17; DeepSeek-V2, arXiv:2405.04434, section 2.2.3",
  knobs: {
    coefficient: { kind: "layerwise", default: 0.05, minimum: 0, help: "α₂", source: "DeepSeek-V2" },
    scope: scopeKnob("sequence"),
  },
  statistics: () => ["load", "probability"],
  evaluate: (context, gradients) => blockLoss(assignmentShares("devices", context), context, gradients),
});
