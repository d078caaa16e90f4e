/** Shazeer's importance loss: holds the total gate weight of the experts equal. */
import { balancingLoss, scopeKnob } from "./rule.ts";
import { squaredVariation } from "./variation.ts";

const statisticOf = { weights: "importance", probabilities: "clean-probability" } as const;

export const importanceLoss = balancingLoss({
  kind: "loss",
  title: "importance loss",
  formula: "w · CV²(I),  I_i = Σ_t weight of i;  CV² = unbiased variance / (mean² + 1e-10)",
  source: "Shazeer et al. 2017, arXiv:1701.06538, eq. 6-7; FastMoE, NoisyGate; Tutel, losses.importance_loss",
  knobs: {
    coefficient: {
      kind: "layerwise",
      default: 0.1,
      minimum: 0,
      help: "w",
      source: "Shazeer et al. 2017, w_importance of the language models, appendix C",
    },
    scope: scopeKnob("micro-batch"),
    of: {
      kind: "choice",
      default: "weights",
      options: {
        weights: "gate weights, zero where an expert is not chosen (Shazeer, FastMoE)",
        probabilities: "softmax of all logits without noise (Tutel)",
      },
      help: "what is added up",
    },
  },
  statistics: ({ of }) => [statisticOf[of]],
  evaluate: ({ sums }, gradients, { of }) => squaredVariation(sums[statisticOf[of]], gradients[statisticOf[of]]),
});
