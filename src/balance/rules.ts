/** The table of balancing rules. A new one is one file beside this and one line here. */
import type { GivenValues, KnobValues } from "../core/knob.ts";
import { goesByBias, type RoutingSettings } from "../routing/route.ts";
import { communicationLoss } from "./communication-loss.ts";
import { deviceLoss } from "./device-loss.ts";
import { expertParallelLoss } from "./expert-parallel-loss.ts";
import { importanceLoss } from "./importance-loss.ts";
import { loadLoss } from "./load-loss.ts";
import { lossFreeBias } from "./loss-free-bias.ts";
import { quantileBalancing } from "./quantile-balancing.ts";
import { reluSparsity } from "./relu-sparsity.ts";
import type { BalancingLoss, BiasRule } from "./rule.ts";
import type { BalanceShape } from "./statistic.ts";
import { switchLoss } from "./switch-loss.ts";
import { zLoss } from "./z-loss.ts";

export const balancingRules = {
  "switch-loss": switchLoss,
  "device-loss": deviceLoss,
  "communication-loss": communicationLoss,
  "expert-parallel-loss": expertParallelLoss,
  "importance-loss": importanceLoss,
  "load-loss": loadLoss,
  "z-loss": zLoss,
  "relu-sparsity": reluSparsity,
  "loss-free-bias": lossFreeBias,
  "quantile-balancing": quantileBalancing,
} satisfies Record<string, BalancingLoss | BiasRule>;

type Rules = typeof balancingRules;

export type BalancingRuleName = keyof Rules;

/** One balancing rule with the values of its knobs, as a config gives it. */
export type GivenBalance = {
  [Name in BalancingRuleName]: { readonly rule: Name } & GivenValues<Rules[Name]["knobs"]>;
}[BalancingRuleName];

/** The same for one layer. */
export type BalanceSetting = {
  [Name in BalancingRuleName]: { readonly rule: Name } & KnobValues<Rules[Name]["knobs"]>;
}[BalancingRuleName];

type NameOf<Kind> = { [Name in BalancingRuleName]: Rules[Name]["kind"] extends Kind ? Name : never }[BalancingRuleName];

export type LossSetting = Extract<BalanceSetting, { readonly rule: NameOf<"loss"> }>;
export type BiasSetting = Extract<BalanceSetting, { readonly rule: NameOf<"bias"> }>;

export const isLoss = (setting: BalanceSetting): setting is LossSetting => balancingRules[setting.rule].kind === "loss";
export const isBias = (setting: BalanceSetting): setting is BiasSetting => balancingRules[setting.rule].kind === "bias";

/** The rule of a setting, without the types of its knobs. */
export const lossOf = ({ rule }: LossSetting): BalancingLoss => balancingRules[rule];
export const biasRuleOf = ({ rule }: BiasSetting): BiasRule => balancingRules[rule];

/** What is wrong with a rule beside this router, or undefined. */
export function contradictionOf(
  setting: BalanceSetting,
  routing: RoutingSettings,
  shape: BalanceShape,
): string | undefined {
  if (isBias(setting) && !goesByBias(routing))
    return `${setting.rule} has no effect: router ${routing.selection}, as it is set, goes by no bias`;
  const rule: BalancingLoss | BiasRule = balancingRules[setting.rule];
  return rule.contradiction?.(routing, shape, setting as never);
}

/** What a layer makes of the rules: lists of numbers give each layer its own. @param layer among the MoE layers */
export function settingsOfLayer(balance: readonly GivenBalance[], layer: number): BalanceSetting[] {
  const own = (value: unknown) => (Array.isArray(value) ? value[layer] : value);
  return balance.map(
    (given) => Object.fromEntries(Object.entries(given).map(([key, value]) => [key, own(value)])) as BalanceSetting,
  );
}
