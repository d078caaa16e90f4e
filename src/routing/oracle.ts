/** The oracle: a token's experts are those of the domain it comes from, which the router is told. */
import { router, tooManyExperts } from "./router.ts";

export const oracle = router({
  title: "oracle, experts by the true topic",
  source: "own baseline for data whose topics are known: perfect specialisation",
  summary: "each topic has K experts for itself while there are enough, so loads are as unequal as the topics' shares",
  promises: { takesK: true, perToken: true, byScore: false, equivariant: false, needs: ["domains"] },
  contradiction: tooManyExperts,
  select({ shape: { experts, topK }, domains, first, last }, choice) {
    for (let t = first; t < last; t++) {
      for (let j = 0; j < topK; j++) choice.experts[t * choice.slots + j] = (domains![t]! * topK + j) % experts;
    }
  },
  explain: ({ shape: { topK, experts }, domains }, token) => [
    `domain ${domains![token]}: experts (domain · K + j) mod N = (${domains![token]} · ${topK} + j) mod ${experts}, j = 0 … ${topK - 1}`,
  ],
});
