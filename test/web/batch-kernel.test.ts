/** The page's routing kernel against the routing pass that it is a twin of, bit for bit. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { randomStream } from "../../src/core/random.ts";
import { newRouting, type Routing, type RoutingSettings, route } from "../../src/routing/route.ts";
import { BatchKernel } from "../../src/web/batch/kernel.ts";

const kernel = new BatchKernel(readFileSync("dist/wasm/batch.single.wasm"));

/** Of a number that is none, only that; a negative zero is not a positive one. */
const bitsOf = (values: ArrayLike<number>) =>
  new BigUint64Array(Float64Array.from(values, (value) => (Number.isNaN(value) ? Number.NaN : value)).buffer);

const resultOf = ({ scores, chosen, assignment }: Routing) => ({
  scores: bitsOf(scores),
  chosen,
  experts: assignment.experts,
  weights: bitsOf(assignment.weights),
});

function routeByKernel(routing: Routing, bias: Float64Array): void {
  expect([kernel.score(routing), kernel.choose(routing, bias), kernel.settle(routing)]).to.deep.equal([
    true,
    true,
    true,
  ]);
}

/** Ordinary rows first, then ties, rows of which most vanish, some that are all alike, and −∞ here and there. */
function logitsOf(tokens: number, experts: number, seed: number): Float64Array {
  const random = randomStream(seed, "logits");
  const manners = [
    () => random.gaussian(),
    () => Math.round(2 * random.gaussian()),
    () => 400 * random.gaussian(),
    () => 1.5,
    () => (random.uniform() < 0.3 ? Number.NEGATIVE_INFINITY : random.gaussian()),
    () => Number.NEGATIVE_INFINITY,
  ];
  return Float64Array.from({ length: tokens * experts }, (_, i) =>
    manners[Math.floor(i / experts) % manners.length]!(),
  );
}

const softmax = { scoreFunction: "softmax", normalisation: "chosen", scale: 1 } as const;

describe("the routing kernel of the page", () => {
  it("gives the bits of the routing pass, whatever the sizes", () => {
    const sizes = fc.record({
      perGroup: fc.integer({ min: 1, max: 3 }),
      groups: fc.constantFrom(1, 2, 3, 8),
      size: fc.integer({ min: 3, max: 17 }),
      tokens: fc.integer({ min: 1, max: 40 }),
      seed: fc.integer({ min: 1, max: 1000 }),
      selection: fc.constantFrom("topk" as const, "moge" as const),
      scale: fc.constantFrom(1, 2.5),
      isBiased: fc.boolean(),
    });
    fc.assert(
      fc.property(sizes, ({ perGroup, groups, size, tokens, seed, selection, scale, isBiased }) => {
        const shape = { experts: groups * size, topK: groups * perGroup, groups };
        const settings: RoutingSettings = { ...softmax, selection, scale };
        const logits = logitsOf(tokens, shape.experts, seed);
        const random = randomStream(seed, "bias");
        const bias = new Float64Array(shape.experts).map(() => (isBiased ? random.gaussian() / 4 : 0));
        const [expected, found] = [newRouting(logits, shape, settings), newRouting(logits, shape, settings)];
        route(expected, { bias });
        routeByKernel(found, bias);
        expect(resultOf(found)).to.deep.equal(resultOf(expected));
      }),
      { numRuns: 300 },
    );
  });

  it("leaves alone what it does not know", () => {
    const shape = { experts: 8, topK: 2, groups: 2 };
    const untouched = (settings: RoutingSettings, part: "score" | "choose" | "settle") => {
      const routing = newRouting(logitsOf(6, 8, 1), shape, settings);
      const before = structuredClone(resultOf(routing));
      expect(kernel[part](routing, new Float64Array(8)), part).to.equal(false);
      expect(resultOf(routing)).to.deep.equal(before);
    };
    untouched({ ...softmax, selection: "topk", scoreFunction: "sigmoid" }, "score");
    untouched({ ...softmax, selection: "group-limited" }, "choose");
    untouched({ ...softmax, selection: "expert-choice" }, "settle");
    untouched({ ...softmax, selection: "topk", normalisation: "none" }, "settle");
    untouched({ ...softmax, selection: "topk", scoreFunction: "sigmoid" }, "settle");
  });
});
