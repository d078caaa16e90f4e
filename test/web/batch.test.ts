import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { balanceForward, countSequence, newBalance } from "../../src/balance/balance.ts";
import type { BalanceSetting } from "../../src/balance/rules.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { balanceShape, routingSettings } from "../../src/config/router-settings.ts";
import { expectedFanOut, expectedImbalanceScore } from "../../src/metrics/expected-imbalance.ts";
import { type Assignment, countLoad } from "../../src/routing/assignment.ts";
import { newRouting, route } from "../../src/routing/route.ts";
import { balanced, shift } from "../../src/web/batch/balanced.ts";
import { type ContenderName, contenderNames } from "../../src/web/batch/contenders.ts";
import { measureRouting } from "../../src/web/batch/measure.ts";
import { routeByKernel } from "../../src/web/batch/pass.ts";
import { logitsOf } from "../../src/web/batch/preferences.ts";
import { refusalOf } from "../../src/web/batch/refusal.ts";
import { configOf, type Routed, type RoutedBatch, routeBatch } from "../../src/web/batch/routed-batch.ts";
import type { Slider } from "../../src/web/knobs/knob.ts";
import { initialValues, type KnobName, type KnobValues, knobNamed } from "../../src/web/knobs/knobs.ts";

function routed(set: Partial<KnobValues>, name: ContenderName): RoutedBatch {
  const outcome = routeBatch({ ...initialValues, ...set }, name);
  if ("batch" in outcome) return outcome.batch;
  throw new Error(outcome.refusal.en);
}

/** The same, step by step, without anything of the page that is there for speed. */
function routedByPass(set: Partial<KnobValues>, name: ContenderName): Routed {
  const values = { ...initialValues, ...set };
  const config = configOf(values, name);
  const { model } = config;
  const [shape, settings] = [balanceShape(config), routingSettings(config)];
  const preferences = { seed: values.seed, experts: model.experts, skew: values.skew };
  const { offset, bias } = balanced(preferences, config.balance[0] as BalanceSetting, shape, settings);
  const routing = newRouting(logitsOf(preferences, values.tokens, "shown", offset), model, settings);
  route(routing, { bias });
  const expertLoad = new Float64Array(model.experts);
  countLoad(routing.assignment, expertLoad);
  const { assignment, chosen } = routing;
  return { assignment, chosen, expertLoad, measures: measureRouting(routing, expertLoad) };
}

const figuresOf = ({ assignment, chosen, expertLoad, measures }: Routed) => ({
  assignment,
  chosen,
  expertLoad,
  dropRate: measures.dropRate,
  chosenProbability: measures.chosenProbability,
});

describe("the batch of the page", () => {
  // Other seeds, so that nothing is remembered.
  for (const [by, bytes, seed] of [
    ["TypeScript", undefined, 1],
    ["its kernel", readFileSync("dist/wasm/batch.single.wasm"), 2],
  ] as const) {
    it(`routes by ${by} as the routing pass does that a run makes, score for score`, () => {
      routeByKernel(bytes);
      for (const name of contenderNames) {
        for (const other of [{}, { balance: 0.3 }, { capacity: 1.25, skew: 2 }, { experts: 128 }]) {
          const set = { tokens: 64, seed, ...other };
          expect(figuresOf(routed(set, name)), `${name} ${JSON.stringify(set)}`).to.deep.equal(
            figuresOf(routedByPass(set, name)),
          );
        }
      }
      routeByKernel(undefined);
    });
  }

  it("writes no batch over one that is still shown", () => {
    const shown = ["topk", "moge", "topk-lossfree"].map((name) => routed({ balance: 0.3 }, name as ContenderName));
    const before = structuredClone(shown);
    for (const seed of [2, 3, 4]) for (const name of contenderNames) routed({ seed, tokens: 64, balance: 0.1 }, name);
    expect(shown).to.deep.equal(before);
  });

  it("gives MoGE devices of exactly equal load, whatever the router likes", () => {
    const sizes = fc.record({
      seed: fc.constantFrom(1, 2, 3),
      skew: fc.double({ min: 0, max: 4, noNaN: true }),
      tokens: fc.constantFrom(1, 16, 48),
      devices: fc.constantFrom(1, 2, 4, 8),
      topK: fc.constantFrom(8, 16),
    });
    fc.assert(
      fc.property(sizes, (set) => {
        const { deviceLoad, measures, time } = routed(set, "moge");
        expect(new Set(deviceLoad)).to.deep.equal(new Set([(set.tokens * set.topK) / set.devices]));
        expect(measures.imbalance).to.equal(0);
        expect(measures.fanOut).to.equal(set.devices);
        expect(time.stepSeconds).to.be.closeTo(
          time.meanComputeSeconds + time.waitSeconds + time.communicationSeconds,
          1e-12,
        );
      }),
      { numRuns: 20 },
    );
  });

  it("agrees with the closed forms of chance, over seeds, where no expert is preferred", () => {
    const seeds = Array.from({ length: 40 }, (_, i) => i + 1);
    const measures = seeds.map((seed) => routed({ seed, skew: 0, tokens: 64 }, "topk").measures);
    const mean = (of: (each: (typeof measures)[number]) => number) =>
      measures.reduce((sum, each) => sum + of(each), 0) / measures.length;
    const uniform = { experts: 64, topK: 8, devices: 8 };
    expect(mean(({ imbalance }) => imbalance)).to.be.closeTo(expectedImbalanceScore(uniform, 64, "distinct"), 0.05);
    expect(mean(({ fanOut }) => fanOut)).to.be.closeTo(expectedFanOut(uniform, "distinct"), 0.02);
  });

  it("prices the loads that it shows: tokens a device scale them, whole numbers of times", () => {
    const [small, large] = [512, 1024].map((tokensPerDevice) => routed({ tokensPerDevice, tokens: 256 }, "topk").time);
    expect(large!.sentBytes).to.equal(2 * small!.sentBytes);
    // 512 tokens of 5,120 values in 2 bytes, on each of 8 devices, to as many others as fan-out says; there, back, twice
    const { measures, assignment, config } = routed({ tokensPerDevice: 512, tokens: 256 }, "topk");
    const home = sentHome(assignment, config.cluster.devices);
    expect(small!.sentBytes).to.be.closeTo(4 * 8 * 512 * (measures.fanOut - home) * 5120 * 2, 1);
  });

  it("learns offsets that make the balancing loss smaller, and leaves a coefficient of 0 alone", () => {
    const config = configOf({ ...initialValues, skew: 1, balance: 1 }, "topk");
    const [rule] = config.balance as BalanceSetting[];
    const [shape, settings] = [balanceShape(config), routingSettings(config)];
    const preferences = { seed: 1, experts: 64, skew: 1 };
    const logits = logitsOf(preferences, 128, "trained");
    const loss = (offset: Float64Array) => {
      const routing = newRouting(new Float64Array(logits.length), shape, settings);
      shift(logits, offset, routing.logits as Float64Array);
      route(routing);
      const balance = newBalance({ settings: [rule!], shape, ranks: 1, sequenceLength: 128 }, 1);
      countSequence(balance, routing, 0);
      return balanceForward(balance);
    };
    const { offset } = balanced(preferences, rule!, shape, settings);
    expect(loss(offset)).to.be.below(loss(new Float64Array(64)) - 0.3);
    const idle = balanced(preferences, { ...rule!, coefficient: 0 } as BalanceSetting, shape, settings);
    expect(idle.offset).to.deep.equal(new Float64Array(64));
  });

  it("says why a router cannot route, with the numbers", () => {
    const outcome = routeBatch({ ...initialValues, topK: 6 }, "moge");
    expect(outcome).to.deep.equal({
      refusal: {
        en: "model.topK: topK 6 is not a multiple of groups 8, as MoGE needs",
        zh: "model.topK：topK 6 不是组数 8 的倍数，而 MoGE 要求如此",
      },
    });
    expect(routeBatch({ ...initialValues, topK: 6 }, "topk")).to.have.property("batch");
  });

  it("says so in Chinese as well, with the same numbers, wherever its sliders stop", () => {
    const stop = (name: KnobName) => fc.constantFrom(...(knobNamed(name) as Slider).stops);
    const sizes = fc.record({
      experts: stop("experts"),
      topK: stop("topK"),
      groups: stop("groups"),
      devices: stop("devices"),
      limit: stop("limit"),
      topology: fc.constantFrom(...Object.keys(topologies)),
    });
    const numbers = (text: string) => [...text.matchAll(/\d+/g)].map(([number]) => number).sort();
    fc.assert(
      fc.property(sizes, fc.constantFrom(...contenderNames), (set, name) => {
        const refusal = refusalOf(configOf({ ...initialValues, ...set } as KnobValues, name));
        if (refusal === undefined) return;
        expect(refusal.zh).to.match(/：.*[\u4e00-\u9fff]/);
        expect(numbers(refusal.zh), refusal.en).to.deep.equal(numbers(refusal.en));
      }),
      { numRuns: 2000 },
    );
  });
});

/** Share of visits that stay on the device their token comes from. */
function sentHome({ tokens, slots, experts }: Assignment, devices: number): number {
  let home = 0;
  for (let t = 0; t < tokens; t++) {
    const own = Math.floor((t * devices) / tokens);
    const places = Array.from(experts.subarray(t * slots, (t + 1) * slots), (expert) =>
      Math.floor((expert * devices) / 64),
    );
    if (places.includes(own)) home++;
  }
  return home / tokens;
}
