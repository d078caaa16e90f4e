/** The second half of the tour: what grouping guarantees, what it costs, and how to read results about it. */
import type { Chapter } from "./chapter.ts";

export const priceChapters: readonly Chapter[] = [
  {
    title: { en: "What grouping guarantees", zh: "分组保证了什么" },
    text: [
      {
        en: "MoGE divides the 64 experts into 8 groups and takes the best expert of each, for every token. Each device holds one group.",
        zh: "MoGE 把 64 个专家分成 8 组，对每个词元在每组中取最好的专家。每台设备持有一组。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "topk", skew: 1 },
    knobs: ["skew", "seed"],
    question: {
      ask: {
        en: "How large is the device imbalance of MoGE, with preferences as strong as these?",
        zh: "在这样强的偏好下，MoGE 的设备不均衡有多大？",
      },
      options: [
        { en: "about half of top-k's", zh: "约为 top-k 的一半" },
        { en: "small, falling with the batch", zh: "很小，随批次下降" },
        { en: "exactly 0, whatever the router likes", zh: "恰好为 0，无论路由器偏爱谁" },
      ],
      answer: 2,
      reveal: {
        en: "Every token brings every device K/M = 1 assignment, so all have T of them. It is arithmetic, not training: no skew, seed or batch can break it. Try.",
        zh: "每个词元给每台设备带来 K/M = 1 个分配，所以每台恰有 T 个。这是算术，不是训练：任何偏斜、种子或批次都无法打破。试试看。",
      },
      show: { right: "moge" },
    },
  },
  {
    title: { en: "What it cannot", zh: "它做不到什么" },
    text: [
      {
        en: "Look at the experts inside a device. Grouping says how much work a group gets, not how the group's experts share it.",
        zh: "看看同一台设备内的专家。分组规定了一组得到多少工作，却没有规定组内专家如何分担。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "moge", skew: 1 },
    knobs: ["balance", "capacity"],
    question: {
      ask: {
        en: "An expert may take 1.25 times its even share, and what is more is dropped. Does MoGE, balanced as it is, drop anything?",
        zh: "每个专家最多接收平均份额的 1.25 倍，多余的丢弃。已经均衡的 MoGE 会丢弃吗？",
      },
      options: [
        { en: "no, its devices are even", zh: "不会，设备是均衡的" },
        { en: "yes, its hottest experts overflow", zh: "会，最热的专家会溢出" },
      ],
      answer: 1,
      reveal: {
        en: "Even devices, uneven experts: it still needs the auxiliary loss, or no capacity. Turn α up and see the drops shrink on both sides.",
        zh: "设备均衡，专家不均衡：它仍然需要辅助损失，或者不设容量。调大 α，看两边的丢弃如何减少。",
      },
      show: { capacity: 1.25 },
    },
  },
  {
    title: { en: "Fan-out, the price", zh: "代价：扇出" },
    text: [
      {
        en: "A token is sent once to each device that holds one of its experts. MoGE has an expert on every device for every token, so each token goes everywhere. Top-k often finds two of its experts on one device, and sends less.",
        zh: "词元向每台持有其专家的设备发送一次。MoGE 对每个词元在每台设备上都有一个专家，所以每个词元都要去所有设备。top-k 常有两个专家在同一台设备上，发送较少。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "moge", skew: 0, tokens: 1024 },
    knobs: ["topology", "skew"],
    question: {
      ask: {
        en: "Top-8 of 64 without any preference, on 8 devices: how many devices does a token visit on average?",
        zh: "毫无偏好地从 64 个中取 8 个，8 台设备：一个词元平均访问几台？",
      },
      options: [
        { en: "4.0", zh: "4.0" },
        { en: "5.4", zh: "5.4" },
        { en: "8.0", zh: "8.0" },
      ],
      answer: 1,
      reveal: {
        en: "8 · (1 − the chance that a token misses a device) = 5.43, against MoGE's 8. Over slow links the difference decides: see PCIe.",
        zh: "8 ·（1 − 词元错过某台设备的概率）= 5.43，而 MoGE 为 8。在慢速互连上差别起决定作用：看看 PCIe。",
      },
      show: { topology: "a2-pcie" },
    },
  },
  {
    title: { en: "When balance no longer matters", zh: "均衡何时不再重要" },
    text: [
      {
        en: "Give top-k its best: balanced by a bias, and a large batch. What is left of its wait is small, and MoGE's even devices have nothing left to win, while its transfers cost as before.",
        zh: "让 top-k 处于最佳状态：用偏置均衡，批次也大。它剩下的等待很少，MoGE 的均衡设备没有什么可赢的，而传输的代价依旧。",
      },
      {
        en: "The reverse is true as well: the less well top-k is balanced, and the faster the links, the more MoGE wins.",
        zh: "反过来也成立：top-k 均衡得越差、互连越快，MoGE 的优势越大。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "moge", skew: 0.5, tokens: 1024 },
    knobs: ["left", "topology", "tokensPerDevice", "skew"],
    question: {
      ask: {
        en: "On the left, top-k gets the loss-free bias. Which of the two steps is shorter then?",
        zh: "左侧的 top-k 加上无损失偏置。这时哪一个的一步更短？",
      },
      options: [
        { en: "MoGE's, clearly", zh: "MoGE 明显更短" },
        { en: "about the same, top-k a hair ahead", zh: "差不多，top-k 略胜" },
        { en: "top-k's, clearly", zh: "top-k 明显更短" },
      ],
      answer: 1,
      reveal: {
        en: "About 1 % for top-k on these links, by this model of the hardware: less than it can tell for certain. Anyone who reports a gain must say how well the other side was balanced.",
        zh: "在这种互连上，按本硬件模型 top-k 约快 1 %：小于模型能够确定的程度。报告收益的人必须说明对方均衡得有多好。",
      },
      show: { left: "topk-lossfree" },
    },
  },
  {
    title: { en: "More devices than groups", zh: "设备多于组" },
    text: [
      {
        en: "Eight groups on sixteen devices: now two devices share a group. MoGE still gives each group its even part.",
        zh: "八个组放在十六台设备上：现在两台设备共享一个组。MoGE 仍然给每组均等的一份。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "moge", skew: 0.5 },
    knobs: ["devices", "groups", "topK"],
    question: {
      ask: {
        en: "With 16 devices, is MoGE's device imbalance still 0?",
        zh: "16 台设备时，MoGE 的设备不均衡仍为 0 吗？",
      },
      options: [
        { en: "yes", zh: "是" },
        { en: "no, but less than top-k's", zh: "否，但小于 top-k" },
      ],
      answer: 1,
      reveal: {
        en: "Each token uses one of the two devices of a group and leaves the other out. The guarantee needs whole groups on a device: M a multiple of D. With 16 groups K must be a multiple of 16, too: try it.",
        zh: "每个词元只用一组两台设备中的一台。保证成立的前提是设备持有完整的组：M 是 D 的倍数。若分 16 组，K 也必须是 16 的倍数：试试看。",
      },
      show: { devices: 16 },
    },
  },
  {
    title: { en: "Reading the paper's Figure 2", zh: "读懂论文的图 2" },
    text: [
      {
        en: "Figure 2(b) of the Pangu Pro MoE paper shows how the imbalance score of top-8 of 64 scatters over many batches, with MoGE as a single bar at 0. Its routers have no preference, and its batches have 16 tokens: as it is set here.",
        zh: "Pangu Pro MoE 论文的图 2(b) 展示 64 选 8 的不均衡分数在许多批次上的分布，MoGE 是位于 0 的一根柱。其中的路由器没有偏好，批次只有 16 个词元：这里正是这样设置的。",
      },
      {
        en: "Change the seed for other batches: top-k scatters around 0.67, and is practically never 0.",
        zh: "换种子得到别的批次：top-k 在 0.67 上下分布，实际上从不为 0。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "moge", skew: 0, tokens: 16, seed: 2 },
    knobs: ["seed", "tokens"],
    question: {
      ask: {
        en: "A training step has many more tokens. Where would top-k scatter with 1,024?",
        zh: "训练的一步有多得多的词元。若有 1024 个，top-k 会在哪里分布？",
      },
      options: [
        { en: "around 0.67 as before", zh: "仍在 0.67 上下" },
        { en: "around 0.34, half of it", zh: "0.34 上下，即一半" },
        { en: "around 0.08, an eighth", zh: "0.08 上下，即八分之一" },
      ],
      answer: 2,
      reveal: {
        en: "64 times the tokens, an eighth of the chance. So the figure is about small batches, as in inference. What matters in training are learned preferences, which its routers do not have; the next chapter trains some.",
        zh: "词元数为 64 倍，偶然性为八分之一。所以该图讲的是小批次，如推理时那样。训练中重要的是学到的偏好，而图中的路由器没有偏好；下一章会训练出一些。",
      },
      show: { tokens: 1024 },
    },
  },
];
