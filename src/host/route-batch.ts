/** Routes a matrix of any size with the batch router: block by block, so that its memory stays small beside the matrix. */
import { batchRouterRefusal } from "../engine/batch-router.ts";
import { NO_EXPERT } from "../routing/assignment.ts";
import type { Routing, RoutingSettings } from "../routing/route.ts";
import type { RouterShape } from "../routing/router.ts";
import { openBatchRouter } from "./open-batch-router.ts";

/** Tokens of a block have about this many logits: 16 MB. */
const BLOCK_LOGITS = 4_194_304;

/**
 * What `newRouting` and `route` give without bias, noise or capacity: the same experts, with weights and scores in single
 * precision.
 * @param logits [T, N] no NaN and no +∞, and a finite logit for every token
 * @returns undefined where the kernels cannot route so
 */
export async function routeBatch(
  logits: Float32Array,
  shape: RouterShape,
  settings: RoutingSettings,
): Promise<Routing | undefined> {
  if (batchRouterRefusal(shape, settings) !== undefined) return undefined;
  const { experts: width, topK } = shape;
  const tokens = logits.length / width;
  const block = Math.min(tokens, Math.ceil(BLOCK_LOGITS / width));
  const threads = block < tokens ? undefined : 1; // other threads take longer to start than one block to route
  const router = await openBatchRouter({ shape, settings, tokens: block, scores: true }, threads);
  const experts = new Int32Array(tokens * topK).fill(NO_EXPERT);
  const weights = new Float32Array(tokens * topK);
  const scores = new Float32Array(logits.length);
  for (let first = 0; first < tokens; first += block) {
    const count = Math.min(block, tokens - first);
    router.logits.set(logits.subarray(first * width, (first + count) * width));
    const routed = router.route(count);
    experts.set(routed.assignment.experts, first * topK);
    weights.set(routed.assignment.weights, first * topK);
    scores.set(routed.scores!, first * width);
  }
  router.close();
  return { shape, settings, logits, scores, chosen: experts, assignment: { tokens, slots: topK, experts, weights } };
}
