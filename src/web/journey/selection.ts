/** How each router picks: in words, as a formula, and in the token's own numbers. */
import type { ContenderName } from "../batch/contenders.ts";
import type { Phrase } from "../phrase.ts";
import { type Journey, sizes } from "./journey.ts";
import { at, expertsOf, list, set, short, three } from "./notation.ts";

interface Selection {
  readonly text: Phrase;
  readonly formula: string;
  /** The formula in numbers, a line each. */
  readonly numbers: (journey: Journey) => readonly string[];
}

const { experts, topK, groups } = sizes;
const inGroup = experts / groups;

export const selections: Readonly<Record<ContenderName, Selection>> = {
  topk: {
    text: {
      en: "Top-k takes the four best scores, wherever they are. Some device may get several of them, some none.",
      zh: "top-k 取最好的四个分数，不管它们在哪。有的设备可能得到好几个，有的一个也没有。",
    },
    formula: `S = topK { sᵢ },  K = ${topK}`,
    numbers: (journey) => [
      expertsOf(journey)
        .map((expert) => scoreOf(journey, expert))
        .join(" > "),
      `max { sᵢ : i ∉ S } = ${scoreOf(journey, best(journey.scores, othersOf(journey)))}`,
    ],
  },
  moge: {
    text: {
      en: "MoGE takes the best expert of each of four groups. Here a group is a device, so each device gets exactly one, of every token.",
      zh: "MoGE 在四个组中各取最好的一个专家。这里一组就是一台设备，所以对每个词元，每台设备恰好得到一个。",
    },
    formula: "S = ⋃ₘ top(K/M) { sᵢ : i ∈ Gₘ }",
    numbers: ({ scores }) => [
      `K/M = ${topK}/${groups} = ${topK / groups}`,
      ...membersOfGroups.map((members, m) => {
        const own = members.map((expert) => short(scores[expert]!)).join(", ");
        return `max ${at("G", m)} = max(${own}) = ${at("s", best(scores, members))}`;
      }),
    ],
  },
  "topk-lossfree": {
    text: {
      en: "Top-k again, but each score is shifted by a bias that was learned from the loads: down for experts that had too much. Only the choice sees it; the weights do not.",
      zh: "仍是 top-k，但每个分数先加上从负载学到的偏置：过载的专家偏置为负。只有选择看到它，权重看不到。",
    },
    formula: `S = topK { sᵢ + bᵢ },  K = ${topK}`,
    numbers(journey) {
      const { scores, bias } = journey;
      const next = best(
        scores.map((score, i) => score + bias[i]!),
        othersOf(journey),
      );
      return [
        ...expertsOf(journey).map((expert) => biased(journey, expert)),
        `max { sᵢ + bᵢ : i ∉ S }: ${biased(journey, next)}`,
      ];
    },
  },
  "group-limited": {
    text: {
      en: "The token first picks its two best groups, then its four best experts in them. It travels to two devices at most, but nothing balances them.",
      zh: "词元先选出最好的两个组，再在其中选最好的四个专家。它最多去两台设备，但没有任何东西使设备均衡。",
    },
    formula: "S = topK { sᵢ : i ∈ Gₘ, m ∈ B },  B = top2 { max Gₘ }",
    numbers({ scores }) {
      const bests = membersOfGroups.map((members) => scores[best(scores, members)]!);
      const kept = [...bests.keys()].sort((a, b) => bests[b]! - bests[a]!).slice(0, 2);
      return [
        ...membersOfGroups.map(
          (members, m) => `max ${at("G", m)} = ${at("s", best(scores, members))} = ${three(bests[m]!)}`,
        ),
        `B = ${set(kept)}`,
      ];
    },
  },
  switch: {
    text: {
      en: "Switch takes the single best expert: the least to compute and to send.",
      zh: "Switch 只取最好的一个专家：计算和传输都最少。",
    },
    formula: "S = { i : sᵢ = max s }",
    numbers: (journey) => expertsOf(journey).map((expert) => `max s = ${scoreOf(journey, expert)}`),
  },
  "expert-choice": {
    text: {
      en: "Here the experts choose: each takes the C tokens of the sentence that score best with it; rᵢ is the place of this token with expert i. A token may end up with many experts or with none, and later words decide about earlier ones.",
      zh: "这里由专家来选：每个专家取句中对它得分最高的 C 个词元；rᵢ 是这个词元在专家 i 那里的名次。一个词元可能得到许多专家，也可能一个也没有；而且后面的词会影响前面的词。",
    },
    formula: "S = { i : rᵢ ≤ C },  C = max(1, ⌊T · K/N⌋)",
    numbers(journey) {
      const tokens = journey.routing.assignment.tokens;
      const share = `⌊${tokens} · ${topK}/${experts}⌋`;
      const count = Math.max(1, Math.floor((tokens * topK) / experts));
      return [`C = max(1, ${share}) = ${count}`, `(r₀, …, ${at("r", experts - 1)}) = (${list(placesOf(journey))})`];
    },
  },
};

const membersOfGroups = Array.from({ length: groups }, (_, m) =>
  Array.from({ length: inGroup }, (_unused, i) => m * inGroup + i),
);

const othersOf = ({ scores, chosen }: Journey): number[] =>
  [...scores.keys()].filter((expert) => !chosen.some((each) => each.expert === expert));

/** Of some experts the one with the largest value, the first of equal ones. */
const best = (values: Float64Array, among: readonly number[]): number =>
  among.reduce((found, each) => (values[each]! > values[found]! ? each : found));

const scoreOf = ({ scores }: Journey, expert: number): string => `${at("s", expert)} = ${three(scores[expert]!)}`;

function biased({ scores, bias }: Journey, expert: number): string {
  const [score, shift] = [scores[expert]!, bias[expert]!];
  const sum = `${three(score)} ${shift < 0 ? "−" : "+"} ${three(Math.abs(shift))} = ${three(score + shift)}`;
  return `${at("s", expert)} + ${at("b", expert)} = ${sum}`;
}

/** The token's place in the list of each expert, from 1; of equal scores the earlier token comes first. */
function placesOf({ routing: { scores, assignment }, token }: Journey): number[] {
  const scoreAt = (t: number, expert: number) => scores[t * experts + expert]!;
  return Array.from({ length: experts }, (_, expert) => {
    const own = scoreAt(token, expert);
    const isBefore = (t: number) => scoreAt(t, expert) > own || (scoreAt(t, expert) === own && t < token);
    return 1 + Array.from({ length: assignment.tokens }, (_unused, t) => t).filter(isBefore).length;
  });
}
