/**
 * ReMoE: a token goes to every expert with a positive logit, weighed by it. The number of experts is free; an
 * adaptive L1 penalty (balance/relu-sparsity.ts) steers it to K on average. The choice is continuous: an expert comes
 * in with weight zero, so the gradient needs no constant choice.
 */
import { NO_EXPERT } from "./assignment.ts";
import { router } from "./router.ts";

export const relu = router({
  title: "ReLU routing (ReMoE), every expert with a positive logit",
  source: "Wang et al. 2024, ReMoE, arXiv:2412.14711, eq. 5-8",
  summary: "as many experts a token as have a positive logit; K on average only if the sparsity rule holds it there",
  promises: { takesK: false, perToken: true, byScore: false, equivariant: true },
  scoreFunctions: ["relu"],
  contradiction: () => undefined,
  slots: ({ experts }) => experts,
  select({ shape: { experts }, scores, first, last }, choice) {
    for (let t = first; t < last; t++) {
      const at = t * choice.slots;
      choice.experts.fill(NO_EXPERT, at, at + choice.slots);
      let filled = 0;
      for (let expert = 0; expert < experts; expert++) {
        if (scores[t * experts + expert]! > 0) choice.experts[at + filled++] = expert;
      }
    }
  },
  explain: (_input, token, choice) => {
    const chosen = choice.experts.subarray(token * choice.slots, (token + 1) * choice.slots);
    return [`${chosen.filter((expert) => expert !== NO_EXPERT).length} experts have a positive logit`];
  },
});
