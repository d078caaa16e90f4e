/** DeepSeek's communication loss: balances how many tokens each device receives, each token counted once a device. */
import { blockLoss, visitShares } from "./blocks.ts";
import { balancingLoss, scopeKnob } from "./rule.ts";

export const communicationLoss = balancingLoss({
  kind: "loss",
  title: "communication-balancing loss over devices",
  formula: "α Σ_d f_d P_d,  f_d = D/(M·T) · tokens that d receives,  P_d = Σ_{i in d} p_i",
  source: "DeepSeek-V2, arXiv:2405.04434, section 2.2.3; MT-MegatronLM, sequence_load_balancing_loss_func",
  knobs: {
    coefficient: { kind: "layerwise", default: 0.02, minimum: 0, help: "α₃", source: "DeepSeek-V2" },
    scope: scopeKnob("sequence"),
    limit: {
      kind: "number",
      default: 3,
      minimum: 1,
      whole: true,
      help: "M, devices that a token may go to; the loss is α when every token goes to M and all devices receive alike",
      source: "DeepSeek-V2",
    },
  },
  statistics: () => ["device-visits", "probability"],
  evaluate: (context, gradients, { limit }) => blockLoss(visitShares("devices", limit, context), context, gradients),
});
