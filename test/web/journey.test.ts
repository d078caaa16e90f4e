import { expect } from "chai";
import { type ContenderName, contenderNames } from "../../src/web/batch/contenders.ts";
import { sizes, travel, wordsOf } from "../../src/web/journey/journey.ts";
import { selections } from "../../src/web/journey/selection.ts";
import { steps } from "../../src/web/journey/steps.ts";

const words = wordsOf("the river bank lent money to the fisherman");

describe("one token's journey", () => {
  it("takes words, and characters of Chinese", () => {
    expect(wordsOf("  MoE路由 is  fun ")).to.deep.equal(["MoE", "路", "由", "is", "fun"]);
    expect(wordsOf(" ")).to.deep.equal([]);
  });

  it("adds up: logits, softmax, weights and outputs, by hand", () => {
    const { input, router, logits, scores, chosen, outputs, output } = travel(words, 2, "topk", 1);
    const byHand = Array.from({ length: sizes.experts }, (_, i) =>
      input.reduce((sum, value, h) => sum + router[i * sizes.hidden + h]! * value, 0),
    );
    expect(Array.from(logits)).to.deep.equal(byHand);
    const total = byHand.reduce((sum, logit) => sum + Math.exp(logit), 0);
    for (const [i, logit] of byHand.entries()) expect(scores[i]).to.be.closeTo(Math.exp(logit) / total, 1e-12);
    const best = [...byHand.keys()].sort((a, b) => byHand[b]! - byHand[a]!).slice(0, sizes.topK);
    expect(chosen.map(({ expert }) => expert)).to.deep.equal(best);
    const ofChosen = best.reduce((all, expert) => all + scores[expert]!, 0);
    for (const { expert, weight } of chosen) expect(weight).to.be.closeTo(scores[expert]! / ofChosen, 1e-12);
    for (const [h, value] of output.entries()) {
      const sum = chosen.reduce((all, { expert, weight }) => all + weight * outputs[expert]![h]!, 0);
      expect(value).to.be.closeTo(sum, 1e-12);
    }
  });

  it("changes only the selection with the router", () => {
    const reference = travel(words, 2, "topk", 1);
    const chosen = new Set<string>();
    for (const name of contenderNames) {
      const journey = travel(words, 2, name, 1);
      expect(journey.logits).to.deep.equal(reference.logits);
      expect(journey.scores).to.deep.equal(reference.scores);
      expect(journey.outputs).to.deep.equal(reference.outputs);
      chosen.add(journey.chosen.map(({ expert }) => expert).join());
    }
    expect(chosen.size).to.be.at.least(4);
    const moge = travel(words, 2, "moge", 1).chosen.map(({ expert }) => Math.floor(expert / 4));
    expect(moge).to.deep.equal([0, 1, 2, 3]);
  });

  /** The numbers that a line of the selection gives, those below a letter as well. */
  const numbersIn = (line: string): number[] =>
    [...line.replaceAll(/[₀-₉]/g, (digit) => String("₀₁₂₃₄₅₆₇₈₉".indexOf(digit))).matchAll(/[−-]?[\d.]+/g)].map(
      ([number]) => Number(number.replace("−", "-")),
    );
  const afterSign = (line: string): string => line.slice(line.lastIndexOf("=") + 1);

  const sentences = ["one", "a b c", "the river bank lent money to the fisherman", "专家 混合 moe ".repeat(3)].map(
    wordsOf,
  );

  it("explains each router's choice by numbers from which it follows", () => {
    for (const all of sentences) {
      for (const name of contenderNames) {
        for (let token = 0; token < all.length; token++) {
          const journey = travel(all, token, name, 1);
          const experts = journey.chosen.map(({ expert }) => expert);
          const lines = selections[name].numbers(journey);
          const what = `${name}, ${all[token]}: ${lines.join("; ")}`;
          expect(numbersIn(steps[3]!.numbers(journey).at(-1)!), what).to.deep.equal(experts);
          const follows: Record<ContenderName, () => unknown> = {
            topk: () => [...numbersIn(lines[0]!).filter((_, i) => i % 2 === 0)],
            moge: () => lines.slice(1).map((line) => numbersIn(afterSign(line))[0]),
            "topk-lossfree": () => lines.slice(0, -1).map((line) => numbersIn(line)[0]),
            "group-limited": () => {
              const kept = numbersIn(lines.at(-1)!);
              const candidates = [...journey.scores.keys()].filter((expert) => kept.includes(Math.floor(expert / 4)));
              const maxima = lines.slice(0, -1).map((line) => numbersIn(afterSign(line))[0]!);
              const others = maxima.filter((_, m) => !kept.includes(m));
              expect(Math.min(...kept.map((m) => maxima[m]!)), what).to.be.at.least(Math.max(...others));
              return candidates.sort((a, b) => journey.scores[b]! - journey.scores[a]!).slice(0, 4);
            },
            switch: () => lines.map((line) => numbersIn(line)[0]),
            "expert-choice": () => {
              const [count] = numbersIn(afterSign(lines[0]!));
              return [...numbersIn(afterSign(lines[1]!)).entries()]
                .filter(([, place]) => place <= count!)
                .map(([i]) => i);
            },
          };
          expect(follows[name](), what).to.have.members(experts);
        }
      }
    }
    const biased = selections["topk-lossfree"].numbers(travel(words, 2, "topk-lossfree", 1));
    const sums = biased.map((line) => numbersIn(afterSign(line))[0]!);
    expect(sums).to.deep.equal([...sums].sort((a, b) => b - a)); // the best that was left out comes last
  });

  it("writes numbers in every step that are the journey's own", () => {
    for (const name of contenderNames) {
      for (let token = 0; token < words.length; token++) {
        const journey = travel(words, token, name, 1);
        for (const { formula, numbers, working = numbers } of steps) {
          for (const line of [formula(journey), ...numbers(journey), ...working(journey)])
            expect(line, name).not.to.match(/NaN|undefined|^$/);
        }
      }
    }
    const journey = travel(words, 2, "topk", 1);
    const [, logit] = /= (−?[\d.]+)$/.exec(steps[1]!.numbers(journey)[0]!)!;
    expect(Number(logit!.replace("−", "-"))).to.be.closeTo(journey.logits[journey.chosen[0]!.expert]!, 0.005);
  });

  it("adds up in its workings: the exponentials to their sum, the weighted outputs to each number of the sum", () => {
    const journey = travel(words, 2, "moge", 1);
    const sum = steps[2]!.working!(journey)[0]!;
    const terms = numbersIn(sum);
    expect(terms.slice(0, -1).reduce((all, each) => all + each, 0)).to.be.closeTo(terms.at(-1)!, 0.1);
    for (const [k, line] of steps[6]!.working!(journey).slice(4).entries()) {
      const [, ...factors] = numbersIn(line);
      const products = journey.chosen.map((_, j) => factors[2 * j]! * factors[2 * j + 1]!);
      expect(
        products.reduce((all, each) => all + each, 0),
        line,
      ).to.be.closeTo(journey.output[k]!, 0.05);
      expect(factors.at(-1)).to.be.closeTo(journey.output[k]!, 0.005);
    }
  });
});
