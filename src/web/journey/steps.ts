/** What happens at each step, in words and in the formula with the token's own numbers. */
import type { Phrase } from "../phrase.ts";
import { same } from "../phrase.ts";
import { dot, type Journey, sizes } from "./journey.ts";

export interface Step {
  readonly title: Phrase;
  readonly text: (journey: Journey, word: string) => Phrase;
  readonly formula: string;
  /** The formula in numbers, a line each. */
  readonly numbers: (journey: Journey) => readonly string[];
}

const short = (value: number): string => value.toFixed(2).replace("-", "−");
const three = (value: number): string => value.toFixed(3).replace("-", "−");
const vector = (values: Float64Array): string => `(${Array.from(values, short).join(", ")})`;
/** The expert whose numbers are shown: the first of the chosen, else the best. */
const shown = ({ chosen, scores }: Journey): number => chosen[0]?.expert ?? scores.indexOf(Math.max(...scores));
const list = (experts: readonly number[]): string => experts.join(", ");
const expertsOf = ({ chosen }: Journey): number[] => chosen.map(({ expert }) => expert);
const deviceOf = (expert: number): number => Math.floor((expert * sizes.devices) / sizes.experts);
const devicesOf = (journey: Journey): number[] => [...new Set(expertsOf(journey).map(deviceOf))].sort((a, b) => a - b);

export const steps: readonly Step[] = [
  {
    title: { en: "The token", zh: "词元" },
    text: (_, word) => ({
      en: `Inside the model “${word}” is a vector h. Here it has 4 numbers, in Pangu Pro MoE 5,120.`,
      zh: `在模型内部，“${word}”是一个向量 h。这里有 4 个数，Pangu Pro MoE 中有 5120 个。`,
    }),
    formula: "h ∈ ℝᴴ",
    numbers: ({ input }) => [`h = ${vector(input)}`],
  },
  {
    title: { en: "Logits", zh: "logit" },
    text: () => ({
      en: "The router has a row of numbers for each expert. The product of row and token says how well they fit.",
      zh: "路由器为每个专家保存一行数。该行与词元的乘积表示二者有多匹配。",
    }),
    formula: "xᵢ = wᵢ · h",
    numbers(journey) {
      const { router, input } = journey;
      const expert = shown(journey);
      const products = Array.from(
        input,
        (value, h) => `${short(router[expert * input.length + h]!)} · ${short(value)}`,
      );
      return [`x${subscript(expert)} = ${products.join(" + ")} = ${short(dot(router, expert, input))}`];
    },
  },
  {
    title: { en: "Scores", zh: "分数" },
    text: () => ({
      en: "Softmax turns logits into positive scores that sum to 1. The order stays the same.",
      zh: "softmax 把 logit 变为总和为 1 的正分数，次序不变。",
    }),
    formula: "sᵢ = e^{xᵢ} / Σⱼ e^{xⱼ}",
    numbers(journey) {
      const expert = shown(journey);
      const sum = journey.logits.reduce((total, logit) => total + Math.exp(logit), 0);
      const own = Math.exp(journey.logits[expert]!);
      return [
        `s${subscript(expert)} = e^${short(journey.logits[expert]!)} / ${short(sum)} = ${short(own)} / ${short(sum)} = ${three(own / sum)}`,
      ];
    },
  },
  {
    title: { en: "Selection", zh: "选择" },
    text: (journey) => selectionText(journey),
    formula: "",
    numbers: (journey) => [
      expertsOf(journey).length === 0 ? "S = { }" : `S = { ${list(expertsOf(journey))} }`,
      ...journey.explanation,
      ...biasNumbers(journey),
    ],
  },
  {
    title: { en: "Dispatch", zh: "分发" },
    text(journey) {
      const [devices, experts] = [devicesOf(journey), expertsOf(journey)];
      return {
        en: `The token travels once to each device that holds one of its experts: ${devices.length} of ${sizes.devices} devices for ${experts.length} experts. This fan-out is what balance may cost.`,
        zh: `词元向每台持有其专家的设备发送一次：${experts.length} 个专家位于 ${sizes.devices} 台中的 ${devices.length} 台。这个扇出正是均衡可能付出的代价。`,
      };
    },
    formula: "|{ ⌊i · D/N⌋ : i ∈ S }|",
    numbers: (journey) => [
      ...expertsOf(journey).map((expert) => `⌊${expert} · ${sizes.devices}/${sizes.experts}⌋ = ${deviceOf(expert)}`),
      `|{ ${list(devicesOf(journey))} }| = ${devicesOf(journey).length}`,
    ],
  },
  {
    title: { en: "Experts", zh: "专家计算" },
    text: () => ({
      en: "Each chosen expert is a small network of its own and makes another vector of the token. The others do nothing: that is what makes the model sparse.",
      zh: "每个被选中的专家是一个独立的小网络，把词元变成另一个向量。其余专家什么也不做：这就是模型的稀疏性。",
    }),
    formula: "Eᵢ(h) = W₃ (silu(W₁ h) ⊙ W₂ h)",
    numbers: (journey) =>
      expertsOf(journey).map((expert) => `E${subscript(expert)}(h) = ${vector(journey.outputs[expert]!)}`),
  },
  {
    title: { en: "Combine", zh: "合并" },
    text: (journey) =>
      journey.chosen.length === 0
        ? {
            en: "No expert took this token: only the residual path carries it on.",
            zh: "没有专家接收这个词元：它只能沿残差路径继续。",
          }
        : {
            en: "The outputs come back and are added up, each with its weight: its score as a share of the chosen scores.",
            zh: "输出返回并按权重相加；权重是该专家分数在所选分数中的份额。",
          },
    formula: "y = Σᵢ wᵢ Eᵢ(h),  wᵢ = sᵢ / Σⱼ sⱼ,  i, j ∈ S",
    numbers(journey) {
      const { chosen, scores, output } = journey;
      const sum = chosen.reduce((total, { expert }) => total + scores[expert]!, 0);
      const weights = chosen.map(
        ({ expert, weight }) => `w${subscript(expert)} = ${three(scores[expert]!)} / ${three(sum)} = ${three(weight)}`,
      );
      return [...weights, `y = ${vector(output)}`];
    },
  },
];

function selectionText({ config }: Journey): Phrase {
  const { selection } = config.router;
  const texts: Readonly<Partial<Record<string, Phrase>>> = {
    topk: {
      en: "Top-k takes the four best scores, wherever they are. Some device may get several of them, some none.",
      zh: "top-k 取最好的四个分数，不管它们在哪。有的设备可能得到好几个，有的一个也没有。",
    },
    moge: {
      en: "MoGE takes the best expert of each of four groups. Here a group is a device, so each device gets exactly one, of every token.",
      zh: "MoGE 在四个组中各取最好的一个专家。这里一组就是一台设备，所以对每个词元，每台设备恰好得到一个。",
    },
    "group-limited": {
      en: "The token first picks its two best groups, then its four best experts in them. It travels to two devices at most, but nothing balances them.",
      zh: "词元先选出最好的两个组，再在其中选最好的四个专家。它最多去两台设备，但没有任何东西使设备均衡。",
    },
    switch: {
      en: "Switch takes the single best expert: the least to compute and to send.",
      zh: "Switch 只取最好的一个专家：计算和传输都最少。",
    },
    "expert-choice": {
      en: "Here the experts choose: each takes the same number of tokens of the sentence, its best. A token may end up with many experts or with none, and later words decide about earlier ones.",
      zh: "这里由专家来选：每个专家取句中得分最高的相同数目的词元。一个词元可能得到许多专家，也可能一个也没有；而且后面的词会影响前面的词。",
    },
  };
  return texts[selection] ?? same(selection);
}

function biasNumbers({ bias, scores, chosen }: Journey): readonly string[] {
  if (bias.every((shift) => shift === 0)) return [];
  return chosen.map(({ expert }) => {
    const [score, shift] = [scores[expert]!, bias[expert]!];
    return `s${subscript(expert)} + b${subscript(expert)} = ${three(score)} ${shift < 0 ? "−" : "+"} ${three(Math.abs(shift))} = ${three(score + shift)}`;
  });
}

const subscript = (number: number): string => [...String(number)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]).join("");
