/** Which experts are chosen together. */
import { type Choice, NO_EXPERT } from "../routing/assignment.ts";

/**
 * Tokens that choose both experts of a pair; on the diagonal, tokens that choose the expert at all.
 * @param experts N @returns [N, N] symmetric
 */
export function pairCounts({ tokens, slots, experts: chosen }: Choice, experts: number): Float64Array {
  const counts = new Float64Array(experts * experts);
  for (let t = 0; t < tokens; t++) {
    for (let i = t * slots; i < (t + 1) * slots; i++) {
      if (chosen[i] === NO_EXPERT) continue;
      const row = chosen[i]! * experts;
      for (let j = t * slots; j < (t + 1) * slots; j++) {
        if (chosen[j] !== NO_EXPERT) counts[row + chosen[j]!] = counts[row + chosen[j]!]! + 1;
      }
    }
  }
  return counts;
}

/**
 * Co-activation, C_ij = tokens that choose i and j / tokens that choose i: OLMoE, arXiv:2409.02060, section 5.2. Not
 * symmetric; (K−1)/(N−1) off the diagonal by chance. Rows of experts that nothing chooses are NaN.
 * @returns [N, N] 1 on the diagonal
 */
export function coActivation(choice: Choice, experts: number): Float64Array {
  const counts = pairCounts(choice, experts);
  return counts.map((count, at) => count / counts[Math.floor(at / experts) * (experts + 1)]!);
}

/**
 * How firmly experts come in pairs: how often the favourite companion of an expert is chosen with it, mean over the
 * experts i that are used of max_{j≠i} C_ij; NaN if none is.
 * @param counts [N, N] of pairCounts
 */
export function strongestCompanion(counts: Float64Array, experts: number): number {
  let total = 0;
  let used = 0;
  for (let i = 0; i < experts; i++) {
    const alone = counts[i * experts + i]!;
    if (alone === 0) continue;
    let most = 0;
    for (let j = 0; j < experts; j++) if (j !== i) most = Math.max(most, counts[i * experts + j]!);
    total += most / alone;
    used++;
  }
  return total / used;
}

/**
 * Of the pairs of experts that tokens choose, the share that lies on one device; (N/D − 1)/(N − 1) by chance.
 * @param counts [N, N] of pairCounts @param deviceOf [N]
 */
export function togetherOnDevice(counts: Float64Array, deviceOf: ArrayLike<number>): number {
  let same = 0;
  let all = 0;
  forEachPair(deviceOf.length, (a, b) => {
    const count = counts[a * deviceOf.length + b]!;
    all += count;
    if (deviceOf[a] === deviceOf[b]) same += count;
  });
  return same / all;
}

/** Each pair once, the lower number first. */
export function forEachPair(experts: number, visit: (a: number, b: number) => void): void {
  for (let a = 0; a < experts; a++) for (let b = a + 1; b < experts; b++) visit(a, b);
}
