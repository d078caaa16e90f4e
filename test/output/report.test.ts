import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { resolveConfig } from "../../src/config/resolve.ts";
import { conclusion } from "../../src/output/conclusion.ts";
import { writeReport } from "../../src/output/report.ts";
import { readSummary } from "../../src/output/summary-rows.ts";
import { usualShape, writeFakeRun } from "./fake-run.ts";
import { scratchDirectory } from "./scratch.ts";

const text = `
name: question-1
description: What does grouping cost?
data: { kind: synthetic }
training: { steps: 60, sequences: 16 }
target: { name: A layer, window: 7, tokensPerRank: 2048 }
variants: [{ name: topk }, { name: moge, set: { router.selection: moge } }]
`;
const resolved = (config = text) =>
  resolveConfig({ path: "a.yaml", read: () => config, besides: (_, relative) => relative });

describe("output/report", () => {
  const scratch = scratchDirectory();

  async function page(config = text): Promise<{ directory: string; summary: string }> {
    const directory = scratch();
    writeFakeRun(directory, ["topk", "moge", "dense"], { ...usualShape, steps: 60 });
    await writeReport(directory, resolved(config));
    return { directory, summary: readFileSync(join(directory, "summary.md"), "utf8") };
  }

  it("holds the question, the variants side by side, the conclusion and how to reproduce it", async () => {
    const { directory, summary } = await page();
    expect(summary).to.match(/^# question-1\n\nWhat does grouping cost\?\n/);
    for (const sentence of conclusion(readSummary(directory))) expect(summary).to.contain(`- ${sentence}\n`);
    const rows = summary.split("\n").filter((line) => line.startsWith("|"));
    expect(rows).to.have.length(5);
    for (const row of rows) expect(row.split("|")).to.have.length(14);
    expect(rows[3]).to.match(
      /^\| moge \| 2\.158 \| 0 \| 0 \| 0 \| .* \| 8\.00 \| – \| 10\.50 \| 6\.10 \| 0 \| 4\.40 \|$/,
    );
    expect(rows[4]).to.match(/^\| dense \| 2\.200( \| –){10} \|$/);
    expect(summary).to.contain("npx moge run config.yaml --results again");
  });

  it("embeds figures that are there", async () => {
    const { directory, summary } = await page();
    const links = [...summary.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, link]) => link!);
    expect(links).to.deep.equal(["loss.svg", "imbalance.svg", "expert-load.svg", "step-time.svg"]);
    for (const link of links) expect(existsSync(join(directory, link)), link).to.equal(true);
  });

  it("says what was simulated, on what, and how the routing was projected", async () => {
    const { summary } = await page();
    expect(summary).to.contain("simulated, not measured: the routed experts of “A layer”");
    expect(summary).to.contain("8 × Ascend 910B2");
    expect(summary).to.contain("its last 7 steps were pooled, whole");
    expect(summary).to.contain("2048 tokens for each of the 8 devices were drawn from them with replacement");
  });

  it("says of each variant what is not true of all", async () => {
    const differing = text.replace(
      "{ name: topk }",
      "{ name: topk, set: { cluster.devices: 4, target.expertParallel: 4 } }",
    );
    const { summary } = await page(differing);
    expect(summary).to.match(/^topk: The step time was simulated.* on 4 × Ascend 910B2/m);
    expect(summary).to.match(/^moge: The step time was simulated.* on 8 × Ascend 910B2/m);
    expect(summary).to.match(/^- topk: For comparison: .* on 4 devices/m);
  });

  it("promises bytes only of the engine that gives them, and names what was assumed", async () => {
    expect((await page()).summary).to.contain("The files come out the same, byte for byte");
    expect((await page(`${text}engine: { kind: tfjs }\n`)).summary).not.to.contain("byte for byte");
    expect((await page(`${text}engine: { kernels: relaxed }\n`)).summary).not.to.contain("byte for byte");
    expect((await page()).summary).to.match(/these were assumed for want of a measurement: .*HCCS.*: efficiency 0\.7/);
  });

  it("compares with blind choice", async () => {
    // arXiv:2505.21411's setting: 8 of 64 experts on 8 devices; d_8 · √(K(N−K)/(M(N−1)T)) = 2.847·√(56/(63·1024))
    expect((await page()).summary).to.contain(
      `imbalance score of ${(2.847 * Math.sqrt(56 / (63 * 1024))).toFixed(3)} by chance`,
    );
    expect((await page()).summary).to.contain("a fan-out of 5.43");
  });

  it("names no path, host or time", async () => {
    const { directory, summary } = await page();
    expect(summary).not.to.contain(directory);
    expect(summary).not.to.contain(dirname(fileURLToPath(import.meta.url)));
    expect(summary).not.to.match(/\d{1,2}:\d{2}|20\d\d-\d\d/);
  });
});
