import { expect } from "chai";
import fc from "fast-check";
import { capped } from "../../src/cluster/capped-profile.ts";

const NONE = 0xffff;

describe("recorded tokens under a capacity", () => {
  it("lose those that come when their expert is full, batch by batch: the slow twin", () => {
    const anyTokens = fc.array(fc.constantFrom(0, 1, 2, 3, NONE), { minLength: 20, maxLength: 20 });
    fc.assert(
      fc.property(anyTokens, fc.double({ min: 0.5, max: 2, noNaN: true }), (chosen, factor) => {
        // 10 tokens of two slots, in batches of 5.
        const capacity = Math.ceil(((5 * 2) / 4) * factor);
        const kept = [0, 0, 0, 0];
        let dropped = 0;
        for (const batch of [chosen.slice(0, 10), chosen.slice(10)]) {
          const room = [capacity, capacity, capacity, capacity];
          for (const expert of batch) {
            if (expert === NONE) continue;
            if (room[expert]!-- > 0) kept[expert]!++;
            else dropped++;
          }
        }
        const all = chosen.filter((expert) => expert !== NONE).length;
        const found = capped("", chosen, 2, 4, NONE, 5, factor);
        expect(found.capacity).to.equal(capacity);
        expect(found.dropRate).to.equal(all === 0 ? 0 : dropped / all);
        for (const [e, picks] of found.profile.picks.entries()) expect(picks).to.be.closeTo(kept[e]! / 10, 1e-12);
      }),
    );
  });

  it("lose nothing without one", () => {
    const { dropRate, capacity } = capped("", [0, 0, 0, 0], 1, 2, NONE, 2, Number.POSITIVE_INFINITY);
    expect([dropRate, capacity]).to.deep.equal([0, Number.POSITIVE_INFINITY]);
  });
});
