/**
 * Vote-pruned MoGE, an inference variant for small devices: the tokens of a batch vote for the best expert of each
 * group, and only the V experts with the most votes stay, so that fewer weights are read.
 */
import { type Choice, NO_EXPERT } from "./assignment.ts";
import { groupedContradiction } from "./moge.ts";
import { largestOf, router, type SelectionInput } from "./router.ts";

export const mogeVoted = router({
  title: "MoGE among the experts that the batch voted for",
  source: "vllm-ascend, models/pangu_moe.py, pangu_group8_topk with num_voted_experts (MERRouter for the 300I Duo)",
  summary: "balanced over groups as MoGE is, but unevenly within them, and a token's expert depends on its batch",
  promises: { takesK: true, perGroup: true, perToken: false, byScore: false, equivariant: false },
  knobs: {
    voted: {
      kind: "number",
      default: 5,
      minimum: 1,
      whole: true,
      help: "V, experts of each group that stay; all of them: plain MoGE",
      source: "vllm-ascend on the 300I Duo",
    },
  },
  contradiction(shape) {
    if (shape.topK === shape.groups) return groupedContradiction(shape);
    return `topK ${shape.topK} differs from groups ${shape.groups}, but votes are defined for one expert a group`;
  },
  select(input, choice) {
    const { experts, groups } = input.shape;
    const size = experts / groups;
    const take = largestOf({ ...input, bias: undefined }, 1, choice);
    for (let t = input.first; t < input.last; t++) {
      for (let g = 0; g < groups; g++) take(t, g * size, (g + 1) * size, t * choice.slots + g);
    }
    const stays = mostVoted(input, choice);
    for (let t = input.first; t < input.last; t++) {
      for (let g = 0; g < groups; g++) {
        choice.experts[t * choice.slots + g] = bestThatStays(input, stays, t, g * size, (g + 1) * size);
      }
    }
  },
  explain({ shape, options, first, last }, token, choice) {
    const { groups, experts } = shape;
    const chosen = Array.from(choice.experts.subarray(token * choice.slots, token * choice.slots + groups));
    return [
      `the ${last - first} tokens of the batch vote for their best expert of each group of ${experts / groups}`,
      `the ${options.voted} of each group with the most votes stay, the others count as 0`,
      ...chosen.map((expert, g) => `group ${g}: takes ${expert}`),
    ];
  },
});

/** [N] whether the expert is among the V of its group with the most votes; equal ones by lower id. */
function mostVoted({ shape, options, first, last }: SelectionInput<{ readonly voted: number }>, votes: Choice) {
  const { experts, groups } = shape;
  const size = experts / groups;
  const count = new Int32Array(experts);
  for (let j = first * votes.slots; j < last * votes.slots; j++) count[votes.experts[j]!]!++;
  const ranked = [...count.keys()].sort((a, b) => count[b]! - count[a]! || a - b);
  const stays = new Array<boolean>(experts).fill(false);
  for (let g = 0; g < groups; g++) {
    for (const expert of ranked.filter((each) => Math.floor(each / size) === g).slice(0, options.voted)) {
      stays[expert] = true;
    }
  }
  return stays;
}

/** The best score of those that stay, where the others count as zero, as in the source; equal ones by lower id. */
function bestThatStays(
  { scores, shape }: SelectionInput,
  stays: readonly boolean[],
  token: number,
  from: number,
  to: number,
): number {
  let best = NO_EXPERT;
  let largest = Number.NEGATIVE_INFINITY;
  for (let expert = from; expert < to; expert++) {
    const value = stays[expert] ? scores[token * shape.experts + expert]! : 0;
    if (value > largest) [best, largest] = [expert, value];
  }
  return best;
}
