/** MoGE, Mixture of Grouped Experts: the K' = K/M best experts of every group, so that groups get equal work. */
import { largestOf, type Router } from "./router.ts";

export const moge: Router = {
  title: "MoGE, the best K/M experts of each of M groups",
  source: "Pangu Pro MoE, arXiv:2505.21411, eq. 5-7",
  summary: "exactly K/M experts from every group for every token, so devices that hold whole groups get equal loads",
  promises: { distinct: true, perToken: true, byScore: true, equivariant: true },
  contradiction({ experts, topK, groups }) {
    if (experts % groups !== 0) return `${experts} experts do not divide into ${groups} groups of equal size`;
    if (topK % groups !== 0) return `topK ${topK} is not a multiple of groups ${groups}, as MoGE needs`;
    if (topK > experts) return `topK ${topK} is more than the ${experts} experts there are`;
    return undefined;
  },
  select(input, assignment) {
    const { experts, topK, groups } = input.shape;
    const size = experts / groups;
    const perGroup = topK / groups;
    const take = largestOf(input, perGroup, assignment);
    for (let t = input.first; t < input.last; t++) {
      for (let g = 0; g < groups; g++) take(t, g * size, (g + 1) * size, t * assignment.slots + g * perGroup);
    }
  },
};
