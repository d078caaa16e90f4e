/** Ordinary top-k: the K best experts of all, wherever they are. */
import { largestOf, type Router } from "./router.ts";

export const topk: Router = {
  title: "top-k over all experts",
  source: "Shazeer et al. 2017, arXiv:1701.06538; Pangu Pro MoE, arXiv:2505.21411, eq. 1-2",
  summary: "K distinct experts a token; nothing about how many tokens a device gets",
  promises: { distinct: true, perToken: true, byScore: true, equivariant: true },
  contradiction({ experts, topK }) {
    return topK > experts ? `topK ${topK} is more than the ${experts} experts there are` : undefined;
  },
  select(input, assignment) {
    const { experts, topK } = input.shape;
    const take = largestOf(input, topK, assignment);
    for (let t = input.first; t < input.last; t++) take(t, 0, experts, t * assignment.slots);
  },
};
