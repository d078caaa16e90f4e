import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { experiment, figures } from "../../experiments/imbalance-distribution.ts";
import { readCsv } from "../../src/output/csv.ts";
import { checkClaims, type ExperimentFigures, writeExperiment } from "../../src/output/experiment-report.ts";
import { scratchDirectory } from "./scratch.ts";

const options = { trials: 500, seed: 3 };
const tables = experiment.run(options);
const claims = checkClaims(experiment.claims, tables);
const page = (drawn: ExperimentFigures) => ({ ...experiment, claims, figures: drawn, command: "moge experiment" });

describe("output/experiment-report", () => {
  const scratch = scratchDirectory();

  it("draws figure 2b with bars as high as the probabilities, MoGE's a single one at 0", async () => {
    const directory = scratch();
    await writeExperiment(directory, page(figures(tables)), tables);
    const svg = readFileSync(join(directory, "imbalance-score.svg"), "utf8");
    const groups = [...svg.matchAll(/class="mark-rect role-mark[\s\S]*?<\/g>/g)].map(([group]) =>
      [...group.matchAll(/ d="M([\d.]+),[\d.]+h([\d.]+)v([\d.]+)/g)].map((bar) => bar.slice(1).map(Number)),
    );
    expect(groups).to.have.length(3);
    ["topk", "topk-with-replacement", "moge"].forEach((choice, i) => {
      const rows = tables.histogram.filter((row) => row.choice === choice);
      const heights = groups[i]!.map(([, , height]) => height!);
      const total = heights.reduce((sum, height) => sum + height, 0);
      expect(heights).to.have.length(rows.length);
      rows.forEach(({ probability }, bar) => {
        expect(heights[bar]! / total, choice).to.be.closeTo(probability, 1e-3);
      });
      const width = groups[2]![0]![1]!;
      rows.forEach(({ imbalance_score }, bar) => {
        expect(groups[i]![bar]![0]!, choice).to.be.closeTo(imbalance_score * 16 * width, 0.3); // 1/16 a bar
      });
    });
    expect(groups[2]![0]![0], "at the left edge").to.equal(0);
  });

  it("links the figures from the page, and can do without any", async () => {
    const directory = scratch();
    await writeExperiment(directory, page(figures(tables)), tables);
    expect(readFileSync(join(directory, "summary.md"), "utf8")).to.contain("](imbalance-score.svg)\n");
    expect(existsSync(join(directory, "imbalance-score.png"))).to.equal(true);
    const rows = readCsv(join(directory, "imbalance-score.csv"));
    const bars = rows.filter(({ probability }) => probability !== "");
    expect(
      bars.map(({ choice, probability }) => ({ choice, probability: Number(probability) })),
      "what its bars show",
    ).to.deep.equal(tables.histogram.map(({ choice, probability }) => ({ choice, probability })));
    const bare = scratch();
    await writeExperiment(bare, page({}), tables);
    expect(claims.map(({ text }) => text)).to.deep.equal(experiment.claims.map(({ text }) => text));
    expect(readFileSync(join(bare, "summary.md"), "utf8")).not.to.contain(".svg");
  });
});
