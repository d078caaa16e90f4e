/** The routers that the page compares: entries of the table of routers, with what goes with them. One line each. */
import type { BalancingRuleName } from "../../balance/rules.ts";
import { type RouterName, routers } from "../../routing/routers.ts";
import { titleOf } from "../glossary.ts";
import type { Phrase } from "../phrase.ts";

export interface Contender {
  readonly selection: RouterName;
  /** In a heading or a menu. */
  readonly short: Phrase;
  /** K of routers that are defined for one. */
  readonly topK?: number;
  /** How it is balanced, where the page balances: the auxiliary loss unless it says otherwise. */
  readonly balance?: BalancingRuleName;
}

export const contenders = {
  topk: { selection: "topk", short: { en: "top-k", zh: "top-k" } },
  moge: { selection: "moge", short: { en: "MoGE", zh: "MoGE" } },
  "topk-lossfree": {
    selection: "topk",
    short: { en: "top-k, loss-free bias", zh: "top-k + 无损失偏置" },
    balance: "loss-free-bias",
  },
  "group-limited": { selection: "group-limited", short: { en: "group-limited", zh: "组受限" } },
  switch: { selection: "switch", short: { en: "Switch, K = 1", zh: "Switch，K = 1" }, topK: 1 },
  "expert-choice": { selection: "expert-choice", short: { en: "expert choice", zh: "专家选择" } },
} as const satisfies Record<string, Contender>;

export type ContenderName = keyof typeof contenders;

export const contenderNamed = (name: ContenderName): Contender => contenders[name];

export const contenderNames = Object.keys(contenders) as ContenderName[];

/** The options of a menu. */
export const contenderOptions = Object.fromEntries(
  contenderNames.map((name) => [name, contenders[name].short]),
) as Record<ContenderName, Phrase>;

/** What the table of routers calls it. */
export const fullTitle = (name: ContenderName): Phrase => {
  const { selection } = contenders[name];
  return titleOf(selection, routers[selection]);
};
