/** The end of the tour: routers that have learned something. */
import type { Chapter } from "./chapter.ts";

export const trainingChapter: Chapter = {
  title: { en: "Routers that learn", zh: "会学习的路由器" },
  text: [
    {
      en: "All preferences so far were drawn. Here two small language models learn real ones, in this page: the same texts, starting weights and auxiliary loss, but one routes by top-k and the other by MoGE. Press Train.",
      zh: "到目前为止的偏好都是随机抽取的。这里有两个小语言模型在本页中学习真实的偏好：文本、初始权重和辅助损失都相同，一个用 top-k，另一个用 MoGE。点“训练”。",
    },
    {
      en: "Watch the devices first. After some dozens of steps look further down: experts begin to serve some texts more than others.",
      zh: "先看设备。几十步之后再往下看：专家开始偏向某些文本。",
    },
  ],
  set: { scene: "training", steps: 300 },
  knobs: ["coefficient"],
  question: {
    ask: {
      en: "At the end, in what will the two models clearly differ?",
      zh: "最后，两个模型会在哪方面明显不同？",
    },
    options: [
      { en: "in how well they predict: the loss", zh: "预测得多好：损失" },
      { en: "in how even their devices are", zh: "设备有多均衡" },
      { en: "in both", zh: "两方面都不同" },
    ],
    answer: 1,
    reveal: {
      en: "Their losses end within a hundredth of each other, less than another seed changes. MoGE's devices are even from the first step on; top-k's come closer, by the auxiliary loss, and are never even. MoGE pays in transfers: see where the step's time goes.",
      zh: "两者的损失最终相差不到百分之一奈特，小于换一个种子的影响。MoGE 的设备从第一步起就均衡；top-k 靠辅助损失逐渐接近，但从不完全均衡。MoGE 的代价在传输：看看一步的时间去向。",
    },
  },
};
