/** MoGE, Mixture of Grouped Experts: the K' = K/M best experts of every group, so that groups get equal work. */
import { largestOf, type RouterShape, router, tooManyExperts, unequalGroups } from "./router.ts";

/** What is wrong with sizes that groups share equally, or undefined. */
export function groupedContradiction(shape: RouterShape): string | undefined {
  const { topK, groups } = shape;
  const unequal = unequalGroups(shape);
  if (unequal !== undefined) return unequal;
  if (topK % groups !== 0) return `topK ${topK} is not a multiple of groups ${groups}, as MoGE needs`;
  return tooManyExperts(shape);
}

export const moge = router({
  title: "MoGE, the best K/M experts of each of M groups",
  source: "Pangu Pro MoE, arXiv:2505.21411, eq. 5-7",
  summary: "exactly K/M experts from every group for every token, so devices that hold whole groups get equal loads",
  promises: { takesK: true, perGroup: true, perToken: true, byScore: true, biased: true, equivariant: true },
  contradiction: groupedContradiction,
  select(input, choice) {
    const { experts, topK, groups } = input.shape;
    const size = experts / groups;
    const perGroup = topK / groups;
    const take = largestOf(input, perGroup, choice);
    for (let t = input.first; t < input.last; t++) {
      for (let g = 0; g < groups; g++) take(t, g * size, (g + 1) * size, t * choice.slots + g * perGroup);
    }
  },
  explain({ shape: { experts, topK, groups } }, token, choice) {
    const [size, perGroup] = [experts / groups, topK / groups];
    return Array.from({ length: groups }, (_, g) => {
      const at = token * choice.slots + g * perGroup;
      const best = Array.from(choice.experts.subarray(at, at + perGroup)).join(" ");
      return `group ${g}, experts ${g * size} … ${(g + 1) * size - 1}: takes ${best}, K/M = ${topK}/${groups} = ${perGroup}`;
    });
  },
});
