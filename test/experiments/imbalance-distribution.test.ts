import { expect } from "chai";
import { experiment } from "../../experiments/imbalance-distribution.ts";
import { randomStream } from "../../src/core/random.ts";
import { type UniformChoice, uniformChoices } from "../../src/experiment/uniform-choices.ts";
import { emptyAssignment } from "../../src/routing/assignment.ts";

const tables = experiment.run({ trials: 20_000, seed: 2 });

/** 4.5 standard errors of a mean over the trials. */
const error = ({ sd_imbalance_score, trials }: { sd_imbalance_score: number; trials: number }) =>
  (4.5 * sd_imbalance_score) / Math.sqrt(trials);

function row(choice: string, devices: number, tokens: number) {
  const found = tables.summary.find(
    (each) => each.choice === choice && each.devices === devices && each.tokens === tokens,
  );
  if (found === undefined) throw new Error(`no row ${choice}, ${devices}, ${tokens}`);
  return found;
}

describe("experiment imbalance-distribution", () => {
  for (const claim of experiment.claims) {
    it(`bears out: ${claim.text}`, () => {
      expect(claim.holds(tables)).to.equal(true);
    });
    it(`would notice if it were not so: ${claim.text}`, () => {
      const spoilt = tables.summary.map((each) => ({
        ...each,
        mean_imbalance_score: each.mean_imbalance_score + 0.05,
        balanced_fraction: each.balanced_fraction > 0.5 ? 0.5 : each.balanced_fraction + 0.01,
        mean_fan_out: each.mean_fan_out - 0.1,
      }));
      expect(claim.holds({ ...tables, summary: spoilt })).to.equal(false);
    });
  }

  it("agrees with an independent simulation: mean, spread and quantiles of the imbalance score", () => {
    const known: [string, number, number, number][] = [
      ["topk", 8, 16, 0.6686],
      ["topk-with-replacement", 8, 16, 0.7086],
      ["topk", 8, 1, 2.4565],
      ["topk-with-replacement", 8, 1, 2.595],
      ["topk", 8, 64, 0.3342],
      ["moge", 64, 16, 0.349],
    ];
    for (const [choice, devices, tokens, mean] of known) {
      const found = row(choice, devices, tokens);
      expect(found.mean_imbalance_score, `${choice} ${devices} ${tokens}`).to.be.closeTo(mean, error(found) + 5e-4);
    }
    const { sd_imbalance_score, q50_imbalance_score, q99_imbalance_score } = row("topk", 8, 16);
    expect(sd_imbalance_score).to.be.closeTo(0.193, 0.004);
    expect([q50_imbalance_score, q99_imbalance_score]).to.satisfy(
      ([q50, q99]: number[]) => (q50 === 0.625 || q50 === 0.6875) && q99 === 1.1875,
    );
  });

  it("agrees with the closed form within 1.2 % where the loads are nearly normal, and is far from it at one token", () => {
    for (const choice of ["topk", "topk-with-replacement"]) {
      for (const [devices, tokens] of [
        [4, 16],
        [8, 16],
        [8, 64],
      ] as const) {
        const found = row(choice, devices, tokens);
        const expected = found.closed_form_imbalance_score!;
        expect(found.mean_imbalance_score).to.be.closeTo(expected, 0.012 * expected + error(found) / 3);
      }
      const single = row(choice, 8, 1);
      expect(single.closed_form_imbalance_score! / single.mean_imbalance_score).to.be.above(1.05);
    }
  });

  it("has the histogram of figure 2b: mass 1, mode at 0.625 of 0.129, almost nothing beyond 1.5, and one bar for MoGE", () => {
    const of = (choice: string) => tables.histogram.filter((each) => each.choice === choice);
    const probability = (at: number) => of("topk").find(({ imbalance_score }) => imbalance_score === at)!.probability;
    for (const choice of Object.keys(uniformChoices)) {
      expect(of(choice).reduce((sum, each) => sum + each.probability, 0)).to.be.closeTo(1, 1e-12);
    }
    const published = { 0.375: 0.0435, 0.5: 0.1014, 0.625: 0.1292, 0.75: 0.1093, 1: 0.0282, 1.1875: 0.0057 };
    for (const [at, share] of Object.entries(published)) expect(probability(Number(at))).to.be.closeTo(share, 0.011);
    const beyond = of("topk").filter(({ imbalance_score }) => imbalance_score > 1.5);
    expect(beyond.reduce((sum, each) => sum + each.probability, 0)).to.be.below(0.001);
    expect(of("moge")).to.deep.equal([{ choice: "moge", imbalance_score: 0, probability: 1 }]);
  });

  it("measures the fan-out that is known exactly, on every number of devices", () => {
    for (const each of tables.summary) expect(each.mean_fan_out).to.be.closeTo(each.exact_fan_out, 0.03);
  });

  it("gives the same tables for the same seed and others for another", () => {
    const once = experiment.run({ trials: 20, seed: 7 });
    expect(experiment.run({ trials: 20, seed: 7 })).to.deep.equal(once);
    expect(experiment.run({ trials: 20, seed: 8 })).not.to.deep.equal(once);
  });
});

describe("uniform choices", () => {
  const shape = { experts: 12, topK: 6, groups: 3 };
  const tokens = 4000;

  for (const [name, { draw }] of Object.entries<UniformChoice>(uniformChoices)) {
    it(`${name} draws every expert equally often`, () => {
      const assignment = emptyAssignment(tokens, shape.topK);
      draw(randomStream(1, name), shape, assignment);
      const counts = new Int32Array(shape.experts);
      for (const expert of assignment.experts) counts[expert]!++;
      for (const count of counts) expect(count).to.be.closeTo(2000, 4.5 * Math.sqrt(2000));
    });
  }

  it("top-k and MoGE draw distinct experts, MoGE two of each group of four; independent draws repeat", () => {
    const rowsOf = (name: keyof typeof uniformChoices) => {
      const assignment = emptyAssignment(100, shape.topK);
      uniformChoices[name].draw(randomStream(1, name), shape, assignment);
      return Array.from({ length: 100 }, (_, t) => Array.from(assignment.experts.subarray(t * 6, (t + 1) * 6)));
    };
    for (const name of ["topk", "moge"] as const) {
      for (const drawn of rowsOf(name)) expect(new Set(drawn).size).to.equal(6);
    }
    for (const drawn of rowsOf("moge")) {
      expect(drawn.map((expert) => Math.floor(expert / 4))).to.deep.equal([0, 0, 1, 1, 2, 2]);
    }
    expect(rowsOf("topk-with-replacement").some((drawn) => new Set(drawn).size < 6)).to.equal(true);
    expect(rowsOf("topk").some((drawn) => drawn.filter((expert) => expert < 4).length !== 2)).to.equal(true);
  });
});
