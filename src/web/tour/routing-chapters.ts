/** The first half of the tour: routing, waiting, balancing. */
import type { Chapter } from "./chapter.ts";

export const routingChapters: readonly Chapter[] = [
  {
    title: { en: "What a router is", zh: "什么是路由器" },
    text: [
      {
        en: "A Mixture-of-Experts layer has many small networks, the experts, and uses only a few of them for each token. The router says which: it gives every expert a score for this token, and the best K get it.",
        zh: "混合专家（MoE）层有许多小网络，即专家，但每个词元只用其中几个。由路由器决定用哪些：它为每个专家打分，最好的 K 个得到这个词元。",
      },
      {
        en: "Go through the steps with Next. All numbers are computed here as you look.",
        zh: "点“下一步”走完全程。所有数字都是当场计算的。",
      },
    ],
    set: { scene: "journey", step: 2 },
    knobs: [],
    question: {
      ask: {
        en: "Four experts are chosen, and each device holds four. To how many devices may a token have to travel under top-k?",
        zh: "选四个专家，每台设备持有四个。在 top-k 下，一个词元可能要去几台设备？",
      },
      options: [
        { en: "always one", zh: "总是一台" },
        { en: "always four", zh: "总是四台" },
        { en: "anything from one to four", zh: "一到四台都有可能" },
      ],
      answer: 2,
      reveal: {
        en: "Top-k looks at scores alone, not at where experts are. Follow other words and see.",
        zh: "top-k 只看分数，不管专家在哪。换几个词看看。",
      },
      show: { step: 4 },
    },
  },
  {
    title: { en: "Only the selection changes", zh: "变的只有选择" },
    text: [
      {
        en: "Take other routers for the same token. Logits and scores stay; what differs is the rule that picks: over all experts, within each group, only in the best groups, a single one, or the experts picking tokens.",
        zh: "对同一个词元换用别的路由器。logit 和分数不变；不同的是挑选的规则：在全部专家中选、在每组内选、只在最好的组中选、只选一个，或者由专家来选词元。",
      },
    ],
    set: { scene: "journey", step: 3, router: "moge" },
    knobs: [],
  },
  {
    title: { en: "Why devices wait", zh: "设备为什么要等" },
    text: [
      {
        en: "A batch of 256 tokens through top-8 of 64 experts, on eight devices. The router likes some experts better than others, as every router does that nobody balances.",
        zh: "256 个词元的批次，从 64 个专家中选 8 个，分布在八台设备上。路由器偏爱某些专家；没有人去均衡的路由器都是如此。",
      },
      {
        en: "The results must come back together, so all devices wait for the one that has most to do. Below, filled bars work and hollow ones wait.",
        zh: "结果必须一起返回，所以所有设备都要等最忙的那台。图中实心条在工作，空心条在等待。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "topk" },
    knobs: ["skew"],
    question: {
      ask: {
        en: "One of eight devices gets twice the mean work, the others share the rest. How much longer does the computing take than if all were even?",
        zh: "八台设备中有一台的工作量是平均的两倍，其余分担剩下的。计算时间会比完全均衡时长多少？",
      },
      options: [
        { en: "an eighth longer", zh: "长八分之一" },
        { en: "twice as long", zh: "两倍" },
        { en: "not at all, the sum is the same", zh: "不变，总量相同" },
      ],
      answer: 1,
      reveal: {
        en: "The hottest device alone decides. In this batch it has 1.8 times the mean at first, and computing takes 1.8 times as long as it could. That is why the imbalance score looks at the largest and the smallest load, not at a spread around the mean.",
        zh: "只由最热的设备决定。这个批次中它起初是平均的 1.8 倍，计算时间也是应有的 1.8 倍。所以不均衡分数看的是最大和最小负载，而不是围绕平均值的离散程度。",
      },
    },
  },
  {
    title: { en: "Chance alone", zh: "仅仅是偶然" },
    text: [
      {
        en: "Set the preferences to zero: every expert is now as likely as any other. Still the loads differ, for the draws of few tokens are never even.",
        zh: "把偏好设为零：现在每个专家的可能性都相同。负载仍然不同，因为少量词元的抽取从来不会均匀。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "topk", skew: 0, tokens: 64, seed: 4 },
    knobs: ["tokens", "seed"],
    question: {
      ask: {
        en: "Sixteen times as many tokens: what becomes of the imbalance score?",
        zh: "词元数变为十六倍：不均衡分数会怎样？",
      },
      options: [
        { en: "it stays", zh: "不变" },
        { en: "a quarter, about", zh: "约四分之一" },
        { en: "a sixteenth, about", zh: "约十六分之一" },
      ],
      answer: 1,
      reveal: {
        en: "Chance falls with the square root of the batch: on average from 0.34 to 0.08. In a large batch chance hardly matters; preferences do not go away with size.",
        zh: "偶然性随批次大小的平方根下降：平均从 0.34 降到 0.08。大批次中偶然几乎不重要；而偏好不会随规模消失。",
      },
      show: { tokens: 1024 },
    },
  },
  {
    title: { en: "What the auxiliary loss does", zh: "辅助损失的作用" },
    text: [
      {
        en: "The usual remedy is a second loss in training: α times the sum of each expert's share of assignments times its mean probability. It is smallest when all are equal, so the router learns to like the unpopular ones.",
        zh: "通常的办法是在训练中加上第二个损失：α 乘以（每个专家的分配份额 × 平均概率）之和。全部相等时它最小，于是路由器学会喜欢冷门的专家。",
      },
      {
        en: "Turn α up. Here one number an expert is learned for a moment, with the loss's own gradient.",
        zh: "调大 α。这里用该损失自身的梯度，为每个专家学习一个数。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "topk", skew: 1, balance: 0.03 },
    knobs: ["balance", "skew"],
    question: {
      ask: {
        en: "The loads become more even. What happens to the probability of the chosen, how much the router likes what it takes?",
        zh: "负载更均匀了。“所选专家的概率”，即路由器对所选专家的喜爱程度，会怎样？",
      },
      options: [
        { en: "it falls", zh: "下降" },
        { en: "it stays", zh: "不变" },
        { en: "it rises", zh: "上升" },
      ],
      answer: 0,
      reveal: {
        en: "A router that must share evenly cannot always take what fits best. Balance is bought with fit; that is why α is tuned, and why nobody takes it large.",
        zh: "必须平均分配的路由器不能总取最合适的。均衡是用匹配度换来的；所以 α 需要调节，也没有人把它取得很大。",
      },
      show: { balance: 1 },
    },
  },
  {
    title: { en: "A bias instead of a loss", zh: "用偏置代替损失" },
    text: [
      {
        en: "Loss-free balancing adds a bias to the scores for the choice alone: after each step it goes down for experts that had too much, up for those that had too little. The weights never see it, and no gradient disturbs the model.",
        zh: "无损失均衡只在选择时给分数加上偏置：每一步之后，过载的专家偏置下降，空闲的上升。权重看不到它，也没有梯度干扰模型。",
      },
      {
        en: "Top-k balanced like this is the opponent that MoGE must be measured against. A router nobody balanced would be a straw man.",
        zh: "这样均衡过的 top-k 才是与 MoGE 比较的对手。拿没有均衡的路由器来比，就是稻草人。",
      },
    ],
    set: { scene: "batch", left: "topk", right: "topk-lossfree" },
    knobs: ["skew", "balance"],
  },
];
