/** Noisy top-k: ordinary top-k of logits to which training adds noise, so that neighbouring experts get tried. */
import { noiseKinds } from "./noise.ts";
import { router, selectTopK, tooManyExperts } from "./router.ts";

export const noisyTopk = router({
  title: "noisy top-k",
  source: "Shazeer et al. 2017, arXiv:1701.06538, eq. 3-5; FastMoE, NoisyGate; Tutel's gate noise",
  summary: "top-k of noisy logits; the noise spreads tokens and makes a smooth estimate of the load possible",
  promises: { takesK: true, perToken: true, byScore: true, biased: true, equivariant: true, stochastic: true },
  knobs: {
    noise: {
      kind: "choice",
      default: "learned",
      options: noiseKinds,
      help: "what the standard deviation of the noise is",
    },
    scale: {
      kind: "number",
      default: 0.01,
      minimum: 0,
      help: "deviation of `gaussian` noise; what that of `learned` noise never falls below",
      source: "FastMoE, NoisyGate, noise_epsilon",
    },
  },
  noise: ({ noise, scale }) => ({ kind: noise, scale }),
  contradiction: tooManyExperts,
  select: selectTopK,
});
