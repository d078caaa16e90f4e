import { expect } from "chai";
import { randomStream } from "../../src/core/random.ts";
import { type RoutingPreset, type RoutingPresetName, routingPresets } from "../../src/routing/presets.ts";
import { newRouting, optionsOf, route } from "../../src/routing/route.ts";
import { routerNamed } from "../../src/routing/routers.ts";
import { normalLogits } from "./small-batch.ts";

/** Logits whose softmax is 1/16 … 4/16, by hand. */
const shares = [1, 4, 2, 3, 1, 1, 2, 2];
const logits = Float64Array.from(shares, Math.log);
const shape = { experts: 8, topK: 2, groups: 2 };

function routeBy(preset: RoutingPresetName, sizes = shape, x: Float64Array = logits) {
  const routing = newRouting(x, sizes, routingPresets[preset].settings);
  const ids = Array.from({ length: routing.assignment.tokens }, (_, t) => t);
  route(routing, { random: randomStream(1, "preset"), tokenIds: ids, domains: ids });
  return routing.assignment;
}

describe("routing presets", () => {
  for (const [name, preset] of Object.entries<RoutingPreset>(routingPresets)) {
    it(`${name} says where it comes from and what differs, sets knobs that exist, and routes`, () => {
      expect(preset.source).to.match(/\w{4}/);
      expect(preset.differs).to.match(/\w{4}/);
      const { settings } = preset;
      const router = routerNamed(settings.selection);
      for (const [knob, value] of Object.entries(settings.options ?? {})) {
        const declared = router.knobs?.[knob];
        expect(declared, knob).not.to.equal(undefined);
        if (declared?.kind === "choice") expect(Object.keys(declared.options)).to.include(value);
      }
      if (router.scoreFunctions) expect(router.scoreFunctions).to.include(settings.scoreFunction);
      const sizes = [8, 6, 2, 1].map((topK) => ({ experts: 32, topK, groups: 8 }));
      const fits = sizes.find((each) => router.contradiction(each, optionsOf(settings) as never) === undefined);
      const { weights, experts } = routeBy(name as RoutingPresetName, fits, normalLogits(24, 32));
      expect(experts.some((expert) => expert >= 0)).to.equal(true);
      weights.forEach((weight, slot) => {
        if (experts[slot]! >= 0) expect(weight).to.be.above(0);
        else expect(weight).to.equal(0);
      });
    });
  }

  it("pangu-topk takes the best of all and weighs them to 1: 4 and 3 become 4/7 and 3/7", () => {
    const { experts, weights } = routeBy("pangu-topk");
    expect(Array.from(experts)).to.deep.equal([1, 3]);
    expect(weights[0]).to.be.closeTo(4 / 7, 1e-15);
    expect(weights[1]).to.be.closeTo(3 / 7, 1e-15);
  });

  it("pangu-moge takes the best of each group at its global softmax: 4/16 and, of equal ones, the lower 2/16", () => {
    const { experts, weights } = routeBy("pangu-moge");
    expect(Array.from(experts)).to.deep.equal([1, 6]);
    expect(weights[0]).to.be.closeTo(4 / 16, 1e-15);
    expect(weights[1]).to.be.closeTo(2 / 16, 1e-15);
  });

  it("megatron-pre-softmax leaves the weights as they are: 4/16 and 3/16", () => {
    const { weights } = routeBy("megatron-pre-softmax");
    expect(weights[0]).to.be.closeTo(4 / 16, 1e-15);
    expect(weights[1]).to.be.closeTo(3 / 16, 1e-15);
  });

  it("megatron-sigmoid keeps the score of a single expert: e^{ln 4} / (1 + e^{ln 4}) = 4/5", () => {
    expect(routeBy("megatron-sigmoid", { ...shape, topK: 1 }).weights[0]).to.be.closeTo(4 / 5, 1e-15);
  });
});
