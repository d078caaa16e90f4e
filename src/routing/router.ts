/** What a router is: a rule that picks experts for tokens. It does not weigh them (gates.ts does) nor score them (scores.ts). */
import type { Floats } from "../core/floats.ts";

/** The sizes a router works with. K' = topK / groups is how many experts it takes from each group. */
export interface RouterShape {
  /** N, routed experts. */
  readonly experts: number;
  /** K, experts chosen for a token. */
  readonly topK: number;
  /** M, groups of experts; contiguous, group g holds experts [g·N/M, (g+1)·N/M). */
  readonly groups: number;
}

export interface Router {
  readonly title: string;
  /** The paper or code that defines the rule. */
  readonly source: string;
  /** One sentence on what it guarantees. */
  readonly promise: string;
  /** What is wrong with these sizes, or undefined. Numbers in the text. */
  contradiction(shape: RouterShape): string | undefined;
  /**
   * Picks experts for the tokens [first, last).
   * @param scores [T, N]
   * @param bias [N] added to the scores for the choice alone, or undefined
   * @param chosen [T, K] expert ids, written; an equal score goes to the lower id
   */
  select(
    scores: Floats,
    bias: Floats | undefined,
    first: number,
    last: number,
    shape: RouterShape,
    chosen: Int32Array,
  ): void;
}

/**
 * The `count` experts of [from, to) with the largest score + bias, best first, equal ones by lower id.
 * Insertion into a short sorted list: exact, no allocation, and quick for the few that are wanted.
 * @param scores [.., N] of which the row starts at `row`
 * @param best [count] scratch for the sorted values
 * @param chosen written at [at, at + count)
 */
export function selectLargest(
  scores: Floats,
  row: number,
  bias: Floats | undefined,
  from: number,
  to: number,
  count: number,
  best: Float64Array,
  chosen: Int32Array,
  at: number,
): void {
  let filled = 0;
  for (let expert = from; expert < to; expert++) {
    let value = scores[row + expert]!;
    if (bias !== undefined) value += bias[expert]!;
    if (filled === count && !(value > best[count - 1]!)) continue;
    let slot = filled < count ? filled++ : count - 1;
    while (slot > 0 && value > best[slot - 1]!) {
      best[slot] = best[slot - 1]!;
      chosen[at + slot] = chosen[at + slot - 1]!;
      slot--;
    }
    best[slot] = value;
    chosen[at + slot] = expert;
  }
}
