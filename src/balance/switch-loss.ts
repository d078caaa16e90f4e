/** The classic auxiliary loss: share of the assignments times mean probability, summed over experts. */
import { balancingLoss, scopeKnob } from "./rule.ts";

export const countedChoices = {
  chosen: "the experts that tokens chose, before any is dropped (DeepSeek, Pangu)",
  "top-k": "the K best scores, without bias, groups or noise, whatever was chosen (Megatron-LM)",
  first: "each token's first choice alone (GShard, DeepSpeed top2gating, Tutel)",
} as const;

export const probabilityKinds = {
  normalised: "scores divided by their sum over all experts",
  raw: "scores as they are; differs for sigmoid (DeepSeek's MoEGate)",
} as const;

const statisticOf = { chosen: "load", "top-k": "top-k-load", first: "first-choice-load" } as const;

export const switchLoss = balancingLoss({
  kind: "loss",
  title: "auxiliary load-balancing loss over experts",
  formula: "α Σ_i f_i p_i,  f_i = N/(K·T) · assignments of i,  p_i = mean probability of i (over all experts)",
  source:
    "Switch Transformer, arXiv:2101.03961, eq. 4-6; Pangu Pro MoE, arXiv:2505.21411, eq. 8; Hugging Face Mixtral and flaxformer leave out 1/K: use K times the coefficient",
  knobs: {
    coefficient: {
      kind: "layerwise",
      default: 0.01,
      minimum: 0,
      help: "α; 1 · α is the value at perfect balance",
      source:
        "Switch Transformer chose 1e-2 out of 1e-5 … 1e-1, Pangu Ultra MoE has 1e-2; DeepSeek-V3 has 1e-4 over sequences; the Pangu Pro paper gives no value",
    },
    scope: scopeKnob("micro-batch"),
    counts: { kind: "choice", default: "chosen", options: countedChoices, help: "which assignments f counts" },
    probabilities: { kind: "choice", default: "normalised", options: probabilityKinds, help: "what p is the mean of" },
  },
  statistics: ({ counts, probabilities }) => [statisticOf[counts], probabilities === "raw" ? "score" : "probability"],
  evaluate({ shape: { experts, topK }, sums, tokens, countedTokens }, gradients, { counts, probabilities }) {
    const load = sums[statisticOf[counts]];
    const probability = probabilities === "raw" ? "score" : "probability";
    const each = counts === "first" ? 1 : topK;
    let loss = 0;
    for (let i = 0; i < experts; i++) {
      const fraction = (experts * load[i]!) / (each * countedTokens);
      loss += (fraction * sums[probability][i]!) / tokens;
      gradients[probability][i] = fraction / tokens;
    }
    return loss;
  },
});
