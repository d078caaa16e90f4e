/**
 * Expert choice: every expert takes the tokens that score highest for it. Balanced by construction, but a token may
 * get no expert or many, and which ones depends on the whole batch, later tokens of its own sequence included.
 */
import { NO_EXPERT } from "./assignment.ts";
import { type RouterShape, router } from "./router.ts";

export const expertChoice = router({
  title: "expert choice, every expert takes its best tokens",
  source: "Zhou et al. 2022, arXiv:2202.09368, section 3.2; flaxformer, ExpertsChooseMaskedRouter",
  summary:
    "all experts get the same load, at the price of tokens without experts and, in a causal model, of looking ahead",
  promises: { takesK: false, perToken: false, byScore: false, equivariant: true },
  knobs: {
    tokensPerExpert: {
      kind: "number",
      default: 0,
      minimum: 0,
      whole: true,
      help: "tokens that each expert takes; 0: T·K/N, rounded down, so that a token gets K experts on average",
      source: "arXiv:2202.09368, with K as its capacity factor",
    },
  },
  contradiction: () => undefined,
  slots: ({ experts }) => experts,
  mostAssignments: (tokens, shape, { tokensPerExpert }) =>
    shape.experts * tokensOfExpert(tokens, shape, tokensPerExpert),
  select({ shape, scores, options, first, last }, choice) {
    const { experts } = shape;
    choice.experts.fill(NO_EXPERT, first * choice.slots, last * choice.slots);
    const count = tokensOfExpert(last - first, shape, options.tokensPerExpert);
    const filled = new Int32Array(last - first);
    const column = new Float64Array(last - first);
    for (let expert = 0; expert < experts; expert++) {
      for (let i = 0; i < column.length; i++) column[i] = scores[(first + i) * experts + expert]!;
      const least = column.toSorted()[column.length - count]!; // of those that it takes, the first of equal ones
      let equal = count;
      for (let i = 0; i < column.length; i++) if (column[i]! > least) equal--;
      for (let i = 0; i < column.length; i++) {
        if (column[i]! < least || (column[i] === least && equal-- <= 0)) continue;
        choice.experts[(first + i) * choice.slots + filled[i]!++] = expert;
      }
    }
  },
  explain({ shape, scores, options, first, last }, token) {
    const { experts } = shape;
    const count = tokensOfExpert(last - first, shape, options.tokensPerExpert);
    const ranks = Array.from({ length: experts }, (_, expert) => {
      const own = scores[token * experts + expert]!;
      let before = 0;
      for (let t = first; t < last; t++) {
        const score = scores[t * experts + expert]!;
        if (score > own || (score === own && t < token)) before++;
      }
      return before + 1;
    });
    return [
      `every expert takes its best ${count} of ${last - first} tokens`,
      `place of this token with expert 0 … ${experts - 1}: ${ranks.join(" ")}`,
    ];
  },
});

const tokensOfExpert = (tokens: number, { experts, topK }: RouterShape, given: number): number =>
  Math.min(tokens, given === 0 ? Math.max(1, Math.floor((tokens * topK) / experts)) : given);
