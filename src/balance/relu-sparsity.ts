/**
 * ReMoE's regularisation: an L1 penalty on the scores whose strength rises while tokens use more than K experts on
 * average and falls while they use fewer. Weighted by the load it also pushes tokens off busy experts.
 */
import { balancingLoss, scopeKnob } from "./rule.ts";

export const reluSparsity = balancingLoss({
  kind: "loss",
  title: "adaptive L1 penalty on scores",
  formula:
    "α λ Σ_i f_i s_i,  s_i = mean score of i,  f_i = N/(K·T) · assignments of i (or 1);  after a step λ ← λ · growth^sign(assignments/(T·K) − 1)",
  source: "Wang et al. 2024, ReMoE, arXiv:2412.14711, eq. 9-14",
  knobs: {
    coefficient: { kind: "layerwise", default: 1, minimum: 0, help: "α, on top of the adaptive λ" },
    scope: scopeKnob("micro-batch"),
    start: {
      kind: "number",
      default: 1e-8,
      minimum: 0,
      help: "λ before the first step",
      source: "ReMoE, arXiv:2412.14711, section 3.3",
    },
    growth: {
      kind: "number",
      default: 1.2,
      minimum: 1,
      help: "factor by which λ changes in a step",
      source: "ReMoE, arXiv:2412.14711, section 3.3",
    },
    balanced: {
      kind: "boolean",
      default: true,
      help: "weigh each expert's scores by its load (eq. 13); else plain L1",
    },
  },
  state: {
    initial: ({ start }) => start,
    next(lambda, layers, { topK }, { growth }) {
      let [assignments, wanted] = [0, 0];
      for (const { load, tokens } of layers) {
        for (let i = 0; i < load.length; i++) assignments += load[i]!;
        wanted += tokens * topK;
      }
      return assignments > wanted ? lambda * growth : assignments < wanted ? lambda / growth : lambda;
    },
  },
  statistics: () => ["load", "score"],
  evaluate({ shape: { experts, topK }, sums, tokens, countedTokens, state }, gradients, { balanced }) {
    let loss = 0;
    for (let i = 0; i < experts; i++) {
      const weight = balanced ? (experts * sums.load[i]!) / (topK * countedTokens) : 1;
      loss += (state * weight * sums.score[i]!) / tokens;
      gradients.score[i] = (state * weight) / tokens;
    }
    return loss;
  },
});
