import { expect } from "chai";
import fc from "fast-check";
import { lossFreeBias } from "../../src/balance/loss-free-bias.ts";
import { countLoad } from "../../src/routing/assignment.ts";
import { newRouting, route } from "../../src/routing/route.ts";
import { normalLogits } from "../routing/small-batch.ts";

const knobs = { rate: 0.25, centred: false, schedule: "constant", until: 1 } as const;

function moved(
  start: number[],
  load: number[],
  given: Partial<typeof knobs> | Record<string, unknown> = {},
  progress = 1,
) {
  const bias = Float64Array.from(start);
  const step = { load: Float64Array.from(load), tokens: 0, progress, seen: new Float64Array(0), microBatches: 1 };
  lossFreeBias.update(bias, step, { ...knobs, ...given });
  return Array.from(bias);
}

const loads = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 });

describe("loss-free bias", () => {
  it("moves by the rate: down above the mean, up below it, not at all on it", () => {
    expect(moved([1, 1, 1, 1], [6, 1, 3, 2])).to.deep.equal([0.75, 1.25, 1, 1.25]); // mean 3
  });

  it("centred, subtracts the mean of the steps: -1 + 1 + 0 + 1 = 1, a quarter each", () => {
    expect(moved([0, 0, 0, 0], [6, 1, 3, 2], { centred: true })).to.deep.equal([-0.3125, 0.1875, -0.0625, 0.1875]);
  });

  it("centred, keeps the sum of the biases whatever the load", () => {
    fc.assert(
      fc.property(loads, (load) => {
        const start = load.map((_, i) => i / 8);
        const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
        expect(sum(moved(start, load, { centred: true }))).to.be.closeTo(sum(start), 1e-12);
      }),
    );
  });

  it("leaves an exactly balanced load alone", () => {
    for (const centred of [true, false]) {
      expect(moved([0.5, -0.5, 0.125], [7, 7, 7], { centred })).to.deep.equal([0.5, -0.5, 0.125]);
    }
  });

  const schedules = [
    // schedule, progress, share of the rate that is left when until is 0.8
    ["constant", 0.2, 1],
    ["constant", 0.9, 1],
    ["stop", 0.8, 1],
    ["stop", 0.81, 0],
    ["linear", 0.2, 0.75],
    ["linear", 0.8, 0],
    ["linear", 0.9, 0],
    ["cosine", 0.2, 0.5 * (1 + Math.SQRT1_2)],
    ["cosine", 0.4, 0.5],
    ["cosine", 0.8, 0],
    ["cosine", 0.9, 0],
  ] as const;
  for (const [schedule, progress, left] of schedules) {
    it(`${schedule}: at ${progress} of the training with until 0.8, ${left} of the rate is left`, () => {
      const [up] = moved([0, 0], [0, 2], { schedule, until: 0.8 }, progress);
      expect(up).to.be.closeTo(0.25 * left, 1e-15);
    });
  }

  it("every schedule is worked out by hand above", () => {
    expect(new Set(schedules.map(([schedule]) => schedule))).to.deep.equal(
      new Set(Object.keys(lossFreeBias.knobs.schedule.options)),
    );
  });

  it("balances a router that prefers one expert: the hottest of 8 goes from 97 % to near 1/8", () => {
    const shape = { experts: 8, topK: 1, groups: 1 };
    const tokens = 512;
    const logits = normalLogits(tokens, shape.experts, "bias").map((x, i) => x + (i % 8 === 0 ? 4 : 0));
    const settings = { selection: "topk", scoreFunction: "sigmoid", normalisation: "none", scale: 1 } as const;
    const routing = newRouting(logits, shape, settings);
    let bias = new Array<number>(8).fill(0);
    const hottest: number[] = [];
    for (let step = 0; step < 400; step++) {
      route(routing, { bias: Float64Array.from(bias) });
      const load = new Float64Array(8);
      countLoad(routing.assignment, load);
      hottest.push(Math.max(...load) / tokens);
      bias = moved(bias, Array.from(load), { rate: 0.002 });
    }
    expect(hottest[0]).to.be.above(0.9);
    expect(hottest.at(-1)).to.be.below(1.15 / 8);
  });
});
