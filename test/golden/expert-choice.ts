/** Family expert_choice: flaxformer's ExpertsChooseMaskedRouter. Groups of tokens are batches of their own. */
import { NO_EXPERT } from "../../src/routing/assignment.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import { type Adapter, matrixOf, numberOf } from "./golden-case.ts";
import { chosenRows, equalParts, routeBatch, weightedSumGradient } from "./routed-batch.ts";

export const expertChoice: Adapter = ({ params, input }) => {
  const { values, sizes } = matrixOf(input, "logits");
  const [groups, tokens, experts] = sizes as [number, number, number];
  const tokensPerExpert = numberOf(params, "expert_capacity");
  const mask = input["padding_mask"] ? matrixOf(input, "padding_mask").values : undefined;
  const routing = routeBatch(
    values,
    { experts, topK: 1, groups: 1 },
    { ...routingPresets["expert-choice"].settings, options: { tokensPerExpert } },
    {
      parts: equalParts(groups, tokens),
      // Padding is marked 0 and its scores count as 0; it can still be chosen.
      rescore: mask && ((scores) => scores.set(scores.map((each, at) => each * mask[Math.floor(at / experts)]!))),
    },
  );
  const chosen = chosenRows(routing);
  const scoreOf = (token: number, expert: number) => routing.scores[token * experts + expert]!;
  const tokensOf = (group: number, expert: number) =>
    Array.from({ length: tokens }, (_, t) => group * tokens + t)
      .filter((t) => chosen[t]!.includes(expert))
      .sort((a, b) => scoreOf(b, expert) - scoreOf(a, expert) || a - b);
  const byExpert = Array.from({ length: groups }, (_, group) =>
    Array.from({ length: experts }, (_, expert) => tokensOf(group, expert)),
  );
  const counts = chosen.map((row) => row.filter((expert) => expert !== NO_EXPERT).length);
  const inGroups = <Value>(all: readonly Value[]): Value[][] =>
    Array.from({ length: groups }, (_, group) => all.slice(group * tokens, (group + 1) * tokens));
  const gradient = input["v"] && weightedSumGradient(routing, matrixOf(input, "v").values);
  return {
    fields: {
      expert_token_ids: byExpert.map((group, g) => group.map((row) => row.map((t) => t - g * tokens))),
      expert_gates: byExpert.map((group) => group.map((row, expert) => row.map((t) => scoreOf(t, expert)))),
      experts_per_token: inGroups(counts),
      tokens_unrouted: inGroups(counts).map((group) => group.filter((count) => count === 0).length),
      auxiliary_loss: 0,
      ...(gradient && { grad_sum_gates_v: inGroups(gradient) }),
    },
  };
};
