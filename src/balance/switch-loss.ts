/** The classic auxiliary loss: share of the assignments times mean probability, summed over experts. */
import { balancingLoss, scopes } from "./rule.ts";

export const switchLoss = balancingLoss({
  kind: "loss",
  title: "auxiliary load-balancing loss",
  formula: "α Σ_i f_i p_i,  f_i = N/(K·T) · assignments of i,  p_i = mean probability of i (over all experts)",
  source: "Pangu Pro MoE, arXiv:2505.21411, eq. 8; Switch Transformer, arXiv:2101.03961, eq. 4-6",
  knobs: {
    coefficient: {
      kind: "number",
      default: 0.01,
      minimum: 0,
      help: "α; 1 · α is the value at perfect balance",
      source: "Switch Transformer chose 1e-2 out of 1e-5 … 1e-1; the Pangu Pro paper gives no value",
    },
    scope: { kind: "choice", default: "micro-batch", options: scopes, help: "the tokens balanced together" },
  },
  evaluate({ shape: { experts, topK }, load, loadTokens, probabilitySum, tokens }, gradient) {
    let loss = 0;
    for (let i = 0; i < experts; i++) {
      const fraction = (experts * load[i]!) / (topK * loadTokens);
      loss += (fraction * probabilitySum[i]!) / tokens;
      gradient[i] = fraction / tokens;
    }
    return loss;
  },
});
