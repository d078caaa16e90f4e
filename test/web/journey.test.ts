import { expect } from "chai";
import { contenderNames } from "../../src/web/batch/contenders.ts";
import { sizes, travel, wordsOf } from "../../src/web/journey/journey.ts";
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

  it("writes numbers in every step that are the journey's own", () => {
    for (const name of contenderNames) {
      for (let token = 0; token < words.length; token++) {
        const journey = travel(words, token, name, 1);
        for (const step of steps) expect(step.numbers(journey).join(), name).not.to.match(/NaN|undefined/);
      }
    }
    const journey = travel(words, 2, "topk", 1);
    const [, logit] = /= (−?[\d.]+)$/.exec(steps[1]!.numbers(journey)[0]!)!;
    expect(Number(logit!.replace("−", "-"))).to.be.closeTo(journey.logits[journey.chosen[0]!.expert]!, 0.005);
  });
});
