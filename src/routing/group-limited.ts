/**
 * Group-limited routing (device- or node-limited): a token picks its best groups first and its K experts only there,
 * so that it travels to few places. Groups compete; nothing makes their loads equal.
 */
import { NO_EXPERT } from "./assignment.ts";
import { numeral } from "./numerals.ts";
import { largestOf, type RouterShape, router, type SelectionInput, tooManyExperts, unequalGroups } from "./router.ts";

export const groupScores = {
  max: "the best score of the group (DeepSeek-V2, arXiv:2405.04434; DeepSeek-V3's code without a bias)",
  "top-2-sum": "sum of its two best scores (DeepSeek-V3's code with a bias; torchtitan always)",
  "top-share-sum": "sum of its ⌊K/limit⌋ best scores (Megatron-LM; DeepSeek-V3, arXiv:2412.19437, section 2.1.2)",
} as const;

export const groupMasks = {
  exclude: "experts of other groups cannot be chosen (DeepSeek's inference code, Megatron-LM, torchtitan)",
  zero: "experts of other groups count as 0, so they beat negative biased scores (DeepSeek's Hugging Face code)",
} as const;

export const comparedValues = {
  scores: "the scores, with the selection bias added",
  logits: "the logits, without any bias (Megatron-LM with softmax after the choice)",
} as const;

export interface GroupLimitedOptions {
  readonly limit: number;
  readonly compare: keyof typeof comparedValues;
  readonly groupScore: keyof typeof groupScores;
  readonly mask: keyof typeof groupMasks;
}

export const groupLimited = router({
  title: "group-limited top-k, K experts out of the best few groups",
  source: "DeepSeek-V2, arXiv:2405.04434, section 2.2.2; DeepSeek-V3, arXiv:2412.19437, section 2.1.2",
  summary: "bounds the devices that a token travels to; does not balance them",
  promises: { takesK: true, perToken: true, byScore: false, biased: true, equivariant: true },
  knobs: {
    limit: {
      kind: "number",
      default: 4,
      minimum: 1,
      whole: true,
      help: "groups that a token may use",
      source: "DeepSeek-V3, 4 of 8; DeepSeek-V2 has 3 of 8",
    },
    groupScore: { kind: "choice", default: "max", options: groupScores, help: "what groups compete by" },
    compare: { kind: "choice", default: "scores", options: comparedValues, help: "what experts are compared by" },
    mask: { kind: "choice", default: "exclude", options: groupMasks, help: "what becomes of the other groups" },
  },
  ignoresBias: ({ compare }) => compare === "logits",
  contradiction(shape, { limit, groupScore }) {
    const { experts, topK, groups } = shape;
    const unequal = unequalGroups(shape);
    if (unequal !== undefined) return unequal;
    if (limit > groups) return `limit ${limit} is more than the ${groups} groups there are`;
    const candidates = (experts / groups) * limit;
    if (topK > candidates) return `topK ${topK} is more than the ${candidates} experts of ${limit} groups`;
    if (groupScore === "top-share-sum" && topK < limit) {
      return `topK ${topK} is less than limit ${limit}, so top-share-sum has ⌊${topK}/${limit}⌋ = 0 scores to compare groups by`;
    }
    return tooManyExperts(shape);
  },
  select(input, choice) {
    const { shape, options } = input;
    const { experts, topK } = shape;
    const values = new Float64Array(experts);
    const groups = new GroupComparison(shape, options);
    const open = new Float64Array(experts); // of the experts that may be chosen, as if they were the whole batch
    const ids = new Int32Array(experts);
    const take = largestOf({ ...input, logits: open, scores: open, bias: undefined }, topK, choice);
    for (let t = input.first; t < input.last; t++) {
      compareInGroups(input, t, values, groups);
      let count = 0;
      for (let expert = 0; expert < experts; expert++) {
        if (options.mask === "exclude" && !groups.isKept[groupOf(expert, shape)]) continue;
        open[count] = values[expert]!;
        ids[count++] = expert;
      }
      const at = t * choice.slots;
      choice.experts.fill(NO_EXPERT, at, at + topK); // stays where the groups hold fewer than K
      take(0, 0, count, at);
      for (let j = at; j < at + topK; j++) {
        const place = choice.experts[j]!;
        if (place !== NO_EXPERT) choice.experts[j] = ids[place]!;
      }
    }
  },
  explain(input, token) {
    const { shape, options } = input;
    const values = new Float64Array(shape.experts);
    writeValues(input, token, values);
    const groups = new GroupComparison(shape, options);
    groups.compare(values);
    const size = shape.experts / shape.groups;
    return [
      `experts are compared by ${comparedValues[options.compare]}`,
      `group score: ${groupScores[options.groupScore]}`,
      ...Array.from(
        groups.score,
        (score, g) =>
          `group ${g}, experts ${g * size} … ${(g + 1) * size - 1}: ${numeral(score)}${groups.isKept[g] ? ", kept" : ""}`,
      ),
      `the best ${options.limit} of ${shape.groups} groups are kept; ${groupMasks[options.mask]}`,
    ];
  },
});

const groupOf = (expert: number, { experts, groups }: RouterShape): number => Math.floor((expert * groups) / experts);

/**
 * What a token's experts are compared by once its groups are picked.
 * @param values [N] written @param groups written
 */
export function compareInGroups(
  input: SelectionInput<GroupLimitedOptions>,
  token: number,
  values: Float64Array,
  groups: GroupComparison = new GroupComparison(input.shape, input.options),
): void {
  const { shape, options } = input;
  writeValues(input, token, values);
  groups.compare(values);
  const masked = options.mask === "zero" ? 0 : Number.NEGATIVE_INFINITY;
  for (let expert = 0; expert < shape.experts; expert++) {
    if (!groups.isKept[groupOf(expert, shape)]) values[expert] = masked;
  }
}

/** What groups are compared by. @param values [N] written */
function writeValues(input: SelectionInput<GroupLimitedOptions>, token: number, values: Float64Array): void {
  const { logits, scores, bias, shape, options } = input;
  const row = token * shape.experts;
  const byLogit = options.compare === "logits" && logits !== undefined;
  for (let expert = 0; expert < shape.experts; expert++) {
    values[expert] = byLogit ? logits[row + expert]! : scores[row + expert]! + (bias?.[expert] ?? 0);
  }
}

/** The groups of one token after another, compared in place. */
class GroupComparison {
  /** [M] */
  readonly score: Float64Array;
  /** [M] 1 for a group that is among the best `limit`; equal ones by lower number */
  readonly isKept: Uint8Array;
  private readonly limit: number;
  /** Of its experts, how many make the score of a group. */
  private readonly counted: number;
  private readonly best: Float64Array;

  constructor({ groups, experts, topK }: RouterShape, { limit, groupScore }: GroupLimitedOptions) {
    const counted = { max: 1, "top-2-sum": 2, "top-share-sum": Math.floor(topK / limit) }[groupScore];
    this.score = new Float64Array(groups);
    this.isKept = new Uint8Array(groups);
    this.limit = limit;
    this.counted = Math.min(counted, experts / groups);
    this.best = new Float64Array(this.counted);
  }

  /** @param values [N] */
  compare(values: Float64Array): void {
    const { score, isKept } = this;
    const size = values.length / score.length;
    for (let g = 0; g < score.length; g++) score[g] = this.sumOfBest(values, g * size, (g + 1) * size);
    isKept.fill(0);
    for (let kept = 0; kept < this.limit; kept++) {
      let best = -1;
      for (let g = 0; g < score.length; g++) {
        if (!isKept[g] && (best === -1 || score[g]! > score[best]!)) best = g;
      }
      isKept[best] = 1;
    }
  }

  /** Of values[from … to), largest first. */
  private sumOfBest(values: Float64Array, from: number, to: number): number {
    const { best, counted } = this;
    best.fill(Number.NEGATIVE_INFINITY);
    for (let i = from; i < to; i++) {
      let slot = counted;
      for (; slot > 0 && values[i]! > best[slot - 1]!; slot--) if (slot < counted) best[slot] = best[slot - 1]!;
      if (slot < counted) best[slot] = values[i]!;
    }
    let sum = 0;
    for (let i = 0; i < counted; i++) sum += best[i]!;
    return sum;
  }
}
