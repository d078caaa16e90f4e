/** What a router is: a rule that picks experts for tokens. It does not weigh them (gates.ts does) nor score them (scores.ts). */
import type { Floats } from "../core/floats.ts";
import type { Assignment, TokenRange } from "./assignment.ts";

/** The sizes a router works with. K' = topK / groups is how many experts it takes from each group. */
export interface RouterShape {
  /** N, routed experts. */
  readonly experts: number;
  /** K, experts chosen for a token. */
  readonly topK: number;
  /** M, groups of experts; contiguous, group g holds experts [g·N/M, (g+1)·N/M). */
  readonly groups: number;
}

/** What a router chooses by, for the tokens of its range. */
export interface SelectionInput extends TokenRange {
  readonly shape: RouterShape;
  /** [T, N] where they are known: they order the experts as the scores do, and do not saturate */
  readonly logits?: Floats;
  /** [T, N] each of them rises with its logit */
  readonly scores: Floats;
  /** [N] added to the scores for the choice alone */
  readonly bias?: Floats | undefined;
}

/** What a router guarantees; the property tests hold it to each. */
export interface RouterPromises {
  /** K different experts for every token. */
  readonly distinct: boolean;
  /** A token's experts depend on its own scores alone. */
  readonly perToken: boolean;
  /** It goes by score + bias, and of equal ones in a group takes the lower id. */
  readonly byScore: boolean;
  /** The choice follows the experts when they are renumbered within groups, or groups among themselves. */
  readonly equivariant: boolean;
}

export interface Router {
  readonly title: string;
  /** The paper or code that defines the rule. */
  readonly source: string;
  /** One sentence for people on what it does to the balance. */
  readonly summary: string;
  readonly promises: RouterPromises;
  /** What is wrong with these sizes, or undefined. Numbers in the text. */
  contradiction(shape: RouterShape): string | undefined;
  /** Writes the experts of the tokens in the input's range, and no others. */
  select(input: SelectionInput, assignment: Assignment): void;
}

/**
 * Makes a function that takes the `count` experts of [from, to) with the largest score + bias of a token, best first,
 * equal ones by lower id, and writes them to the slots that begin at `at`. Where no bias shifts them the logits say
 * which score is larger, also of two that have saturated.
 * Insertion into a short sorted list: exact, no allocation, and quick for the few that are wanted.
 */
export function largestOf({ logits, scores, bias, shape }: SelectionInput, count: number, { experts }: Assignment) {
  const best = new Float64Array(count); // their values, sorted
  const shifts = bias?.some((shift) => shift !== 0) ? bias : undefined;
  const ranked = shifts === undefined ? (logits ?? scores) : scores;
  return (token: number, from: number, to: number, at: number): void => {
    const row = token * shape.experts;
    let filled = 0;
    for (let expert = from; expert < to; expert++) {
      let value = ranked[row + expert]!;
      if (shifts !== undefined) value += shifts[expert]!;
      if (filled === count && !(value > best[count - 1]!)) continue;
      let slot = filled < count ? filled++ : count - 1;
      while (slot > 0 && value > best[slot - 1]!) {
        best[slot] = best[slot - 1]!;
        experts[at + slot] = experts[at + slot - 1]!;
        slot--;
      }
      best[slot] = value;
      experts[at + slot] = expert;
    }
  };
}
