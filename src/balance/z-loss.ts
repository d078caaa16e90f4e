/** The router z-loss: keeps logits small. It balances nothing by itself. */
import { balancingLoss, scopeKnob } from "./rule.ts";

export const zLoss = balancingLoss({
  kind: "loss",
  title: "router z-loss",
  formula: "c · mean over tokens of (ln Σ_j e^{x_j})²",
  source: "ST-MoE, Zoph et al. 2022, arXiv:2202.08906, eq. 5; Megatron-LM, moe_utils.z_loss_func",
  knobs: {
    coefficient: { kind: "layerwise", default: 1e-3, minimum: 0, help: "c", source: "ST-MoE, arXiv:2202.08906" },
    scope: scopeKnob("micro-batch"),
  },
  statistics: () => ["log-sum-exp-squared"],
  evaluate({ sums, tokens }, gradients) {
    gradients["log-sum-exp-squared"][0] = 1 / tokens;
    return sums["log-sum-exp-squared"][0]! / tokens;
  },
});
