/** The batch router against the routers of src/routing/, which are its slow twin. */
import { expect } from "chai";
import fc from "fast-check";
import { randomStream } from "../../src/core/random.ts";
import { type BatchRouterSize, batchRouterRefusal } from "../../src/engine/batch-router.ts";
import { openBatchRouter } from "../../src/host/open-batch-router.ts";
import { placements } from "../../src/placement/placements.ts";
import { countLoad } from "../../src/routing/assignment.ts";
import { newRouting, type RoutingSettings, route } from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";

/** What single precision may make of a weight, of its own size. */
const TOLERANCE = 2e-6;

type Kind = "even" | "tied" | "tiny" | "far apart" | "masked" | "alike";

/** [tokens, experts] in single precision. */
function logitsOf(kind: Kind, seed: number, tokens: number, experts: number): Float32Array {
  const random = randomStream(seed, "batch-router.test", kind);
  const draw: Record<Kind, () => number> = {
    even: () => 2 * random.gaussian(),
    tied: () => Math.round(2 * random.gaussian()) / 4,
    tiny: () => random.gaussian() * (random.below(2) ? 1e-9 : 1e-38),
    "far apart": () => 400 * random.gaussian(),
    masked: () => (random.below(3) === 0 ? Number.NEGATIVE_INFINITY : random.gaussian()),
    alike: () => 0,
  };
  const values = Float32Array.from({ length: tokens * experts }, draw[kind]);
  // One expert at least is open to every token.
  for (let t = 0; t < tokens; t++) if (kind === "masked") values[t * experts + random.below(experts)] = 1;
  return values;
}

const settingsOf = (
  selection: RoutingSettings["selection"],
  normalisation: RoutingSettings["normalisation"] = "none",
  options?: RoutingSettings["options"],
): RoutingSettings => ({ selection, scoreFunction: "softmax", normalisation, scale: 1.5, options });

/** Routes both ways and compares everything. */
async function compare(size: BatchRouterSize, logits: Float32Array, threads: number): Promise<void> {
  const { shape, settings, tokens, batch = tokens, deviceOf } = size;
  const router = await openBatchRouter(size, threads);
  router.logits.set(logits);
  const { assignment, expertLoad, deviceLoad, scores } = router.route();
  const twin = newRouting(logits, shape, settings);
  route(twin);
  expect(Array.from(assignment.experts)).to.deep.equal(Array.from(twin.assignment.experts));
  for (let j = 0; j < assignment.weights.length; j++) {
    const wanted = twin.assignment.weights[j]!;
    const rounding = wanted > 0 ? Math.abs(Math.log(wanted)) * 2 ** -23 : 0; // of the exponent, far below the largest
    expect(Math.abs(assignment.weights[j]! - wanted)).to.be.at.most((TOLERANCE + rounding) * wanted + 1e-37);
  }
  if (scores !== undefined) {
    for (let i = 0; i < scores.length; i++) expect(scores[i]).to.be.closeTo(twin.scores[i]!, 1e-6);
  }
  const load = new Int32Array(shape.experts);
  countLoad(twin.assignment, load);
  expect(Array.from(expertLoad)).to.deep.equal(Array.from(load));
  if (deviceOf !== undefined) {
    const devices = Math.max(...deviceOf) + 1;
    for (let b = 0; b * batch < tokens; b++) {
      const ofBatch = new Int32Array(shape.experts);
      countLoad(twin.assignment, ofBatch, { first: b * batch, last: Math.min(tokens, (b + 1) * batch) });
      const wanted = new Int32Array(devices);
      ofBatch.forEach((count, expert) => {
        wanted[deviceOf[expert]!]! += count;
      });
      expect(Array.from(deviceLoad.subarray(b * devices, (b + 1) * devices))).to.deep.equal(Array.from(wanted));
    }
  }
  router.close();
}

const kinds = fc.constantFrom<Kind>("even", "tied", "tiny", "far apart", "masked", "alike");
const normalisations = fc.constantFrom("none" as const, "chosen" as const);
const common = { kind: kinds, normalisation: normalisations, seed: fc.nat(), tokens: fc.integer({ min: 1, max: 70 }) };
const runs = { numRuns: 60 };

describe("the batch router", function () {
  this.timeout(120_000);

  it("takes the same experts as top-k, in the same slots, with the same weights", async () => {
    const cases = fc.record({
      ...common,
      experts: fc.integer({ min: 1, max: 300 }),
      k: fc.integer({ min: 1, max: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ kind, normalisation, seed, tokens, experts, k }) => {
        const shape = { experts, topK: Math.min(k, experts), groups: 1 };
        const size = { shape, settings: settingsOf("topk", normalisation), tokens, scores: true };
        await compare(size, logitsOf(kind, seed, tokens, experts), 1);
      }),
      runs,
    );
  });

  it("takes the same experts as MoGE", async () => {
    const cases = fc.record({
      ...common,
      groups: fc.integer({ min: 1, max: 16 }),
      groupSize: fc.constantFrom(1, 2, 3, 4, 7, 8, 12, 16, 24, 32, 48),
      perGroup: fc.integer({ min: 1, max: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ kind, normalisation, seed, tokens, groups, groupSize, perGroup }) => {
        const shape = { experts: groups * groupSize, topK: groups * Math.min(perGroup, groupSize), groups };
        const size = { shape, settings: settingsOf("moge", normalisation), tokens };
        await compare(size, logitsOf(kind, seed, tokens, shape.experts), 1);
      }),
      runs,
    );
  });

  it("takes the same groups and experts as group-limited routing", async () => {
    const cases = fc.record({
      ...common,
      groups: fc.integer({ min: 1, max: 12 }),
      groupSize: fc.constantFrom(2, 3, 4, 8, 13, 32),
      limit: fc.integer({ min: 1, max: 12 }),
      k: fc.integer({ min: 1, max: 20 }),
      groupScore: fc.constantFrom("max", "top-2-sum"),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ kind, normalisation, seed, tokens, groups, groupSize, k, ...of }) => {
        const limit = Math.min(of.limit, groups);
        const shape = { experts: groups * groupSize, topK: Math.min(k, limit * groupSize), groups };
        const settings = settingsOf("group-limited", normalisation, { limit, groupScore: of.groupScore });
        await compare({ shape, settings, tokens }, logitsOf(kind, seed, tokens, shape.experts), 1);
      }),
      runs,
    );
  });

  const large: readonly { title: string; shape: RouterShape; settings: RoutingSettings; tokens: number }[] = [
    {
      title: "64 of 2,048 experts",
      shape: { experts: 2048, topK: 64, groups: 1 },
      settings: settingsOf("topk"),
      tokens: 130,
    },
    {
      title: "DeepSeek-V3's 8 of 256 in 4 of 8 groups",
      shape: { experts: 256, topK: 8, groups: 8 },
      settings: settingsOf("group-limited", "chosen", { limit: 4, groupScore: "top-2-sum" }),
      tokens: 20_000,
    },
    {
      title: "Pangu's 8 × 1 of 8",
      shape: { experts: 64, topK: 8, groups: 8 },
      settings: settingsOf("moge"),
      tokens: 5000,
    },
  ];
  for (const { title, shape, settings, tokens } of large) {
    it(`routes ${title} on two threads, and counts the devices of each batch`, async () => {
      const logits = logitsOf("even", 5, tokens, shape.experts);
      const deviceOf = placements.contiguous.place(shape.experts, 8);
      for (const batch of [16, 60, 2500]) await compare({ shape, settings, tokens, batch, deviceOf }, logits, 2);
    });
  }

  it("gives the same bits on one thread and on three", async () => {
    const size = { shape: { experts: 64, topK: 8, groups: 1 }, settings: settingsOf("topk"), tokens: 9001, batch: 256 };
    const logits = logitsOf("even", 9, size.tokens, 64);
    const [one, three] = await Promise.all([1, 3].map((threads) => openBatchRouter(size, threads)));
    one!.logits.set(logits);
    three!.logits.set(logits);
    const [a, b] = [one!.route(), three!.route()];
    expect(b.assignment.weights).to.deep.equal(a.assignment.weights);
    expect(b.assignment.experts).to.deep.equal(a.assignment.experts);
    expect(b.deviceLoad).to.deep.equal(a.deviceLoad);
    three!.close();
  });

  it("routes the first tokens alone, one pass after another", async () => {
    const size = { shape: { experts: 8, topK: 2, groups: 1 }, settings: settingsOf("topk"), tokens: 50, batch: 20 };
    const router = await openBatchRouter(size, 1);
    router.logits.set(logitsOf("even", 3, 50, 8));
    const all = Array.from(router.route().assignment.experts);
    const part = router.route(30);
    expect(Array.from(part.assignment.experts)).to.deep.equal(all.slice(0, 60));
    expect(part.expertLoad.reduce((sum, each) => sum + each)).to.equal(60);
    expect(part.deviceLoad.length).to.equal(2 * 8);
    expect(() => router.route(51)).to.throw("51 tokens; the router has room for 50");
  });

  it("says what it leaves to the routers of routing/", async () => {
    const shape = { experts: 8, topK: 2, groups: 2 };
    expect(batchRouterRefusal(shape, settingsOf("moge"))).to.equal(undefined);
    expect(batchRouterRefusal(shape, settingsOf("sinkhorn"))).to.equal("selection sinkhorn");
    expect(batchRouterRefusal(shape, { ...settingsOf("topk"), scoreFunction: "sigmoid" })).to.equal(
      "scores by sigmoid",
    );
    expect(batchRouterRefusal({ ...shape, experts: 4096 }, settingsOf("topk"))).to.match(/more than 2048 experts/);
    const size = { shape: { experts: 9, topK: 2, groups: 2 }, settings: settingsOf("moge"), tokens: 1 };
    await openBatchRouter(size, 1).then(
      () => expect.fail("routed 9 experts in 2 groups"),
      (error: Error) => expect(error.message).to.match(/9 experts do not divide into 2 groups/),
    );
  });
});
