/** GShard's top-2: the best expert, and the second best by chance or always. */
import { log } from "../core/elementary.ts";
import type { Random } from "../core/random.ts";
import { NO_EXPERT } from "./assignment.ts";
import { numeral } from "./numerals.ts";
import { router, type SelectionInput, selectTopK, takesExactly } from "./router.ts";

export const secondExpertPolicies = {
  all: "always taken (DeepSpeed and Hugging Face NLLB by default)",
  random:
    "taken with probability min(1, 2 g₂), g₂ its share of the two scores (GShard, arXiv:2006.16668, algorithm 1, line 17)",
  "random-raw":
    "taken with probability min(1, 2 p₂), p₂ its score as it is (Hugging Face NLLB, second_expert_policy random)",
  sampled: "the best of the others after Gumbel noise on the logits (DeepSpeed, top2_2nd_expert_sampling)",
} as const;

export const gshardTop2 = router({
  title: "GShard's top-2",
  source: "Lepikhin et al. 2020, GShard, arXiv:2006.16668, algorithm 1; DeepSpeed, sharded_moe.top2gating",
  summary: "two experts a token, the second perhaps by chance; first choices go before second ones at the capacity",
  promises: { takesK: false, perToken: true, byScore: false, biased: true, equivariant: false, stochastic: true },
  knobs: {
    second: {
      kind: "choice",
      default: "random",
      options: secondExpertPolicies,
      help: "what becomes of the second expert",
    },
  },
  contradiction: (shape) => takesExactly(2, shape),
  refuses: true,
  select(input, choice) {
    const { options, training = true, random } = input;
    selectTopK(input, choice);
    choice.refused?.fill(NO_EXPERT, input.first * choice.slots, input.last * choice.slots);
    if (options.second === "all" || !training) return;
    for (let t = input.first; t < input.last; t++) {
      const [first, second] = [t * choice.slots, t * choice.slots + 1];
      if (options.second === "sampled") {
        choice.experts[second] = sampledBeside(choice.experts[first]!, input, t);
        continue;
      }
      const scoreOf = (slot: number) => input.scores[t * input.shape.experts + choice.experts[slot]!]!;
      const of = options.second === "random" ? scoreOf(first) + scoreOf(second) : 1;
      if (2 * scoreOf(second) > random!.uniform() * of) continue;
      if (choice.refused) choice.refused[second] = choice.experts[second]!;
      choice.experts[second] = NO_EXPERT;
    }
  },
  explain({ options, scores, shape, training = true }, token, choice) {
    const [first, second] = choice.experts.subarray(token * choice.slots, token * choice.slots + 2);
    const { all, ...byChance } = secondExpertPolicies;
    const policy = options.second === "all" || !training ? all : byChance[options.second];
    const lines = [`first expert: ${first}, the best score`, `second expert: ${policy}`];
    if (options.second === "all" || options.second === "sampled" || !training) return lines;
    const row = Array.from(scores.subarray(token * shape.experts, (token + 1) * shape.experts));
    const [p1 = 0, p2 = 0] = row.sort((a, b) => b - a);
    const chance = options.second === "random" ? (2 * p2) / (p1 + p2) : 2 * p2;
    const outcome = second === NO_EXPERT ? "not taken" : `taken: ${second}`;
    const formula =
      options.second === "random" ? `2 · ${numeral(p2)} / (${numeral(p1)} + ${numeral(p2)})` : `2 · ${numeral(p2)}`;
    return [...lines, `its probability: min(1, ${formula}) = ${numeral(Math.min(1, chance))}; drawn: ${outcome}`];
  },
});

/** The expert with the largest logit + Gumbel noise, another than the first. */
function sampledBeside(first: number, { logits, scores, shape, random }: SelectionInput, token: number): number {
  let best = NO_EXPERT;
  let largest = Number.NEGATIVE_INFINITY;
  for (let expert = 0; expert < shape.experts; expert++) {
    const noise = gumbel(random!); // drawn for the first, too, as the source does
    const value = (logits ?? scores)[token * shape.experts + expert]! + noise;
    if (expert !== first && (value > largest || best === NO_EXPERT)) [best, largest] = [expert, value];
  }
  return best;
}

/** A standard Gumbel number, −ln(−ln u). */
function gumbel(random: Random): number {
  let u = random.uniform();
  while (u === 0) u = random.uniform();
  return -log(-log(u));
}
