/** What a capacity of experts costs in dropped tokens and gains in time, for trained routing. */
import { capped, padded } from "../src/cluster/capped-profile.ts";
import { layeredRouting } from "../src/cluster/routings.ts";
import { priceStep } from "../src/cluster/step.ts";
import type { Experiment } from "../src/experiment/experiment.ts";
import { panguProJob } from "../src/experiment/pangu-pro-job.ts";
import { EMPTY_SLOT } from "../src/experiment/trained-routing.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { variantScales } from "../src/output/figures/theme.ts";
import { trainVariants } from "../src/run/trained-variants.ts";

const factors = [0.75, 1, 1.25, 1.5, 2, 3, Number.POSITIVE_INFINITY];

type CapacityRow = Readonly<Record<string, number | string | undefined>> & {
  readonly variant: string;
  readonly padding: string;
  /** Absent: dropless. */
  readonly capacity_factor: number | undefined;
  readonly drop_rate: number;
  readonly max_over_mean: number;
  readonly simulated_step_seconds: number;
};

export interface CapacityTables {
  readonly [name: string]: readonly CapacityRow[];
  readonly capacity: readonly CapacityRow[];
}

async function run({ seed, steps }: { seed: number; steps: number }): Promise<CapacityTables> {
  const trained = await trainVariants("quickstart", [`seed=${seed}`, `training.steps=${steps}`]);
  const job = panguProJob(1024, 8);
  const { layers } = job.model;
  const capacity: CapacityRow[] = [];
  for (const { name, pools, config, last } of trained) {
    const { experts, topK } = config.model;
    for (const factor of factors) {
      const each = pools.map((pool) => capped(name, pool.experts, topK, experts, EMPTY_SLOT, last.tokens, factor));
      const dropRate = each.reduce((sum, layer) => sum + layer.dropRate, 0) / each.length;
      const ways = [
        {
          padding: "none",
          routing: layeredRouting(
            name,
            each.map(({ profile }) => profile),
            layers,
          ),
        },
        ...(Number.isFinite(factor)
          ? [{ padding: "to capacity", routing: layeredRouting(name, [padded(name, topK, experts, factor)], layers) }]
          : []),
      ];
      for (const { padding, routing } of ways) {
        const price = priceStep(job, routing, { events: true });
        capacity.push({
          variant: name,
          padding,
          capacity_factor: Number.isFinite(factor) ? factor : undefined,
          drop_rate: dropRate,
          max_over_mean: price.layers.reduce((sum, layer) => sum + layer.imbalance, 0) / price.layers.length,
          simulated_step_seconds: price.seconds,
          // FLOP of dropped tokens are not done: MFU as usual counts them, useful MFU does not.
          simulated_mfu: price.utilisation,
          simulated_hottest_wait_seconds: price.split.hottestWait,
        });
      }
    }
  }
  return { capacity };
}

const rowsOf = ({ capacity }: CapacityTables, variant: string, padding: string) =>
  capacity.filter((row) => row.variant === variant && row.padding === padding);

const find = (tables: CapacityTables, variant: string, padding: string, factor: number | undefined): CapacityRow => {
  const row = rowsOf(tables, variant, padding).find((each) => each.capacity_factor === factor);
  if (row === undefined) throw new RangeError(`no row for ${variant}, ${padding}, ${factor}`);
  return row;
};

const variants = ["topk", "topk-lossfree", "moge"];

export const experiment: Experiment<{ seed: number; steps: number }, CapacityTables, Promise<CapacityTables>> = {
  name: "capacity",
  title: "Drop rate and step time against the capacity of experts",
  question: "How many tokens does a capacity factor drop under trained routing, and how much time does that buy?",
  defaults: { seed: 1, steps: 300 },
  run,
  claims: [
    {
      text: "a larger capacity never drops more, and without one nothing is dropped",
      holds: (tables) =>
        variants.every((variant) => {
          const rates = rowsOf(tables, variant, "none").map((row) => row.drop_rate);
          return rates.every((rate, i) => i === 0 || rate <= rates[i - 1]!) && rates.at(-1) === 0;
        }),
    },
    {
      text: "at a factor of 1 every variant drops more than 5 % of its assignments, MoGE too: it balances devices, not experts",
      holds: (tables) => variants.every((variant) => find(tables, variant, "none", 1).drop_rate > 0.05),
    },
    {
      text: "a factor of 1.5 saves top-k less than 0.1 % of the step against dropping nothing",
      holds: (tables) =>
        find(tables, "topk", "none", 1.5).simulated_step_seconds >
        0.999 * find(tables, "topk", "none", undefined).simulated_step_seconds,
    },
    {
      text: "padding to capacity makes the step longer than dropping nothing from a factor of 1.25 on, for every variant",
      holds: (tables) =>
        variants.every((variant) =>
          [1.25, 1.5, 2, 3].every(
            (factor) =>
              find(tables, variant, "to capacity", factor).simulated_step_seconds >
              find(tables, variant, "none", undefined).simulated_step_seconds,
          ),
        ),
    },
  ],
};

export function figures({ capacity }: CapacityTables): ExperimentFigures {
  const { colour, shape } = variantScales([...new Set(capacity.map(({ variant }) => variant))]);
  const legend = { title: null, orient: "bottom" as const };
  const x = {
    field: "capacity_factor",
    type: "quantitative" as const,
    title: "capacity factor",
    scale: { zero: false },
  };
  const color = { field: "variant", type: "nominal" as const, scale: colour, legend };
  const marks = { field: "variant", type: "nominal" as const, scale: shape, legend };
  const panel = (values: readonly CapacityRow[], field: string, title: string, heading: string) => ({
    width: 215,
    height: 220,
    title: { text: heading, fontSize: 12 },
    data: { values: values.filter((row) => row.capacity_factor !== undefined).map((row) => ({ ...row })) },
    mark: { type: "line" as const, point: { filled: true, size: 45 }, strokeWidth: 2 },
    encoding: { x, y: { field, type: "quantitative" as const, title, scale: { zero: false } }, color, shape: marks },
  });
  const of = (padding: string) => capacity.filter((row) => row.padding === padding);
  return {
    capacity: {
      description: "Drop rate and simulated step time by capacity factor for three routing rules",
      title: {
        text: "What a capacity of experts drops and what it costs, SIMULATED",
        subtitle:
          "Pangu Pro MoE on 1,024 Ascend 910B2, 8 devices share the experts; trained routing, batches of 1,024 tokens",
      },
      hconcat: [
        panel(of("none"), "drop_rate", "dropped share of assignments", "Dropped"),
        panel(of("none"), "simulated_step_seconds", "step, s", "Step, dropping"),
        panel(
          of("to capacity").filter(({ variant }) => variant === "moge"),
          "simulated_step_seconds",
          "step, s",
          "Step, padded (all alike)",
        ),
      ],
    },
  };
}
