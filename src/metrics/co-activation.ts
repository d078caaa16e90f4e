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
