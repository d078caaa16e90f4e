/** How cost grows: routing against tokens, experts and K, and drawing against devices, with the exponents that fit. */
import { randomStream } from "../../src/core/random.ts";
import { sampleImbalance } from "../../src/experiment/imbalance-samples.ts";
import { uniformChoices } from "../../src/experiment/uniform-choices.ts";
import { openBatchRouter } from "../../src/host/open-batch-router.ts";
import type { RoutingSettings } from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { type Bench, logLogSlope, median, secondsOf } from "./bench.ts";

const settings: RoutingSettings = { selection: "topk", scoreFunction: "softmax", normalisation: "none", scale: 1 };

/** Nanoseconds a token, on one thread. */
async function routing(shape: RouterShape, tokens: number, rounds: number): Promise<number> {
  const router = await openBatchRouter({ shape, settings, tokens, batch: 256 }, 1);
  const random = randomStream(1, "bench", "growth");
  for (let i = 0; i < router.logits.length; i++) router.logits[i] = random.gaussian();
  router.route();
  const seconds = Array.from({ length: rounds }, () => secondsOf(() => router.route()));
  return (1e9 * median(seconds)) / tokens;
}

type Points = readonly (readonly [x: number, y: number])[];

export const bench: Bench = {
  title: "exponents of power laws: 1 in tokens is a cost per token that does not grow; 1 in experts is reading them",
  async run({ quick }) {
    const rounds = quick ? 3 : 15;
    const lines = (title: string, unit: string, points: Points): (string | number)[][] =>
      points.map(([x, y], i) => [
        i === 0 ? title : "",
        x.toLocaleString("en-US"),
        y,
        unit,
        i === points.length - 1 ? logLogSlope(points).toFixed(2) : "",
      ]);
    const measured = async (sizes: readonly number[], of: (size: number) => number | Promise<number>) => {
      const points: [number, number][] = [];
      for (const size of sizes) points.push([size, await of(size)]);
      return points;
    };
    const topk = (experts: number, topK: number) => ({ experts, topK, groups: 1 });
    const byTokens = await measured(
      [4096, 16_384, 65_536, 262_144],
      async (tokens) => ((await routing(topk(64, 8), tokens, rounds)) * tokens) / 1e6,
    );
    const byExperts = await measured([32, 128, 512, 2048], (experts) =>
      routing(topk(experts, 8), 2 ** 21 / experts, rounds),
    );
    const byChosen = await measured([1, 2, 4, 8, 16, 32, 64], (k) => routing(topk(256, k), 8192, rounds));
    const byDevices = await measured([2, 4, 8, 16, 32, 64], (devices) => {
      const draw = () =>
        sampleImbalance(uniformChoices.topk, randomStream(1, "bench"), topk(64, 8), 16, quick ? 2000 : 20_000, [
          devices,
        ]);
      return (1e6 * median([secondsOf(draw), secondsOf(draw), secondsOf(draw)])) / (quick ? 2000 : 20_000);
    });
    return {
      tables: [
        {
          title: "cost against size, one thread",
          columns: ["against", "size", "cost", "unit", "exponent"],
          rows: [
            ...lines("tokens, 64 experts, K = 8", "ms", byTokens),
            ...lines("experts, K = 8", "ns/token", byExperts),
            ...lines("K, 256 experts", "ns/token", byChosen),
            ...lines("devices, drawing 16 tokens", "µs/batch", byDevices),
          ],
        },
      ],
      notes: [],
    };
  },
};
