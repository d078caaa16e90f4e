import { expect } from "chai";
import { routingPresets } from "../../src/routing/presets.ts";
import { newRouting, route } from "../../src/routing/route.ts";

/** Logits whose softmax is 1/16 … 4/16, by hand. */
const shares = [1, 4, 2, 3, 1, 1, 2, 2];
const logits = Float64Array.from(shares, Math.log);
const shape = { experts: 8, topK: 2, groups: 2 };

function routeBy(preset: keyof typeof routingPresets) {
  const routing = newRouting(logits, shape, routingPresets[preset].settings);
  route(routing);
  return routing.assignment;
}

describe("routing presets", () => {
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
});
