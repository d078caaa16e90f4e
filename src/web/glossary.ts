/** Chinese names for entries of the project's tables; the English ones are the tables' own. */
import type { MetricDescription } from "../metrics/metric.ts";
import { type Phrase, same } from "./phrase.ts";

const chinese: Readonly<Record<string, string>> = {
  topk: "全局 top-k：在所有专家中取最好的 K 个",
  moge: "MoGE：M 个组中各取最好的 K/M 个专家",
  "group-limited": "组受限 top-k：先选出最好的几个组，再从中取 K 个专家",
  switch: "Switch：只取最好的一个专家",
  "expert-choice": "专家选择：每个专家挑选得分最高的词元",
  "ascend-910b4-pcie": "Ascend 910B4，32 GB PCIe 卡",
  "ascend-910c-die": "Ascend 910C，两个 die 之一",
  "ascend-950pr": "Ascend 950PR，服务器版",
  "ascend-950pr-pcie": "Ascend 950PR，PCIe 卡（Atlas 350）",
  "ascend-310p": "Ascend 310P，Atlas 300I Duo 推理卡的两颗芯片之一",
  "a2-8xhccs-roce": "Atlas 800T A2：每台 8 卡 HCCS 全互连，服务器之间 RoCE",
  "a2-pcie": "PCIe 卡的 A2 服务器",
  "a3-vendor": "Atlas A3 / CloudMatrix384，按华为的模型",
  "a3-measured": "Atlas A3 / CloudMatrix384，按实测",
  "a3-roce": "以 RoCE 相连的 Atlas A3 节点",
  "950pr-4xub": "Ascend 950PR：4 卡 UB 互连，其外 PCIe 与跨插槽链路",
  "950dt-superpod": "Ascend 950DT 超节点",
  "300i-duo": "Atlas 300I Duo 服务器：芯片经 PCIe 相连",
  ideal: "理想情形",
  "dgx-a100": "DGX A100：NVLink 与 HDR InfiniBand",
  "dgx-h100": "DGX H100：NVLink 与 NDR InfiniBand",
  "dgx-h800": "H800 服务器：NVLink 与 CX7 InfiniBand",
};

/** What a table calls one of its entries; names without a Chinese one are names of products. */
export const titleOf = (name: string, { title }: { readonly title: string }): Phrase =>
  chinese[name] === undefined ? same(title) : { en: title, zh: chinese[name] };

/** The entries of a table as the options of a menu. */
export const titled = <Name extends string>(
  table: Readonly<Record<Name, { readonly title: string }>>,
): Readonly<Record<Name, Phrase>> =>
  Object.fromEntries(
    Object.entries<{ readonly title: string }>(table).map(([name, entry]) => [name, titleOf(name, entry)]),
  ) as Record<Name, Phrase>;

/** What a popover says of a figure beside its numbers. */
export interface Description {
  readonly title: Phrase;
  readonly formula: Phrase;
  readonly source: Phrase;
}

type Texts = Readonly<Record<keyof Description, string>>;

export const described = (en: Texts, zh: Texts): Description => ({
  title: { en: en.title, zh: zh.title },
  formula: { en: en.formula, zh: zh.formula },
  source: { en: en.source, zh: zh.source },
});

/** Metrics of the project's tables, for readers of both languages. @param entry the table's own */
export const ofMetric = (entry: Pick<MetricDescription, keyof Texts>, name: keyof typeof chineseMetrics): Description =>
  described(entry, chineseMetrics[name]);

const chineseMetrics = {
  "imbalance-score": {
    title: "不均衡分数",
    formula: "(max_i load_i − min_i load_i) / T",
    source: "Pangu Pro MoE，arXiv:2505.21411，式 3，其中 i 遍历设备",
  },
  "max-over-mean": {
    title: "最热与平均之比",
    formula: "max_i load_i / 平均 load",
    source: "OLMo-core 的 'load imbalance'；1 为完全均衡",
  },
  "fan-out": {
    title: "扇出：一个词元的专家分布在多少台设备上",
    formula: "|{e 的设备 : e 被选中}| 对词元的平均",
    source: "DeepSeek-V2（arXiv:2405.04434，2.2.2 节）限制的量；决定去重分发的传输量",
  },
  "drop-rate": {
    title: "丢弃率",
    formula: "丢弃的分配数 / 选中的分配数",
    source: "Switch Transformer，arXiv:2101.03961，2.2 节；那里 K 为 1，词元即分配",
  },
  "chosen-probability": {
    title: "所选专家的概率，归一化之前",
    formula: "Σ_{i 被选中} p_ti 对词元的平均",
    source: "规则相对于和最大的 top-k 放弃了多少；没有偏好时为 K/N",
  },
} as const satisfies Record<string, Texts>;

/** Of a priced layer. @param en what it is, in a few words */
export const stepTime = (en: string, zh: string): Description =>
  described(
    {
      title: en,
      formula: "compute of the mean device + wait for the hottest + dispatch and combine",
      source: "src/cluster; routed experts alone, nothing overlaps",
    },
    {
      title: zh,
      formula: "平均设备的计算 + 等待最热的设备 + 分发与合并",
      source: "src/cluster；只计被路由的专家，互不重叠",
    },
  );
