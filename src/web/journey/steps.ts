/** What happens at each step: in words, as a formula, and in the formula with the token's own numbers. */
import type { Phrase } from "../phrase.ts";
import { dot, type Journey, sizes } from "./journey.ts";
import { at, deviceOf, devicesOf, expertsOf, set, short, shownExpert, three, vector } from "./notation.ts";
import { selections } from "./selection.ts";

export interface Step {
  readonly title: Phrase;
  readonly text: (journey: Journey, word: string) => Phrase;
  readonly formula: (journey: Journey) => string;
  /** The formula in numbers, a line each; where there are many, those of the expert that counts most. */
  readonly numbers: (journey: Journey) => readonly string[];
  /** All the numbers; absent: those are all. */
  readonly working?: (journey: Journey) => readonly string[];
}

export const steps: readonly Step[] = [
  {
    title: { en: "The token", zh: "词元" },
    text: (_, word) => ({
      en: `Inside the model “${word}” is a vector h. Here it has 4 numbers, in Pangu Pro MoE 5,120.`,
      zh: `在模型内部，“${word}”是一个向量 h。这里有 4 个数，Pangu Pro MoE 中有 5120 个。`,
    }),
    formula: () => `h ∈ ℝᴴ,  H = ${sizes.hidden}`,
    numbers: ({ input }) => [`h = ${vector(input)}`],
  },
  {
    title: { en: "Logits", zh: "logit" },
    text: () => ({
      en: "The router has a row of numbers for each expert. The product of row and token says how well they fit.",
      zh: "路由器为每个专家保存一行数。该行与词元的乘积表示二者有多匹配。",
    }),
    formula: () => "xᵢ = wᵢ · h",
    numbers: (journey) => [product(journey, shownExpert(journey))],
    working: (journey) => [
      `h = ${vector(journey.input)}`,
      ...inTurn(journey).map((expert) => product(journey, expert)),
    ],
  },
  {
    title: { en: "Scores", zh: "分数" },
    text: () => ({
      en: "Softmax turns logits into positive scores that sum to 1. The order stays the same.",
      zh: "softmax 把 logit 变为总和为 1 的正分数，次序不变。",
    }),
    formula: () => "sᵢ = exp xᵢ / Σⱼ exp xⱼ",
    numbers: (journey) => [softmax(journey, shownExpert(journey))],
    working: (journey) => [
      `Σⱼ exp xⱼ = ${Array.from(journey.logits, (logit) => short(Math.exp(logit))).join(" + ")} = ${short(sumOf(journey))}`,
      ...inTurn(journey).map((expert) => softmax(journey, expert)),
    ],
  },
  {
    title: { en: "Selection", zh: "选择" },
    text: ({ name }) => selections[name].text,
    formula: ({ name }) => selections[name].formula,
    numbers: (journey) => [...selections[journey.name].numbers(journey), `S = ${set(expertsOf(journey))}`],
  },
  {
    title: { en: "Dispatch", zh: "分发" },
    text(journey) {
      const [devices, experts] = [devicesOf(journey).length, expertsOf(journey).length];
      return {
        en: `The token travels once to each device that holds one of its experts: ${devices} of ${sizes.devices} devices for ${experts} experts. This fan-out is what balance may cost.`,
        zh: `词元向每台持有其专家的设备发送一次：${experts} 个专家位于 ${sizes.devices} 台中的 ${devices} 台。这个扇出正是均衡可能付出的代价。`,
      };
    },
    formula: () => "|{ ⌊i · D/N⌋ : i ∈ S }|",
    numbers: (journey) => [
      ...expertsOf(journey).map((expert) => `⌊${expert} · ${sizes.devices}/${sizes.experts}⌋ = ${deviceOf(expert)}`),
      `|${set(devicesOf(journey))}| = ${devicesOf(journey).length}`,
    ],
  },
  {
    title: { en: "Experts", zh: "专家计算" },
    text: () => ({
      en: "Each chosen expert is a small network of its own and makes another vector of the token. The others do nothing: that is what makes the model sparse.",
      zh: "每个被选中的专家是一个独立的小网络，把词元变成另一个向量。其余专家什么也不做：这就是模型的稀疏性。",
    }),
    formula: () => "Eᵢ(h) = Rᵢ (silu(Pᵢ h) ⊙ Qᵢ h)",
    numbers: (journey) =>
      expertsOf(journey).map((expert) => `${at("E", expert)}(h) = ${vector(journey.outputs[expert]!)}`),
    working: (journey) =>
      expertsOf(journey).flatMap((expert) => {
        const { gate, up, inner } = journey.insides[expert]!;
        return [
          `${at("P", expert)} h = ${vector(gate)},  ${at("Q", expert)} h = ${vector(up)}`,
          `silu(${at("P", expert)} h) ⊙ ${at("Q", expert)} h = ${vector(inner)}`,
          `${at("E", expert)}(h) = ${vector(journey.outputs[expert]!)}`,
        ];
      }),
  },
  {
    title: { en: "Combine", zh: "合并" },
    text: ({ chosen }) =>
      chosen.length === 0
        ? {
            en: "No expert took this token: only the residual path carries it on.",
            zh: "没有专家接收这个词元：它只能沿残差路径继续。",
          }
        : {
            en: "The outputs come back and are added up, each with its weight: its score as a share of the chosen scores.",
            zh: "输出返回并按权重相加；权重是该专家分数在所选分数中的份额。",
          },
    formula: () => "y = Σᵢ wᵢ Eᵢ(h),  wᵢ = sᵢ / Σⱼ sⱼ,  i, j ∈ S",
    numbers: (journey) => [...weights(journey), `y = ${vector(journey.output)}`],
    working: (journey) => [
      ...weights(journey),
      ...Array.from(journey.output, (value, k) => {
        const terms = journey.chosen.map(({ expert, weight }) => {
          const own = short(journey.outputs[expert]![k]!);
          return `${three(weight)} · ${own.startsWith("−") ? `(${own})` : own}`;
        });
        return [at("y", k + 1), ...(terms.length === 0 ? [] : [terms.join(" + ")]), short(value)].join(" = ");
      }),
    ],
  },
];

/** The chosen experts, or the one that is shown where there are none. */
const inTurn = (journey: Journey): readonly number[] =>
  journey.chosen.length === 0 ? [shownExpert(journey)] : expertsOf(journey);

function product({ router, input }: Journey, expert: number): string {
  const row = router.subarray(expert * input.length, (expert + 1) * input.length);
  return `${at("x", expert)} = ${vector(row)} · h = ${short(dot(router, expert, input))}`;
}

const sumOf = ({ logits }: Journey): number => logits.reduce((total, logit) => total + Math.exp(logit), 0);

function softmax(journey: Journey, expert: number): string {
  const logit = journey.logits[expert]!;
  const [own, sum] = [Math.exp(logit), sumOf(journey)];
  return `${at("s", expert)} = exp ${short(logit)} / ${short(sum)} = ${short(own)} / ${short(sum)} = ${three(own / sum)}`;
}

function weights({ chosen, scores }: Journey): string[] {
  const sum = chosen.reduce((total, { expert }) => total + scores[expert]!, 0);
  return chosen.map(
    ({ expert, weight }) => `${at("w", expert)} = ${three(scores[expert]!)} / ${three(sum)} = ${three(weight)}`,
  );
}
