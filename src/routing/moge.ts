/** MoGE, Mixture of Grouped Experts: the K' = K/M best experts of every group, so that groups get equal work. */
import { type Router, selectLargest } from "./router.ts";

export const moge: Router = {
  title: "MoGE, the best K/M experts of each of M groups",
  source: "Pangu Pro MoE, arXiv:2505.21411, eq. 5-7",
  promise: "exactly K/M experts from every group for every token, so devices that hold whole groups get equal loads",
  contradiction({ experts, topK, groups }) {
    if (experts % groups !== 0) return `${experts} experts do not divide into ${groups} groups of equal size`;
    if (topK % groups !== 0) return `topK ${topK} is not a multiple of groups ${groups}, as MoGE needs`;
    if (topK > experts) return `topK ${topK} is more than the ${experts} experts there are`;
    return undefined;
  },
  select(scores, bias, first, last, { experts, topK, groups }, chosen) {
    const groupSize = experts / groups;
    const perGroup = topK / groups;
    const best = new Float64Array(perGroup);
    for (let t = first; t < last; t++) {
      for (let g = 0; g < groups; g++) {
        const from = g * groupSize;
        const at = t * topK + g * perGroup;
        selectLargest(scores, t * experts, bias, from, from + groupSize, perGroup, best, chosen, at);
      }
    }
  },
};
