/**
 * Routers without preference: every expert is as likely as any other, and nothing is learned.
 *
 * They show what a selection rule does to balance by itself, before any router prefers anything
 * (Pangu Pro MoE, arXiv:2505.21411, eq. 4 and figure 2b).
 */
import type { Random } from "../core/random.ts";
import type { Assignment } from "../routing/assignment.ts";
import type { RouterShape } from "../routing/router.ts";

export interface UniformChoice {
  readonly title: string;
  /** Writes the experts of every token. */
  draw(random: Random, shape: RouterShape, assignment: Assignment): void;
}

/** Kept between batches, of which there are hundreds of thousands. */
let pool = new Int32Array(0);

/** K/M distinct experts of each of M groups, by the first steps of a Fisher–Yates shuffle of each group. */
function drawFromGroups(random: Random, { experts, topK, groups }: RouterShape, assignment: Assignment): void {
  if (pool.length !== experts) pool = new Int32Array(experts);
  for (let expert = 0; expert < experts; expert++) pool[expert] = expert;
  const groupSize = experts / groups;
  const perGroup = topK / groups;
  let at = 0;
  for (let t = 0; t < assignment.tokens; t++) {
    for (let from = 0; from < experts; from += groupSize) {
      for (let pick = 0; pick < perGroup; pick++) {
        const other = from + pick + random.below(groupSize - pick);
        const expert = pool[other]!;
        pool[other] = pool[from + pick]!;
        pool[from + pick] = expert;
        assignment.experts[at++] = expert;
      }
    }
  }
}

export const uniformChoices = {
  topk: {
    title: "top-k, K distinct experts",
    draw: (random, shape, assignment) => drawFromGroups(random, { ...shape, groups: 1 }, assignment),
  },
  "topk-with-replacement": {
    title: "K independent draws, the literal reading of arXiv:2505.21411, eq. 4",
    draw(random, shape, { experts }) {
      for (let j = 0; j < experts.length; j++) experts[j] = random.below(shape.experts);
    },
  },
  moge: { title: "MoGE, K/M distinct experts of each of M groups", draw: drawFromGroups },
} satisfies Record<string, UniformChoice>;

export type UniformChoiceName = keyof typeof uniformChoices;
