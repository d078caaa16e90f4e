import { expect } from "chai";
import { exactImbalance } from "../../src/experiment/exact-imbalance.ts";
import type { UniformChoiceName } from "../../src/experiment/uniform-choices.ts";

interface Setting {
  experts: number;
  topK: number;
  groups: number;
  devices: number;
}

/** Every choice of a token by name, with equal probability; the slow twin counts them all. */
function tokenChoices(choice: UniformChoiceName, { experts, topK, groups }: Setting): number[][] {
  const all = Array.from({ length: experts }, (_, expert) => expert);
  const tuples = (from: readonly number[], count: number): number[][] =>
    count === 0 ? [[]] : from.flatMap((first) => tuples(from, count - 1).map((rest) => [first, ...rest]));
  if (choice === "topk-with-replacement") return tuples(all, topK);
  const subsets = (from: readonly number[], count: number): number[][] =>
    count === 0
      ? [[]]
      : from.flatMap((first, i) => subsets(from.slice(i + 1), count - 1).map((rest) => [first, ...rest]));
  if (choice === "topk") return subsets(all, topK);
  const size = experts / groups;
  let chosen: number[][] = [[]];
  for (let group = 0; group < groups; group++) {
    const own = subsets(all.slice(group * size, (group + 1) * size), topK / groups);
    chosen = chosen.flatMap((before) => own.map((picks) => [...before, ...picks]));
  }
  return chosen;
}

function enumerated(choice: UniformChoiceName, setting: Setting, tokens: number) {
  const choices = tokenChoices(choice, setting);
  const perDevice = setting.experts / setting.devices;
  let loads = new Map<string, number>([[Array(setting.devices).fill(0).join(), 1]]);
  for (let t = 0; t < tokens; t++) {
    const next = new Map<string, number>();
    for (const [key, share] of loads) {
      for (const picks of choices) {
        const load = key.split(",").map(Number);
        for (const expert of picks) load[Math.floor(expert / perDevice)]!++;
        next.set(load.join(), (next.get(load.join()) ?? 0) + share / choices.length);
      }
    }
    loads = next;
  }
  let mean = 0;
  let balanced = 0;
  for (const [key, share] of loads) {
    const load = key.split(",").map(Number);
    const range = Math.max(...load) - Math.min(...load);
    mean += (share * range) / tokens;
    if (range === 0) balanced += share;
  }
  return { mean, balanced };
}

describe("the exact imbalance of chance", () => {
  const cases: [UniformChoiceName, Setting, number][] = [
    ["topk-with-replacement", { experts: 4, topK: 2, groups: 2, devices: 2 }, 3],
    ["topk-with-replacement", { experts: 4, topK: 2, groups: 2, devices: 4 }, 2],
    ["topk-with-replacement", { experts: 6, topK: 3, groups: 3, devices: 3 }, 2],
    ["topk", { experts: 6, topK: 3, groups: 3, devices: 3 }, 1],
    ["topk", { experts: 8, topK: 4, groups: 4, devices: 4 }, 1],
    ["topk", { experts: 6, topK: 3, groups: 3, devices: 2 }, 3],
    ["moge", { experts: 8, topK: 2, groups: 2, devices: 2 }, 2],
    ["moge", { experts: 8, topK: 2, groups: 2, devices: 4 }, 3],
    ["moge", { experts: 8, topK: 2, groups: 2, devices: 8 }, 2],
  ];
  for (const [choice, setting, tokens] of cases) {
    it(`${choice} of ${setting.topK} in ${setting.experts}, ${setting.devices} devices, ${tokens} tokens: as counted one by one`, () => {
      const exact = exactImbalance(choice, setting, tokens)!;
      const slow = enumerated(choice, setting, tokens);
      expect(exact.mean).to.be.closeTo(slow.mean, 1e-10);
      expect(exact.balanced).to.be.closeTo(slow.balanced, 1e-10);
    });
  }

  it("gives the probabilities that are known for figure 2b of the paper", () => {
    const setting = { experts: 64, topK: 8, groups: 8, devices: 8 };
    expect(exactImbalance("topk", setting, 1)!.balanced).to.be.closeTo(0.0037905, 1e-7);
    expect(exactImbalance("topk-with-replacement", setting, 1)!.balanced).to.be.closeTo(40320 / 8 ** 8, 1e-12);
    const replaced = exactImbalance("topk-with-replacement", setting, 16)!;
    expect(replaced.balanced).to.be.closeTo(2.665e-7, 1e-10);
    expect(replaced.mean).to.be.closeTo(0.7086, 1.4e-3); // 200,000 draws elsewhere, three standard errors
  });

  it("does not pretend where there is no closed form", () => {
    expect(exactImbalance("topk", { experts: 64, topK: 8, groups: 8, devices: 8 }, 2)).to.equal(undefined);
    expect(exactImbalance("moge", { experts: 64, topK: 16, groups: 8, devices: 16 }, 2)).to.equal(undefined);
  });
});
