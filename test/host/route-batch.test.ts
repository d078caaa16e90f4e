/** The way of large files through the batch router: in blocks, with what `newRouting` and `route` give. */
import { expect } from "chai";
import type { Floats } from "../../src/core/floats.ts";
import { randomStream } from "../../src/core/random.ts";
import { routeBatch } from "../../src/host/route-batch.ts";
import { newRouting, type RoutingSettings, route } from "../../src/routing/route.ts";

const settings: RoutingSettings = { selection: "moge", scoreFunction: "softmax", normalisation: "chosen", scale: 1 };

/** How far the values of one array are from those of another, of their size. */
const ratios = (values: Floats, wanted: Floats): number[] =>
  Array.from(values, (value, i) => Math.abs(value / wanted[i]! - 1));

describe("routing a matrix of any size", () => {
  it("gives what the routers give, over several blocks of which the last is short", async () => {
    const shape = { experts: 1024, topK: 4, groups: 4 };
    const tokens = 2 * 4096 + 3;
    const random = randomStream(1, "route-batch.test");
    const logits = Float32Array.from({ length: tokens * shape.experts }, () => random.uniform());
    const routed = (await routeBatch(logits, shape, settings))!;
    const twin = newRouting(logits, shape, settings);
    route(twin);
    expect(routed.assignment.experts).to.deep.equal(twin.assignment.experts);
    const worst = Math.max(...ratios(routed.assignment.weights, twin.assignment.weights));
    expect(worst).to.be.below(2e-6);
    const off = ratios(routed.scores, twin.scores).reduce((most, each) => Math.max(most, each), 0);
    expect(off).to.be.below(2e-6);
  }).timeout(60_000);

  it("leaves other rules alone", async () => {
    const shape = { experts: 4, topK: 1, groups: 1 };
    expect(await routeBatch(new Float32Array(8), shape, { ...settings, selection: "sinkhorn" })).to.equal(undefined);
  });
});
