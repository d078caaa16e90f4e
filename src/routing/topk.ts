/** Ordinary top-k: the K best experts of all, wherever they are. */
import { router, selectTopK, tooManyExperts } from "./router.ts";

export const topk = router({
  title: "top-k over all experts",
  source: "Shazeer et al. 2017, arXiv:1701.06538; Pangu Pro MoE, arXiv:2505.21411, eq. 1-2",
  summary: "K distinct experts a token; nothing about how many tokens a device gets",
  promises: { takesK: true, perToken: true, byScore: true, biased: true, equivariant: true },
  contradiction: tooManyExperts,
  select: selectTopK,
});
