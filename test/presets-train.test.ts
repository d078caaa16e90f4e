/** Every published preset trains: a few steps of the tiny config, the same ones twice. */
import { expect } from "chai";
import { openData } from "../src/host/open-data.ts";
import { openEngine } from "../src/host/open-engine.ts";
import { type RoutingPreset, routingPresets } from "../src/routing/presets.ts";
import { optionsOf } from "../src/routing/route.ts";
import { routerNamed } from "../src/routing/routers.ts";
import { simulate } from "../src/simulate.ts";
import { tinyConfig } from "./tiny-config.ts";

/** Sizes that the preset's router takes, as settings of the config. */
function sizesFor({ settings }: RoutingPreset): string[] {
  const fits = (topK: number) =>
    routerNamed(settings.selection).contradiction({ experts: 8, topK, groups: 4 }, optionsOf(settings) as never) ===
    undefined;
  const topK = [4, 1, 2].find(fits)!;
  return ["model.groups=4", "target.groups=4", `model.topK=${topK}`, `target.topK=${topK}`];
}

describe("the tiny model with every preset", () => {
  for (const [name, preset] of Object.entries(routingPresets)) {
    it(`trains with ${name}, with the same losses the second time`, async () => {
      const config = tinyConfig(
        "topk",
        ...sizesFor(preset),
        "training.steps=3",
        `variants=[{ name: topk, set: { router.preset: ${name} } }]`,
      );
      expect(config.router.selection).to.equal(preset.settings.selection);
      const losses = async () => {
        const steps = simulate(config, { engine: await openEngine(config), data: openData(config, ".") });
        return Array.from(steps, ({ trainingLossNatsPerByte }) => trainingLossNatsPerByte);
      };
      const first = await losses();
      expect(first).to.have.length(3);
      expect(first.every(Number.isFinite)).to.equal(true);
      expect(await losses()).to.deep.equal(first);
    });
  }
});
