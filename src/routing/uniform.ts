/** Uniform random routing: the baseline that has no preference at all. */
import { router, tooManyExperts } from "./router.ts";

export const uniform = router({
  title: "uniformly random experts",
  source: "baseline; its imbalance is that of the closed forms in metrics/expected-imbalance.ts",
  summary: "what chance alone does to the loads: unequal in small batches, equal in the long run",
  promises: { takesK: true, perToken: true, byScore: false, equivariant: false, stochastic: true },
  contradiction: tooManyExperts,
  select({ shape: { experts, topK }, random, first, last }, choice) {
    const deck = Int32Array.from({ length: experts }, (_, expert) => expert);
    for (let t = first; t < last; t++) {
      for (let j = 0; j < topK; j++) {
        const other = j + random!.below(experts - j); // one step of Fisher and Yates' shuffle
        const drawn = deck[other]!;
        deck[other] = deck[j]!;
        deck[j] = drawn;
        choice.experts[t * choice.slots + j] = drawn;
      }
    }
  },
  explain: ({ shape: { experts, topK } }) => [
    `${topK} of ${experts} experts drawn by chance; the scores only weigh them`,
  ],
});
