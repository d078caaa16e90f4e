/** The table of balancing rules. A new one is one file beside this and one line here. */
import type { KnobValues } from "../core/knob.ts";
import { lossFreeBias } from "./loss-free-bias.ts";
import type { BalancingLoss, BiasRule } from "./rule.ts";
import { switchLoss } from "./switch-loss.ts";

export const balancingRules = {
  "switch-loss": switchLoss,
  "loss-free-bias": lossFreeBias,
} satisfies Record<string, BalancingLoss | BiasRule>;

type Rules = typeof balancingRules;

export type BalancingRuleName = keyof Rules;

/** One balancing rule with the values of its knobs, as a config gives it. */
export type BalanceSetting = {
  [Name in BalancingRuleName]: { readonly rule: Name } & KnobValues<Rules[Name]["knobs"]>;
}[BalancingRuleName];

type NameOf<Kind> = { [Name in BalancingRuleName]: Rules[Name]["kind"] extends Kind ? Name : never }[BalancingRuleName];

export type LossSetting = Extract<BalanceSetting, { readonly rule: NameOf<"loss"> }>;
export type BiasSetting = Extract<BalanceSetting, { readonly rule: NameOf<"bias"> }>;

export const isLoss = (setting: BalanceSetting): setting is LossSetting => balancingRules[setting.rule].kind === "loss";
export const isBias = (setting: BalanceSetting): setting is BiasSetting => balancingRules[setting.rule].kind === "bias";
