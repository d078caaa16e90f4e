/** Losses over blocks of neighbouring experts, such as those of a device: what three rules of this room share. */
import type { LossContext, Sums } from "./rule.ts";
import type { BalanceShape } from "./statistic.ts";

export const blockKinds = {
  devices: "the experts of each device",
  groups: "the groups of the router",
} as const;

export type BlockKind = keyof typeof blockKinds;

const blocksOf = (kind: BlockKind, { devices, groups }: BalanceShape): number =>
  kind === "devices" ? devices : groups;

/**
 * Σ_b f_b P_b, where P_b is the mean probability of all experts of block b.
 * @param share [blocks] f, a constant to the gradient
 */
export function blockLoss(
  share: ArrayLike<number>,
  { shape: { experts }, sums, tokens }: LossContext,
  gradients: Sums<Float64Array>,
): number {
  let loss = 0;
  for (let i = 0; i < experts; i++) {
    const fraction = share[Math.floor((i * share.length) / experts)]!;
    loss += (fraction * sums.probability[i]!) / tokens;
    gradients.probability[i] = fraction / tokens;
  }
  return loss;
}

/** blocks · share of the assignments that went to each block: 1 in every block at perfect balance. */
export function assignmentShares(kind: BlockKind, { shape, sums, countedTokens }: LossContext): Float64Array {
  const blocks = blocksOf(kind, shape);
  const share = new Float64Array(blocks);
  for (let i = 0; i < shape.experts; i++) {
    const block = Math.floor((i * blocks) / shape.experts);
    share[block] = share[block]! + (blocks * sums.load[i]!) / (shape.topK * countedTokens);
  }
  return share;
}

/** blocks / most · share of the tokens that went to each block at least once. @param most blocks of a token, at most */
export function visitShares(kind: BlockKind, most: number, { shape, sums, countedTokens }: LossContext): Float64Array {
  const visits = sums[kind === "devices" ? "device-visits" : "group-visits"];
  const blocks = blocksOf(kind, shape);
  return Float64Array.from({ length: blocks }, (_, block) => (blocks * visits[block]!) / (most * countedTokens));
}
