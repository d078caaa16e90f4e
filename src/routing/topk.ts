/** Ordinary top-k: the K best experts of all, wherever they are. */
import { type Router, selectLargest } from "./router.ts";

export const topk: Router = {
  title: "top-k over all experts",
  source: "Shazeer et al. 2017, arXiv:1701.06538; Pangu Pro MoE, arXiv:2505.21411, eq. 1-2",
  promise: "K distinct experts a token; nothing about how many tokens a device gets",
  contradiction({ experts, topK }) {
    return topK > experts ? `topK ${topK} is more than the ${experts} experts there are` : undefined;
  },
  select(scores, bias, first, last, { experts, topK }, chosen) {
    const best = new Float64Array(topK);
    for (let t = first; t < last; t++) {
      selectLargest(scores, t * experts, bias, 0, experts, topK, best, chosen, t * topK);
    }
  },
};
