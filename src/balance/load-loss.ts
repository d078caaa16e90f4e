/** Shazeer's load loss: holds a smooth estimate of the experts' loads equal; it needs a router with noise. */
import { routerNamed } from "../routing/routers.ts";
import { balancingLoss, scopeKnob } from "./rule.ts";
import { squaredVariation } from "./variation.ts";

const statisticOf = { shazeer: "smooth-load", tutel: "threshold-load" } as const;

export const loadLoss = balancingLoss({
  kind: "loss",
  title: "smooth-load loss",
  formula: "w · CV²(L),  L_i = Σ_t probability that i is chosen when its noise is drawn again",
  source: "Shazeer et al. 2017, arXiv:1701.06538, eq. 8-11; FastMoE, NoisyGate; Tutel, losses.load_importance_loss",
  knobs: {
    coefficient: {
      kind: "layerwise",
      default: 0.1,
      minimum: 0,
      help: "w",
      source: "Shazeer et al. 2017, w_load of the language models, appendix C",
    },
    scope: scopeKnob("micro-batch"),
    form: {
      kind: "choice",
      default: "shazeer",
      options: {
        shazeer: "clean logit against the K-th noisy one of the others",
        tutel: "softmax score against the K-th noisy logit, as Tutel's code has it",
      },
      help: "what is compared",
    },
  },
  contradiction: ({ selection }) =>
    routerNamed(selection).noise === undefined
      ? `load-loss needs a router that adds noise; ${selection} has none`
      : undefined,
  statistics: ({ form }) => [statisticOf[form]],
  evaluate: ({ sums }, gradients, { form }) => squaredVariation(sums[statisticOf[form]], gradients[statisticOf[form]]),
});
