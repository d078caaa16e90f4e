/** Hash routing: the experts of a token are fixed by what the token is. Nothing is learned about where it goes. */
import { router, tooManyExperts } from "./router.ts";

export const hashFunctions = {
  random: "K experts drawn once for every token id",
  modulo: "experts id mod N, id + 1 mod N, …",
} as const;

export const hash = router({
  title: "hash of the token",
  source: "Roller et al. 2021, Hash Layers, arXiv:2106.04426, section 3.1",
  summary: "as balanced as the frequencies of the tokens are: frequent bytes make hot experts for ever",
  promises: { takesK: true, perToken: true, byScore: false, equivariant: false, needs: ["tokenIds"] },
  knobs: {
    hash: { kind: "choice", default: "random", options: hashFunctions, help: "from token id to experts" },
    salt: { kind: "number", default: 0, minimum: 0, whole: true, help: "another number, another table of `random`" },
  },
  contradiction: tooManyExperts,
  select({ shape: { experts, topK }, options, tokenIds, first, last }, choice) {
    for (let t = first; t < last; t++) {
      const id = tokenIds![t]!;
      const at = t * choice.slots;
      for (let j = 0; j < topK; j++) {
        let expert = options.hash === "modulo" ? (id + j) % experts : mixed(id, j, options.salt) % experts;
        while (choice.experts.subarray(at, at + j).includes(expert)) expert = (expert + 1) % experts;
        choice.experts[at + j] = expert;
      }
    }
  },
  explain: ({ options, tokenIds }, token) => [
    `token id ${tokenIds![token]}: ${hashFunctions[options.hash]}; the scores only weigh the experts`,
  ],
});

/** A well-mixed 32-bit number of three: the finaliser of MurmurHash3 (Appleby, public domain) after each. */
function mixed(...parts: readonly number[]): number {
  let state = 0x9e3779b9;
  for (const part of parts) {
    state = Math.imul(state ^ part, 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state ^= state >>> 16;
  }
  return state >>> 0;
}
