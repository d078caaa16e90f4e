/** What a router is: a rule that picks experts for tokens. It does not weigh them (gates.ts does) nor score them (scores.ts). */
import type { Floats } from "../core/floats.ts";
import type { Knobs, KnobValues } from "../core/knob.ts";
import type { Random } from "../core/random.ts";
import type { Choice, TokenRange } from "./assignment.ts";
import type { NoiseSettings } from "./noise.ts";
import type { ScoreFunctionName } from "./scores.ts";

/** The sizes a router works with. K' = topK / groups is how many experts MoGE takes from each group. */
export interface RouterShape {
  /** N, routed experts. */
  readonly experts: number;
  /** K, experts chosen for a token. */
  readonly topK: number;
  /** M, groups of experts; contiguous, group g holds experts [g·N/M, (g+1)·N/M). */
  readonly groups: number;
}

/** What some routers need beside the scores. */
export interface TokenFacts {
  /** False when nothing is learned: some published routers then choose without noise or balancing. Absent: true. */
  readonly training?: boolean;
  /** A stream of this batch; for routers that draw. */
  readonly random?: Random | undefined;
  /** [T] what each token is; for routers that go by it. */
  readonly tokenIds?: ArrayLike<number> | undefined;
  /** [T] the domain or topic that each token comes from; for routers that are told it. */
  readonly domains?: ArrayLike<number> | undefined;
}

/** What a router chooses by, for the tokens of its range. */
export interface SelectionInput<Options = unknown> extends TokenRange, TokenFacts {
  readonly shape: RouterShape;
  /** Values of the router's own knobs. */
  readonly options: Options;
  /** [T, N] where they are known: they order the experts as the scores do, and do not saturate */
  readonly logits?: Floats;
  /** [T, N] each of them rises with its logit */
  readonly scores: Floats;
  /** [N] added to the scores for the choice alone */
  readonly bias?: Floats | undefined;
}

/** What a router guarantees; the property tests hold it to each. No router gives a token the same expert twice. */
export interface RouterPromises {
  /** K different experts for every token; otherwise a token may get fewer, or up to `slots`. */
  readonly takesK: boolean;
  /** K/M experts from every group for every token. */
  readonly perGroup?: boolean;
  /** A token's experts depend on the token alone, not on the batch it comes in. */
  readonly perToken: boolean;
  /** It goes by score + bias, and of equal ones in a group takes the lower id. */
  readonly byScore: boolean;
  /** A selection bias shifts its choice. */
  readonly biased?: boolean;
  /** The choice follows the experts when they are renumbered within groups, or groups among themselves. */
  readonly equivariant: boolean;
  /** It draws: `random` must be given. */
  readonly stochastic?: boolean;
  /** What must be given beside the scores. */
  readonly needs?: readonly ("tokenIds" | "domains")[];
}

export interface Router<Table extends Knobs = Knobs> {
  readonly title: string;
  /** The paper or code that defines the rule. */
  readonly source: string;
  /** One sentence for people on what it does to the balance. */
  readonly summary: string;
  readonly promises: RouterPromises;
  /** Settings of its own. */
  readonly knobs?: Table;
  /** The only score functions it is defined for; absent: all. */
  readonly scoreFunctions?: readonly ScoreFunctionName[];
  /** What is added to the logits while training. */
  noise?(options: KnobValues<Table>): NoiseSettings;
  /** Of a biased router, whether a setting of its own makes it go by no bias after all. */
  ignoresBias?(options: KnobValues<Table>): boolean;
  /** What is wrong with these sizes, or undefined. Numbers in the text. */
  contradiction(shape: RouterShape, options: KnobValues<Table>): string | undefined;
  /** It may consider an expert and not take it, and writes whom it refused; shared weights go by both. */
  readonly refuses?: true;
  /** Places for experts that a token has; absent: K. */
  slots?(shape: RouterShape): number;
  /** Assignments that `tokens` tokens never exceed; absent: tokens · slots. */
  mostAssignments?(tokens: number, shape: RouterShape, options: KnobValues<Table>): number;
  /** Writes all slots of the tokens in the input's range, and no others. */
  select(input: SelectionInput<KnobValues<Table>>, choice: Choice): void;
  /**
   * What the rule itself made of one token, step by step in its own numbers, for people who learn it or check their
   * own implementation. Absent: there is no more to it than comparing scores.
   * @param choice as `select` wrote it
   */
  explain?(input: SelectionInput<KnobValues<Table>>, token: number, choice: Choice): readonly string[];
}

/** Gives the router as it is; the types of its options are inferred from its knobs. */
export const router = <const Table extends Knobs>(entry: Router<Table>): Router<Table> => entry;

/** The complaint that most routers share. */
export const tooManyExperts = ({ experts, topK }: RouterShape): string | undefined =>
  topK > experts ? `topK ${topK} is more than the ${experts} experts there are` : undefined;

/** The complaint of routers that are defined for one number of experts a token. */
export const takesExactly = (count: number, { experts, topK }: RouterShape): string | undefined => {
  if (topK !== count) return `topK is ${topK}, but this router is defined for ${count}`;
  return tooManyExperts({ experts, topK, groups: 1 });
};

/** The complaint of routers that divide the experts into groups. */
export const unequalGroups = ({ experts, groups }: RouterShape): string | undefined =>
  experts % groups === 0 ? undefined : `${experts} experts do not divide into ${groups} groups of equal size`;

/**
 * Makes a function that takes the `count` experts of [from, to) with the largest score + bias of a token, best first,
 * equal ones by lower id, and writes them to the slots that begin at `at`. Where no bias shifts them the logits say
 * which score is larger, also of two that have saturated.
 * Insertion into a short sorted list: exact, no allocation, and quick for the few that are wanted.
 */
export function largestOf({ logits, scores, bias, shape }: SelectionInput, count: number, { experts }: Choice) {
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

/** Every token its `count` best of all experts: what several routers come down to. */
export function selectTopK(input: SelectionInput, choice: Choice, count: number = input.shape.topK): void {
  const take = largestOf(input, count, choice);
  for (let t = input.first; t < input.last; t++) take(t, 0, input.shape.experts, t * choice.slots);
}
