/** The order in which assignments reach the experts, and what fills an expert's rows up to a multiple. */
import { type Choice, NO_EXPERT } from "./assignment.ts";

/**
 * Expert after expert, the tokens of each in ascending order: how rows are laid out for a grouped matrix product
 * (Megatron-LM, moe_utils.permute). @returns places in [T, slots]
 */
export function dispatchOrder({ experts }: Choice): Int32Array {
  const slots = Int32Array.from(experts.keys()).filter((slot) => experts[slot] !== NO_EXPERT);
  return slots.sort((a, b) => experts[a]! - experts[b]! || a - b);
}

/**
 * For each expert the first tokens that it did not get, as many as make its rows a multiple; all of them where there
 * are too few (Megatron-LM, moe_utils.pad_routing_map). [N, tokens that pad]
 */
export function paddingTokens(choice: Choice, experts: number, multiple: number): number[][] {
  const { tokens, slots } = choice;
  const has = Array.from({ length: experts }, () => new Set<number>());
  choice.experts.forEach((expert, slot) => {
    if (expert !== NO_EXPERT) has[expert]!.add(Math.floor(slot / slots));
  });
  return has.map((own) => {
    const missing = Math.ceil(own.size / multiple) * multiple - own.size;
    return Array.from({ length: tokens }, (_, t) => t)
      .filter((t) => !own.has(t))
      .slice(0, missing);
  });
}
