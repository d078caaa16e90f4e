/** Every balancing loss, over every scope, with every choice of its knobs: values and gradients. */
import { expect } from "chai";
import {
  type Balance,
  balanceBackward,
  balanceForward,
  countSequence,
  neededStatistics,
  newBalance,
} from "../../src/balance/balance.ts";
import { type BalanceScope, scopes } from "../../src/balance/rule.ts";
import { type BalanceSetting, balancingRules, isLoss, type LossSetting, lossOf } from "../../src/balance/rules.ts";
import type { BalanceShape } from "../../src/balance/statistic.ts";
import { statisticNamed, statistics } from "../../src/balance/statistics.ts";
import { randomStream } from "../../src/core/random.ts";
import {
  newRouting,
  type Routing,
  type RoutingSettings,
  route,
  routeBackward,
  score,
  settle,
} from "../../src/routing/route.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { choicesOf, nameOf } from "../routing/option-values.ts";
import { normalLogits, numericalGradient, smallShape } from "../routing/small-batch.ts";

/** So few experts a token that it misses groups. */
const shape: BalanceShape = { ...smallShape, topK: 2, devices: 4 };
const [sequences, sequenceLength, ranks] = [4, 2, 2];
const tokens = sequences * sequenceLength;

/** Every loss with every choice of its knobs but the scope. */
const losses: LossSetting[] = Object.entries(balancingRules).flatMap(([rule, { kind, knobs }]) =>
  kind === "loss"
    ? choicesOf(knobs)
        .filter((options) => options["scope"] === "micro-batch")
        .map((options) => ({ rule, ...options, coefficient: 0.7 }) as unknown as LossSetting)
    : [],
);

const needsNoise = (setting: LossSetting) => setting.rule === "load-loss";

/** Top-k, with noise where a loss needs it. */
const settingsFor = (setting: LossSetting, scoreFunction: ScoreFunctionName): RoutingSettings => ({
  selection: needsNoise(setting) ? "noisy-topk" : "topk",
  options: needsNoise(setting) ? { noise: "learned", scale: 0.3 } : undefined,
  scoreFunction,
  normalisation: "chosen",
  scale: 1.5,
});

/** A routed batch, and the same choice and noise with other logits. */
function held(settings: RoutingSettings, sizes: BalanceShape = shape) {
  const logits = normalLogits(tokens, shape.experts, "losses");
  const raw = normalLogits(tokens, shape.experts, "losses, raw");
  const first = newRouting(logits, sizes, settings, { raw });
  route(first, { random: randomStream(2, "losses") });
  const again = (x: Float64Array, r: Float64Array = raw): Routing => {
    const routing = newRouting(x, sizes, settings, { raw: r });
    if (first.noise && routing.noise) (routing.noise.draws as Float64Array).set(first.noise.draws);
    score(routing);
    routing.chosen.set(first.chosen);
    settle(routing, { random: randomStream(3, "losses") });
    return routing;
  };
  return { logits, raw, again };
}

function balanced(
  routing: Routing,
  settings: readonly BalanceSetting[],
  before?: Balance,
): { loss: number; balance: Balance } {
  const config = { settings, shape, ranks, sequenceLength };
  // Losses that carry a number start it so small that a gradient would drown in rounding.
  const balance = newBalance(
    config,
    sequences,
    undefined,
    Float64Array.from(settings, () => 1),
  );
  if (before !== undefined) Object.assign(balance, { step: structuredClone(before.step) });
  for (let sequence = 0; sequence < sequences; sequence++) countSequence(balance, routing, sequence);
  return { loss: balanceForward(balance), balance };
}

function gradientOf(routing: Routing, balance: Balance) {
  const gradients = {
    weights: new Float64Array(routing.assignment.weights.length),
    logits: new Float64Array(routing.logits.length),
    raw: new Float64Array(routing.logits.length),
  };
  routeBackward(routing, gradients, balanceBackward(balance, routing));
  return gradients;
}

const expectClose = (got: Float64Array, wanted: Float64Array) =>
  wanted.forEach((value, i) => {
    expect(got[i], `${i}`).to.be.closeTo(value, 1e-7 * Math.max(1, Math.abs(value)));
  });

const titleOf = ({ rule, ...options }: LossSetting) => `${rule}${nameOf({ ...options, scope: 0 })}`;

describe("balancing losses", () => {
  for (const setting of losses) {
    for (const scope of Object.keys(scopes) as BalanceScope[]) {
      it(`have the gradient of finite differences: ${titleOf(setting)}, ${scope}`, () => {
        for (const scoreFunction of Object.keys(scoreFunctions) as ScoreFunctionName[]) {
          const scoped = [{ ...setting, scope } as LossSetting];
          const { logits, raw, again } = held(settingsFor(setting, scoreFunction));
          const before = balanced(again(logits), scoped).balance; // an earlier micro-batch of the step
          const routing = again(logits);
          const got = gradientOf(routing, balanced(routing, scoped, before).balance);
          const byLogits = numericalGradient((x) => balanced(again(x), scoped, before).loss, logits);
          expectClose(got.logits, byLogits);
          if (routing.noise !== undefined) {
            expectClose(
              got.raw,
              numericalGradient((r) => balanced(again(logits, r), scoped, before).loss, raw),
            );
          }
          if (isConstant(setting, scoreFunction)) continue;
          expect(Math.max(...byLogits.map(Math.abs)), scoreFunction).to.be.above(1e-7);
        }
      });
    }
  }

  /** The sum of all softmax scores is 1. */
  const isConstant = (setting: LossSetting, scoreFunction: ScoreFunctionName) =>
    setting.rule === "relu-sparsity" && !setting.balanced && scoreFunction === "softmax";

  it("with dropped tokens have the gradient of finite differences too, sums over those left or over all", () => {
    const importance = losses.find((each) => each.rule === "importance-loss" && "of" in each && each.of === "weights")!;
    for (const renormalise of [true, false]) {
      const capacity = { ...plainCapacity, renormalise };
      const { logits, again } = held({ ...settingsFor(importance, "sigmoid"), capacity });
      const routing = again(logits);
      expect(routing.assignment.experts).not.to.deep.equal(routing.chosen);
      const got = gradientOf(routing, balanced(routing, [importance]).balance);
      expectClose(
        got.logits,
        numericalGradient((x) => balanced(again(x), [importance]).loss, logits),
      );
    }
  });

  it("add up, each with its coefficient", () => {
    const plain = losses.filter((each) => !needsNoise(each));
    const { logits, again } = held(settingsFor(plain[0]!, "sigmoid"));
    const routing = again(logits);
    const each = plain.map((setting) => balanced(routing, [setting]));
    const all = balanced(routing, plain);
    expect(all.loss).to.be.closeTo(
      each.reduce((sum, { loss }) => sum + loss, 0),
      1e-12,
    );
    const gradients = each.map(({ balance }) => gradientOf(routing, balance).logits);
    const total = gradients[0]!.map((_, i) => gradients.reduce((sum, gradient) => sum + gradient[i]!, 0));
    expectClose(gradientOf(routing, all.balance).logits, total);
  });

  it("are made of statistics that are all in use", () => {
    const used = new Set(losses.flatMap((setting) => neededStatistics([setting])));
    expect([...used].sort()).to.deep.equal(Object.keys(statistics).sort());
  });

  it("count dropped assignments as chosen", () => {
    const { logits, again } = held({
      ...settingsFor(losses[0]!, "sigmoid"),
      capacity: { ...plainCapacity, renormalise: true },
    });
    const { balance } = balanced(again(logits), [losses[0]!]);
    expect(balance.step.sums.load.reduce((a, b) => a + b)).to.equal(tokens * shape.topK);
  });
});

const plainCapacity = {
  rule: "megatron",
  factor: 0.6,
  minimum: 0,
  alignment: 1,
  level: "expert",
  order: "token",
  priority: "position",
  pad: false,
} as const;

describe("losses over whole groups under moge with softmax scores", () => {
  const aligned = { ...smallShape, devices: smallShape.groups };
  const { logits, again } = held(
    { selection: "moge", scoreFunction: "softmax", normalisation: "none", scale: 1 },
    aligned,
  );
  const kinds = { scope: "micro-batch", coefficient: 1 } as const;
  const settings: LossSetting[] = [
    { rule: "expert-parallel-loss", over: "devices", counts: "assignments", ...kinds },
    { rule: "expert-parallel-loss", over: "groups", counts: "assignments", ...kinds },
    { rule: "expert-parallel-loss", over: "groups", counts: "tokens", ...kinds },
    { rule: "device-loss", ...kinds },
    { rule: "communication-loss", limit: aligned.groups, ...kinds },
  ];
  for (const setting of settings) {
    for (const scope of Object.keys(scopes) as BalanceScope[]) {
      it(`are constant with zero gradient: ${titleOf(setting)}, ${scope}`, () => {
        const routing = again(logits);
        const config = { settings: [{ ...setting, scope }], shape: aligned, ranks, sequenceLength };
        const balance = newBalance(config, sequences);
        for (let sequence = 0; sequence < sequences; sequence++) countSequence(balance, routing, sequence);
        const tokensCounted = setting.rule === "expert-parallel-loss" && setting.counts === "tokens";
        expect(balanceForward(balance)).to.be.closeTo(tokensCounted ? aligned.groups : 1, 1e-12);
        for (const slope of gradientOf(routing, balance).logits) expect(slope).to.be.closeTo(0, 1e-15);
      });
    }
  }

  it("are not constant when devices hold parts of groups", () => {
    const halved = { ...aligned, devices: 2 };
    const config = { settings: [{ ...settings[0]! }], shape: halved, ranks, sequenceLength };
    const balance = newBalance(config, sequences);
    const routing = again(logits);
    for (let sequence = 0; sequence < sequences; sequence++) countSequence(balance, routing, sequence);
    balanceForward(balance);
    expect(Math.max(...gradientOf(routing, balance).logits.map(Math.abs))).to.be.above(1e-6);
  });
});

/** Two experts, K = 1, one sequence of 4 tokens a rank: probabilities and choices given outright. */
function lossOfRanks(settings: BalanceSetting[], load: number[], probability: number[], before?: Balance) {
  const two = { experts: 2, topK: 1, groups: 1, devices: 1 };
  const count = load.length / 2;
  const balance = newBalance({ settings, shape: two, ranks: count, sequenceLength: 4 }, count);
  if (before !== undefined) Object.assign(balance, { step: before.step });
  balance.sums.load.set(load);
  balance.sums.probability.set(probability);
  const loss = balanceForward(balance);
  return { loss, gradient: Array.from(balance.gradients.probability), balance };
}

const switchLoss = (scope: BalanceScope, coefficient = 1): LossSetting => ({
  rule: "switch-loss",
  coefficient,
  scope,
  counts: "chosen",
  probabilities: "normalised",
});

describe("balanceForward", () => {
  const opposite = { load: [4, 0, 0, 4], probability: [4, 0, 0, 4] };

  it("over micro-batches punishes two ranks that prefer one expert each: mean of N/K = 2 and 2", () => {
    const { loss, gradient } = lossOfRanks([switchLoss("micro-batch")], opposite.load, opposite.probability);
    expect(loss).to.equal(2);
    expect(gradient).to.deep.equal([2 / 4 / 2, 0, 0, 2 / 4 / 2]);
  });

  for (const scope of ["ep-group", "global-batch"] as const) {
    it(`over the ${scope} does not: together they are balanced, and the loss is 1`, () => {
      const { loss, gradient } = lossOfRanks([switchLoss(scope)], opposite.load, opposite.probability);
      expect(loss).to.equal(1);
      expect(gradient).to.deep.equal([1 / 8, 1 / 8, 1 / 8, 1 / 8]);
    });
  }

  it("over the global batch sees the counts of the step so far, this micro-batch included", () => {
    const first = lossOfRanks([switchLoss("global-batch")], [4, 0], [4, 0]);
    const second = lossOfRanks([switchLoss("global-batch")], [2, 2], [4, 0], first.balance);
    expect(second.loss, "f = 2·6/8 of expert 0").to.equal(1.5);
    expect(second.balance.step.tokens).to.equal(8);
    expect(lossOfRanks([switchLoss("ep-group")], [2, 2], [4, 0], first.balance).loss).to.equal(1);
  });

  it("leaves bias rules out", () => {
    const bias: BalanceSetting = { rule: "loss-free-bias", rate: 1, centred: false, schedule: "constant", until: 1 };
    expect(lossOfRanks([switchLoss("micro-batch", 0.5), bias], [4, 0], [4, 0]).loss).to.equal(1);
  });

  it("scales gradients by the micro-batch's share of the step, and not the loss", () => {
    const two = { experts: 2, topK: 1, groups: 1, devices: 1 };
    const balance = newBalance({ settings: [switchLoss("micro-batch")], shape: two, ranks: 1, sequenceLength: 4 }, 1);
    balance.sums.load.set([4, 0]);
    balance.sums.probability.set([4, 0]);
    expect(balanceForward(balance, 0.25)).to.equal(2);
    expect(Array.from(balance.gradients.probability)).to.deep.equal([0.125, 0]);
  });
});

describe("values of the losses", () => {
  const of = (setting: LossSetting, sums: Record<string, number[]>, sizes: Partial<BalanceShape> = {}, state = 0) => {
    const context = { shape: { ...shape, ...sizes }, sums: sums as never, tokens: 16, countedTokens: 16, state };
    const names = lossOf(setting).statistics(setting);
    const widths = Object.fromEntries(
      names.map((name) => [name, new Float64Array(statisticNamed(name).width(context.shape))]),
    );
    return lossOf(setting).evaluate(context, widths as never, setting);
  };
  const eight = { experts: 8, topK: 2, groups: 4, devices: 4 };
  const one = [16, 16, 0, 0, 0, 0, 0, 0];

  it("switch-loss is 1 at equal load, N/K when all goes one way, and can be 0: load and probability may be opposed", () => {
    const setting = switchLoss("micro-batch");
    expect(of(setting, { load: Array(8).fill(4), probability: [9, 1, 1, 1, 1, 1, 1, 1] }, eight)).to.be.closeTo(
      1,
      1e-15,
    );
    expect(of(setting, { load: one, probability: [16, 0, 0, 0, 0, 0, 0, 0] }, eight)).to.equal(4);
    expect(of(setting, { load: one, probability: [0, 0, 8, 8, 0, 0, 0, 0] }, eight)).to.equal(0);
  });

  it("device-loss with all on one of four devices is 4, communication-loss 4 / M", () => {
    const kinds = { scope: "micro-batch", coefficient: 1 } as const;
    const probability = [8, 8, 0, 0, 0, 0, 0, 0];
    expect(of({ rule: "device-loss", ...kinds }, { load: one, probability }, eight)).to.equal(4);
    const visits = { "device-visits": [16, 0, 0, 0], probability };
    expect(of({ rule: "communication-loss", limit: 2, ...kinds }, visits, eight)).to.equal(2);
  });

  it("importance of 1 and 3 has CV² = 2 / 4", () => {
    const kinds = { scope: "micro-batch", coefficient: 1 } as const;
    const sums = { importance: [1, 3] };
    expect(of({ rule: "importance-loss", of: "weights", ...kinds }, sums, { experts: 2 })).to.be.closeTo(0.5, 1e-10);
  });

  it("relu-sparsity is λ times the mean score, weighed by the load or not", () => {
    const kinds = { scope: "micro-batch", coefficient: 1, start: 1, growth: 1.2 } as const;
    const sums = { load: [32, 0], score: [8, 8] };
    const two = { experts: 2, topK: 1 };
    expect(of({ rule: "relu-sparsity", balanced: false, ...kinds }, sums, two, 3)).to.equal(3);
    expect(of({ rule: "relu-sparsity", balanced: true, ...kinds }, sums, two, 3)).to.equal(6); // f = 2·32/16 of 8/16
  });
});

describe("countSequence", () => {
  it("writes the row of its sequence and no other, whatever was there", () => {
    const two = { experts: 2, topK: 1, groups: 1, devices: 1 };
    const balance = newBalance({ settings: [switchLoss("sequence")], shape: two, ranks: 1, sequenceLength: 2 }, 2);
    balance.sums.load.fill(9);
    balance.sums.probability.fill(9);
    const settings = { selection: "topk", scoreFunction: "sigmoid", normalisation: "none", scale: 1 } as const;
    const routing = newRouting(new Float64Array(8), two, settings);
    (routing.scores as Float64Array).set([0.5, 0.5, 0.25, 0.75, 0.3, 0.1, 0.2, 0.6]);
    routing.assignment.experts.set([0, 1, 0, 1]);
    countSequence(balance, routing, 1);
    expect(Array.from(balance.sums.load)).to.deep.equal([9, 9, 1, 1]);
    const [first, second, ...own] = balance.sums.probability;
    expect([first, second]).to.deep.equal([9, 9]);
    expect(own[0], "0.3/0.4 + 0.2/0.8").to.be.closeTo(1, 1e-15);
    expect(own[1]).to.be.closeTo(1, 1e-15);
  });
});

it("the balancing loss followed downhill evens out the load of top-1", () => {
  const four = { experts: 4, topK: 1, groups: 1, devices: 1 };
  const logits = normalLogits(64, 4, "descent").map((x, i) => x + (i % 4 === 0 ? 2 : 0));
  const routing = newRouting(logits, four, {
    selection: "topk",
    scoreFunction: "softmax",
    normalisation: "none",
    scale: 1,
  });
  const balance = newBalance({ settings: [switchLoss("micro-batch")], shape: four, ranks: 1, sequenceLength: 64 }, 1);
  const largest: number[] = [];
  for (let step = 0; step < 400; step++) {
    route(routing);
    countSequence(balance, routing, 0);
    largest.push(Math.max(...balance.sums.load));
    balanceForward(balance);
    gradientOf(routing, balance).logits.forEach((slope, i) => {
      logits[i] = logits[i]! - 4 * slope;
    });
  }
  expect(largest[0]).to.be.at.least(40);
  expect(largest.at(-1)).to.be.at.most(20);
  expect(balance.settings.every(isLoss)).to.equal(true);
});
