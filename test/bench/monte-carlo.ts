/** Drawing the imbalance score of routers without preference: what the experiment imbalance-distribution does. */
import { randomStream } from "../../src/core/random.ts";
import { exactImbalance } from "../../src/experiment/exact-imbalance.ts";
import { type ImbalanceSample, sampleImbalance } from "../../src/experiment/imbalance-samples.ts";
import { uniformChoices } from "../../src/experiment/uniform-choices.ts";
import { type Bench, interleaved, secondsOf } from "./bench.ts";

const shape = { experts: 64, topK: 8, groups: 8 };
const TOKENS = 16;
const DEVICES = 8;

const draw = (choice: "topk" | "topk-with-replacement", trials: number, devices: readonly number[]) =>
  sampleImbalance(uniformChoices[choice], randomStream(1, "bench"), shape, TOKENS, trials, devices);

/** In standard errors. @throws Error beyond five */
function distance({ imbalanceScores, devices }: ImbalanceSample, choice: "topk" | "topk-with-replacement"): string {
  const exact = exactImbalance(choice, { ...shape, devices }, TOKENS)!.mean;
  const count = imbalanceScores.length;
  const mean = imbalanceScores.reduce((sum, each) => sum + each, 0) / count;
  const variance = imbalanceScores.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (count - 1);
  const errors = (mean - exact) / Math.sqrt(variance / count);
  if (Math.abs(errors) > 5) throw new Error(`${choice} on ${devices} devices: drawn mean ${mean}, exactly ${exact}`);
  return `${choice} on ${devices} devices: mean ${mean.toFixed(5)}, exactly ${exact.toFixed(5)} (${errors.toFixed(1)} standard errors)`;
}

export const bench: Bench = {
  title: "imbalance score of top-8 of 64 distinct experts on 8 devices, 16 tokens a batch, one core",
  async run({ quick }) {
    const trials = quick ? 20_000 : 200_000;
    const checks = [
      distance(draw("topk", trials, [2])[0]!, "topk"),
      distance(draw("topk-with-replacement", trials, [DEVICES])[0]!, "topk-with-replacement"),
    ];
    const seconds = await interleaved(quick ? 1 : 5, {
      distinct: () => secondsOf(() => draw("topk", trials, [DEVICES])),
      withReplacement: () => secondsOf(() => draw("topk-with-replacement", trials, [DEVICES])),
    });
    const row = (title: string, taken: number) => [title, trials, taken, (1e9 * taken) / trials / TOKENS / shape.topK];
    return {
      tables: [
        {
          title: "wanted: 200,000 batches of distinct experts under 1 s",
          columns: ["draws", "batches", "seconds", "ns a draw"],
          rows: [row("distinct", seconds.distinct), row("with replacement", seconds.withReplacement)],
        },
      ],
      notes: [`Checked first: ${checks.join("; ")}.`],
    };
  },
};
