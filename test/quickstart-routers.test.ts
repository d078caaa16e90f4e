/** Every router trains in the quickstart's model, on its text: a few steps, with what the router promises checked on what it did. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { resolveConfig } from "../src/config/resolve.ts";
import type { RunConfig } from "../src/config/schema.ts";
import { openData } from "../src/host/open-data.ts";
import { openEngine } from "../src/host/open-engine.ts";
import { packageDirectory } from "../src/host/package-directory.ts";
import { NO_EXPERT } from "../src/routing/assignment.ts";
import { optionsOf } from "../src/routing/route.ts";
import type { Router } from "../src/routing/router.ts";
import { routers } from "../src/routing/routers.ts";
import { simulate } from "../src/simulate.ts";

const read = () => readFileSync(join(packageDirectory(), "configs/quickstart.yaml"), "utf8");

/** The quickstart's first variant, shortened, with a router in place of its own. @param topK a size that the router takes */
function quickstartWith(name: string, router: Router, topK: number): RunConfig {
  const sets = [
    "training.steps=3",
    "record.validationEvery=3",
    "record.validationSequences=2",
    `model.topK=${topK}`,
    `target.topK=${topK}`,
    `variants=[{ name: only, set: { router.selection: ${name} } }]`,
    ...(router.scoreFunctions ? [`router.scoreFunction=${router.scoreFunctions[0]}`, "router.normalisation=none"] : []),
  ];
  const source = { path: "quickstart.yaml", sets, read, besides: (_: string, relative: string) => relative };
  return resolveConfig(source).variants[0]!.config;
}

const sizesOf = (name: keyof typeof routers, router: Router): number =>
  [8, 1, 2].find(
    (topK) =>
      router.contradiction({ experts: 64, topK, groups: 8 }, optionsOf({ selection: name }) as never) === undefined,
  )!;

describe("the quickstart's model with every router", () => {
  for (const [name, router] of Object.entries<Router>(routers)) {
    it(`trains with ${name}`, async () => {
      const topK = sizesOf(name as keyof typeof routers, router);
      const config = quickstartWith(name, router, topK);
      const engine = await openEngine(config);
      const source = openData(config, ".");
      const before = engine.save().parameters;
      for (const { layers, tokens, simulated } of simulate(config, { engine, data: source })) {
        expect(layers).to.have.length(2);
        for (const { expertLoad } of layers) {
          const assignments = expertLoad.reduce((sum, load) => sum + load, 0);
          if (router.promises.takesK) expect(assignments).to.equal(topK * tokens);
          else expect(assignments).to.be.within(1, tokens * (router.slots?.(config.model) ?? topK));
        }
        expect(simulated!.stepSeconds).to.be.above(0);
      }
      const after = engine.save().parameters;
      expect(after.every(Number.isFinite)).to.equal(true);
      expect(after.some((value, i) => value !== before[i])).to.equal(true);
      for (const { tokens, slots, experts } of engine.evaluatedRouting()) {
        for (let t = 0; t < tokens; t++) {
          const chosen = [...experts.subarray(t * slots, (t + 1) * slots)].filter((expert) => expert !== NO_EXPERT);
          expect(new Set(chosen).size).to.equal(chosen.length);
        }
      }
      engine.close();
    });
  }
});
