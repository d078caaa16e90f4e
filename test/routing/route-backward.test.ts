import { expect } from "chai";
import { NO_EXPERT } from "../../src/routing/assignment.ts";
import { weigh } from "../../src/routing/gates.ts";
import { newRouting, type Routing, route, routeBackward, score } from "../../src/routing/route.ts";
import { capacity, combinations, expertScale, logits, nameOf, raw, routed, tokens } from "./combinations.ts";
import { normalLogits, numericalGradient } from "./small-batch.ts";

/** The weights of moved logits, the choice and the noise held. */
function weightsAgain(held: Routing, x: Float64Array, secondProjection = raw, scale = held.settings.expertScale) {
  const settings = { ...held.settings, ...(scale && { expertScale: scale }) };
  const again = newRouting(x, held.shape, settings, { raw: secondProjection });
  if (again.noise && held.noise) (again.noise.draws as Float64Array).set(held.noise.draws);
  score(again);
  again.chosen.set(held.chosen);
  again.assignment.experts.set(held.assignment.experts);
  if (held.assignment.refused) again.assignment.refused!.set(held.assignment.refused);
  weigh(again);
  return again.assignment.weights;
}

const directions = (length: number) => Float64Array.from({ length }, (_, i) => Math.sin(3 * i + 1));
const weighted = (values: ArrayLike<number>, by: Float64Array) =>
  by.reduce((all, each, i) => all + each * values[i]!, 0);

function backward(routing: Routing, v: Float64Array) {
  const gradients = {
    weights: v,
    logits: new Float64Array(logits.length),
    raw: new Float64Array(logits.length),
    expertScale: new Float64Array(12),
  };
  routeBackward(routing, gradients);
  return gradients;
}

const expectClose = (got: ArrayLike<number>, wanted: Float64Array) =>
  wanted.forEach((value, i) => {
    expect(got[i], `${i}`).to.be.closeTo(value, 2e-8);
  });

describe("routeBackward", () => {
  const differentiable = combinations.filter(({ normalisation }) => normalisation !== "straight-through");
  for (const settings of differentiable) {
    it(`is the derivative by logits, expert scales and the noise's projection: ${nameOf(settings)}`, () => {
      for (const renormalise of [undefined, true, false]) {
        const limits = renormalise === undefined ? {} : { capacity: { ...capacity, renormalise } };
        const routing = routed({ ...settings, expertScale, ...limits });
        const v = directions(routing.assignment.weights.length);
        const got = backward(routing, v);
        expectClose(
          got.logits,
          numericalGradient((x) => weighted(weightsAgain(routing, x), v), logits),
        );
        const byScale = (scale: Float64Array) => weighted(weightsAgain(routing, logits, raw, scale), v);
        expectClose(got.expertScale, numericalGradient(byScale, expertScale));
        if (routing.noise === undefined) continue;
        expectClose(
          got.raw,
          numericalGradient((r) => weighted(weightsAgain(routing, logits, r), v), raw),
        );
      }
    });
  }

  it("of straight-through weights is that of the scores themselves, though the weights do not move", () => {
    for (const settings of combinations.filter(({ normalisation }) => normalisation === "straight-through")) {
      const routing = routed({ ...settings, expertScale });
      const v = directions(routing.assignment.weights.length);
      const scores = { ...routing, settings: { ...routing.settings, normalisation: "none" as const } };
      expect(backward(routing, v).logits).to.deep.equal(backward(scores, v).logits);
      expectClose(
        weightsAgain(routing, logits),
        Float64Array.from(
          weightsAgain(
            routing,
            logits.map((x) => x + 0.01),
          ),
        ),
      );
    }
  });

  it("of relu routing is the derivative of the whole rule: experts come in with weight 0, so the choice needs no holding", () => {
    const settings = { selection: "relu", scoreFunction: "relu", normalisation: "none", scale: 1 } as const;
    // By expert, not by slot: experts that come in move the others' slots.
    const v = normalLogits(tokens, 12, "v");
    const whole = (x: Float64Array) => {
      const { assignment } = routed(settings, x);
      return assignment.experts.reduce((all, expert, slot) => {
        const token = Math.floor(slot / assignment.slots);
        return expert === NO_EXPERT ? all : all + v[token * 12 + expert]! * assignment.weights[slot]!;
      }, 0);
    };
    const routing = routed(settings);
    const { slots } = routing.assignment;
    const byWeight = Float64Array.from(routing.assignment.experts, (expert, slot) =>
      expert === NO_EXPERT ? 0 : v[Math.floor(slot / slots) * 12 + expert]!,
    );
    expectClose(backward(routing, byWeight).logits, numericalGradient(whole, logits));
    const crossing = logits.map((x) => (x > 0 ? 1e-12 : x));
    expect(Math.abs(whole(crossing) - whole(crossing.map((x) => (x > 0 ? -1e-12 : x))))).to.be.below(1e-10);
  });

  it("of one weight that is always 1 is zero", () => {
    const routing = newRouting(
      normalLogits(2, 6),
      { experts: 6, topK: 1, groups: 1 },
      {
        selection: "topk",
        scoreFunction: "softmax",
        normalisation: "chosen",
        scale: 1,
      },
    );
    route(routing);
    const gradient = new Float64Array(12).fill(1);
    routeBackward(routing, { weights: Float64Array.of(3, -2), logits: gradient });
    for (const value of gradient) expect(value).to.be.closeTo(0, 1e-15);
  });
});
