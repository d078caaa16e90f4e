/** One slow NPU among 64: what it costs all of them. */

import { layeredRouting } from "../src/cluster/routings.ts";
import { priceStep } from "../src/cluster/step.ts";
import type { Experiment } from "../src/experiment/experiment.ts";
import { panguProJob } from "../src/experiment/pangu-pro-job.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { variantScales } from "../src/output/figures/theme.ts";
import { trainVariants } from "../src/run/trained-variants.ts";

const speeds = [1, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5];

type StragglerRow = Readonly<Record<string, number | string | undefined>> & {
  readonly variant: string;
  readonly speed: number;
  readonly simulated_step_seconds: number;
  readonly simulated_slow_wait_seconds: number;
  readonly slowdown: number;
};

export interface StragglerTables {
  readonly [name: string]: readonly StragglerRow[];
  readonly stragglers: readonly StragglerRow[];
}

async function run({ seed, steps, device }: { seed: number; steps: number; device: number }): Promise<StragglerTables> {
  const trained = await trainVariants("quickstart", [`seed=${seed}`, `training.steps=${steps}`]);
  const stragglers: StragglerRow[] = [];
  for (const { name, profiles } of trained) {
    let nominal = 0;
    for (const speed of speeds) {
      const job = { ...panguProJob(64, 8), speeds: new Map([[device, speed]]) };
      const price = priceStep(job, layeredRouting(name, profiles, job.model.layers), { events: true });
      if (speed === 1) nominal = price.seconds;
      stragglers.push({
        variant: name,
        speed,
        simulated_step_seconds: price.seconds,
        simulated_compute_seconds: price.split.compute,
        simulated_communication_seconds: price.split.communication,
        simulated_hottest_wait_seconds: price.split.hottestWait,
        simulated_slow_wait_seconds: price.split.slowWait,
        simulated_bubble_seconds: price.split.bubble,
        slowdown: price.seconds / nominal,
      });
    }
  }
  return { stragglers };
}

const at = ({ stragglers }: StragglerTables, variant: string, speed: number): StragglerRow => {
  const row = stragglers.find((each) => each.variant === variant && each.speed === speed);
  if (row === undefined) throw new RangeError(`no row for ${variant} at ${speed}`);
  return row;
};

const variants = ["topk", "topk-lossfree", "moge"];

export const experiment: Experiment<
  { seed: number; steps: number; device: number },
  StragglerTables,
  Promise<StragglerTables>
> = {
  name: "stragglers",
  title: "One slow NPU among 64",
  question: "What does a single slow device cost a job of 64, and does balanced routing help against it?",
  defaults: { seed: 1, steps: 300, device: 3 },
  run,
  claims: [
    {
      text: "the slower the device, the longer the step",
      holds: (tables) =>
        variants.every((variant) =>
          speeds.every(
            (speed, i) => i === 0 || at(tables, variant, speed).slowdown > at(tables, variant, speeds[i - 1]!).slowdown,
          ),
        ),
    },
    {
      text: "down to a speed of 0.8 it costs less than 0.5 %: the last stage, which has the output head, takes longer than that of the slow device",
      holds: (tables) =>
        variants.every((variant) => [0.95, 0.9, 0.8].every((speed) => at(tables, variant, speed).slowdown < 1.005)),
    },
    {
      text: "one device of 64 at half speed makes the step of all more than 1.3 times as long, with 0.8 % of the compute gone",
      holds: (tables) => variants.every((variant) => at(tables, variant, 0.5).slowdown > 1.3),
    },
    {
      text: "but less than twice as long: communication does not slow down, and the stage of the slow device was not the longest",
      holds: (tables) => variants.every((variant) => at(tables, variant, 0.5).slowdown < 2),
    },
    {
      text: "balanced routing does not help against it: MoGE loses at least as large a share as plain top-k",
      holds: (tables) => at(tables, "moge", 0.5).slowdown >= at(tables, "topk", 0.5).slowdown,
    },
  ],
};

export function figures({ stragglers }: StragglerTables): ExperimentFigures {
  const { colour, shape } = variantScales([...new Set(stragglers.map(({ variant }) => variant))]);
  const legend = { title: null, orient: "bottom" as const };
  return {
    stragglers: {
      description: "Simulated step time over the nominal one by the speed of one slow device, for three routing rules",
      title: {
        text: "One slow NPU among 64, SIMULATED",
        subtitle:
          "Pangu Pro MoE on 64 Ascend 910B2, a pipeline of 8 stages, 8 devices share the experts; trained routing",
      },
      width: 680,
      height: 300,
      data: { values: stragglers.map((row) => ({ ...row })) },
      mark: { type: "line", point: { filled: true, size: 50 }, strokeWidth: 2 },
      encoding: {
        x: {
          field: "speed",
          type: "quantitative",
          title: "speed of the slow device, 1 is nominal",
          scale: { domain: [0.5, 1], reverse: true },
        },
        y: { field: "slowdown", type: "quantitative", title: "step over nominal step", scale: { zero: false } },
        color: { field: "variant", type: "nominal", scale: colour, legend },
        shape: { field: "variant", type: "nominal", scale: shape, legend },
      },
    },
  };
}
