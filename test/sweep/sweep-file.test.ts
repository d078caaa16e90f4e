import { expect } from "chai";
import * as fc from "fast-check";
import { ConfigError } from "../../src/config/problem.ts";
import { configLayers } from "../../src/config/resolve.ts";
import { readSweepFile } from "../../src/experiment/sweep-file.ts";
import { countPoints, sweepPoints } from "../../src/experiment/sweep-points.ts";
import { plannedConfig, planSweep, runId } from "../../src/run/sweep-plan.ts";
import { tinyConfig, tinyText } from "../tiny-config.ts";

const base = configLayers({ path: "tiny.yaml", read: () => tinyText, besides: (_, file) => file });

const points = (text: string) => sweepPoints(readSweepFile(`name: s\n${text}`, "s.yaml").file);
const plan = (text: string, options: { seeds?: number; maxRuns?: number } = {}) =>
  planSweep(readSweepFile(`name: s\n${text}`, "s.yaml"), base, { maxRuns: 1000, sets: [], ...options });

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error("it was not refused");
}

describe("the points of a sweep", () => {
  it("are every combination of a grid, the last key varying fastest", () => {
    expect(points("grid: { a: [1, 2], b: [x, y] }")).to.deep.equal([
      { a: 1, b: "x" },
      { a: 1, b: "y" },
      { a: 2, b: "x" },
      { a: 2, b: "y" },
    ]);
  });

  it("go through a zip in step, and combine it with the rest", () => {
    expect(points("zip: { a: [1, 2], b: [3, 4] }\nlist: [{ c: 5 }, { c: 6, d: 7 }]")).to.deep.equal([
      { c: 5, a: 1, b: 3 },
      { c: 5, a: 2, b: 4 },
      { c: 6, d: 7, a: 1, b: 3 },
      { c: 6, d: 7, a: 2, b: 4 },
    ]);
  });

  it("are drawn the same by the same seed, inside their range, spread by their scale", () => {
    const text = (seed: number, samples: number) =>
      `random: { samples: ${samples}, seed: ${seed}, values: { lr: { from: 1.0e-4, to: 1.0e-1, scale: log }, n: { from: 2, to: 5, whole: true }, k: [a, b] } }`;
    const drawn = points(text(3, 3000));
    expect(points(text(3, 3000))).to.deep.equal(drawn);
    expect(points(text(4, 3000))).not.to.deep.equal(drawn);
    expect(points(text(3, 10)), "more samples leave the first ones as they were").to.deep.equal(drawn.slice(0, 10));
    const rates = drawn.map(({ lr }) => Number(lr));
    expect(rates.every((rate) => rate >= 1e-4 && rate <= 1e-1)).to.equal(true);
    const share = (below: number) => rates.filter((rate) => rate < below).length / rates.length;
    expect(share(1e-3), "a third of the decades").to.be.closeTo(1 / 3, 0.04);
    expect(share(1e-2)).to.be.closeTo(2 / 3, 0.04);
    for (const n of [2, 3, 4, 5])
      expect(drawn.filter((point) => point["n"] === n).length / 3000).to.be.closeTo(0.25, 0.04);
  });

  it("are as many as counted beforehand", () => {
    const values = fc.array(fc.integer(), { minLength: 1, maxLength: 4 });
    const grid = fc.dictionary(fc.constantFrom("a", "b", "c"), values, { minKeys: 1 });
    fc.assert(
      fc.property(grid, fc.integer({ min: 1, max: 4 }), (axes, samples) => {
        const { file } = readSweepFile(
          `name: s\ngrid: ${JSON.stringify(axes)}\nrandom: { samples: ${samples}, values: { z: [1, 2] } }`,
          "s.yaml",
        );
        expect(sweepPoints(file)).to.have.length(countPoints(file));
      }),
    );
  });
});

describe("the plan of a sweep", () => {
  it("has a run for each variant, point and seed, less what is excluded", () => {
    const { runs, axes } = plan(
      "grid: { training.learningRate: [1.0e-3, 2.0e-3] }\nseeds: 2\nexclude: [{ variant: topk, training.learningRate: 2.0e-3 }, { seed: 2, variant: moge }]",
    );
    expect(runs.map(({ variant, seed, set }) => [variant, set["training.learningRate"], seed])).to.deep.equal([
      ["topk", 1e-3, 1],
      ["topk", 1e-3, 2],
      ["moge", 1e-3, 1],
      ["moge", 2e-3, 1],
    ]);
    expect(axes).to.deep.equal(["variant", "training.learningRate", "seed"]);
  });

  it("overrides a variant's own settings, and --seeds the file's", () => {
    const { runs } = plan("grid: { router.selection: [moge] }\nseeds: 5", { seeds: 1 });
    expect(runs, "both variants come to the same run").to.have.length(1);
    expect(plannedConfig(plan("grid: { router.selection: [moge] }"), runs[0]!).router.selection).to.equal("moge");
  });

  it("knows a run by its config: what cannot change a figure does not change the id, all else does", () => {
    const config = tinyConfig("moge");
    const id = runId(config);
    expect(id).to.match(/^[0-9a-f]{12}$/);
    for (const same of [
      { ...config, name: "other", description: "other" },
      { ...config, engine: { ...config.engine, threads: 7 } },
      { ...config, record: { ...config.record, checkpointEvery: 9 } },
      JSON.parse(JSON.stringify(Object.fromEntries(Object.entries(config).reverse()))) as typeof config,
    ]) {
      expect(runId(same)).to.equal(id);
    }
    for (const other of [
      { ...config, seed: 2 },
      { ...config, engine: { ...config.engine, kernels: "relaxed" as const } },
      { ...config, training: { ...config.training, learningRate: 0.001 } },
    ]) {
      expect(runId(other)).not.to.equal(id);
    }
  });

  it("holds all that is needed to carry a run out", () => {
    const made = plan("set: { training.steps: 3 }\ngrid: { training.learningRate: [1.0e-3] }");
    const read = JSON.parse(JSON.stringify(made)) as typeof made;
    const config = plannedConfig(read, read.runs[1]!);
    expect(config.training).to.include({ steps: 3, learningRate: 1e-3 });
    expect(config.router.selection).to.equal("moge");
    expect(config.name).to.equal(read.runs[1]!.id);
  });

  const refused: [what: string, text: string, message: RegExp][] = [
    [
      "a key without values",
      "grid: { training.steps: [] }",
      /^s\.yaml:2:9 grid\.training\.steps: expected at least 1 entry, got \[\]$/,
    ],
    ["an empty grid", "grid: {}", /^s\.yaml:2:1 grid: names no key to vary/],
    ["an axis without values", "grid: { seed: [] }", /^s\.yaml:2:9 grid\.seed: expected at least 1/],
    ["an unknown key of the sweep", "gird: {}", /^s\.yaml:2:1 gird: unknown key, did you mean "grid"\?/],
    [
      "an unknown key of the config",
      "grid: { training.stpes: [1] }",
      /^s\.yaml:2:9 training\.stpes: unknown key, did you mean "steps"\?$/,
    ],
    [
      "a value out of bounds",
      "grid: { training.steps: [0] }",
      /^s\.yaml:2:9 training\.steps: expected at least 1, got 0$/,
    ],
    ["a contradiction", "grid: { model.groups: [3] }", /model\.topK: /],
    [
      "lists of different lengths in a zip",
      "zip: { a: [1], b: [1, 2] }",
      /^s\.yaml:2:1 zip: expected equally many values of each key, but a has 1, b has 2$/,
    ],
    ["a key varied twice", "grid: { seed: [1, 2] }\nseeds: 2", /seed is varied by grid and by seeds/],
    [
      "a range that ends before it begins",
      "random: { samples: 1, values: { a: { from: 2, to: 1 } } }",
      /expected from < to/,
    ],
    [
      "a log range from 0",
      "random: { samples: 1, values: { a: { from: 0, to: 1, scale: log } } }",
      /a log scale begins above 0/,
    ],
    ["everything excluded", "exclude: [{}]", /^s\.yaml:2:1 exclude: leaves no run/],
  ];
  for (const [what, text, message] of refused) {
    it(`refuses ${what}`, () => {
      expect(refusal(() => plan(text))).to.match(message);
    });
  }

  it("refuses more runs than --max-runs before making them", () => {
    const axes = "abcdefgh".split("").map((key) => `${key}: [${Array.from({ length: 100 }, (_, i) => i).join()}]`);
    expect(refusal(() => plan(`grid: { ${axes.join(", ")} }`))).to.match(
      /runs are more than 1,000; vary less, or allow them with --max-runs/,
    );
  });
});
