/** The table of balancing rules. A new one is one file beside this and one line here. */
import { lossFreeBias } from "./loss-free-bias.ts";
import type { BalancingLoss, BiasRule } from "./rule.ts";
import { switchLoss } from "./switch-loss.ts";

export const balancingRules = {
  "switch-loss": switchLoss,
  "loss-free-bias": lossFreeBias,
} satisfies Record<string, BalancingLoss | BiasRule>;

export type BalancingRuleName = keyof typeof balancingRules;

/** One balancing rule with the values of its knobs, as a config gives it. */
export interface BalanceSetting {
  readonly rule: BalancingRuleName;
  readonly [knob: string]: unknown;
}
