/** Chinese names for entries of the project's tables; the English ones are the tables' own. */
import { type Phrase, same } from "./phrase.ts";

const chinese: Readonly<Record<string, string>> = {
  topk: "全局 top-k：在所有专家中取最好的 K 个",
  moge: "MoGE：M 个组中各取最好的 K/M 个专家",
  "group-limited": "组受限 top-k：先选出最好的几个组，再从中取 K 个专家",
  switch: "Switch：只取最好的一个专家",
  "expert-choice": "专家选择：每个专家挑选得分最高的词元",
  softmax: "对所有专家做 softmax",
  sigmoid: "每个 logit 各自做 sigmoid",
  "imbalance-score": "不均衡分数",
  "max-over-mean": "最热与平均之比",
  "fan-out": "扇出：一个词元的专家分布在多少台设备上",
  "drop-rate": "丢弃率",
};

/** What a table calls one of its entries. */
export const titleOf = (name: string, { title }: { readonly title: string }): Phrase =>
  chinese[name] === undefined ? same(title) : { en: title, zh: chinese[name] };

/** The entries of a table as the options of a menu. */
export const titled = <Name extends string>(
  table: Readonly<Record<Name, { readonly title: string }>>,
): Readonly<Record<Name, Phrase>> =>
  Object.fromEntries(
    Object.entries<{ readonly title: string }>(table).map(([name, entry]) => [name, titleOf(name, entry)]),
  ) as Record<Name, Phrase>;
