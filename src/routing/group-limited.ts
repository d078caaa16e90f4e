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
  source: "DeepSeek-V2, arXiv:2405.04434, section 2.2.1; DeepSeek-V3, arXiv:2412.19437, section 2.1.2",
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
    const open = new Float64Array(experts); // of the experts that may be chosen, as if they were the whole batch
    const take = largestOf({ ...input, logits: open, scores: open, bias: undefined }, topK, choice);
    for (let t = input.first; t < input.last; t++) {
      const isKept = compareInGroups(input, t, values);
      const ids: number[] = [];
      for (let expert = 0; expert < experts; expert++) {
        if (options.mask === "exclude" && !isKept[groupOf(expert, shape)]) continue;
        open[ids.length] = values[expert]!;
        ids.push(expert);
      }
      const at = t * choice.slots;
      choice.experts.fill(NO_EXPERT, at, at + topK); // stays where the groups hold fewer than K
      take(0, 0, ids.length, at);
      for (let j = at; j < at + topK; j++) choice.experts[j] = ids[choice.experts[j]!] ?? NO_EXPERT;
    }
  },
  explain(input, token) {
    const { shape, options } = input;
    const values = new Float64Array(shape.experts);
    writeValues(input, token, values);
    const isKept = bestGroups(values, shape, options);
    const size = shape.experts / shape.groups;
    return [
      `experts are compared by ${comparedValues[options.compare]}`,
      `group score: ${groupScores[options.groupScore]}`,
      ...scoresOfGroups(values, shape, options).map(
        (score, g) =>
          `group ${g}, experts ${g * size} … ${(g + 1) * size - 1}: ${numeral(score)}${isKept[g] ? ", kept" : ""}`,
      ),
      `the best ${options.limit} of ${shape.groups} groups are kept; ${groupMasks[options.mask]}`,
    ];
  },
});

const groupOf = (expert: number, { experts, groups }: RouterShape): number => Math.floor((expert * groups) / experts);

/**
 * What a token's experts are compared by once its groups are picked.
 * @param values [N] written @returns [M] whether each group is picked
 */
export function compareInGroups(
  input: SelectionInput<GroupLimitedOptions>,
  token: number,
  values: Float64Array,
): boolean[] {
  const { shape, options } = input;
  writeValues(input, token, values);
  const isKept = bestGroups(values, shape, options);
  for (let expert = 0; expert < shape.experts; expert++) {
    if (!isKept[groupOf(expert, shape)]) values[expert] = options.mask === "zero" ? 0 : Number.NEGATIVE_INFINITY;
  }
  return isKept;
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

/** [M] */
function scoresOfGroups(
  values: Float64Array,
  { groups, topK }: RouterShape,
  { limit, groupScore }: GroupLimitedOptions,
): number[] {
  const size = values.length / groups;
  const counted = { max: 1, "top-2-sum": 2, "top-share-sum": Math.floor(topK / limit) }[groupScore];
  return Array.from({ length: groups }, (_, g) => {
    const ascending = values.slice(g * size, (g + 1) * size).sort();
    let sum = 0;
    for (let i = 1; i <= Math.min(counted, size); i++) sum += ascending[size - i]!;
    return sum;
  });
}

/** [M] whether a group is among the best `limit`; equal ones by lower number. */
function bestGroups(values: Float64Array, shape: RouterShape, options: GroupLimitedOptions): boolean[] {
  const score = scoresOfGroups(values, shape, options);
  const best = [...score.keys()].sort((a, b) => score[b]! - score[a]! || a - b).slice(0, options.limit);
  return score.map((_, g) => best.includes(g));
}
