/** Balance gained against bytes moved: what grouped routing saves in waiting and pays in transfers. */
import type { Dispatch } from "../src/cluster/job.ts";
import { layeredRouting } from "../src/cluster/routings.ts";
import { priceStep } from "../src/cluster/step.ts";
import type { Experiment } from "../src/experiment/experiment.ts";
import { panguProJob } from "../src/experiment/pangu-pro-job.ts";
import type { ExperimentFigures } from "../src/output/experiment-report.ts";
import { variantScales } from "../src/output/figures/theme.ts";
import { trainVariants } from "../src/run/trained-variants.ts";

const transfers: readonly { readonly transfer: string; readonly dispatch: Dispatch; readonly deduplicate: boolean }[] =
  [
    { transfer: "once an expert", dispatch: "all-to-all", deduplicate: false },
    { transfer: "once a device", dispatch: "all-to-all", deduplicate: true },
    { transfer: "once a node, then inside", dispatch: "hierarchical", deduplicate: true },
    { transfer: "all tokens everywhere", dispatch: "all-gather", deduplicate: false },
  ];

type FanOutRow = Readonly<Record<string, number | string | undefined>> & {
  readonly variant: string;
  readonly expert_parallel: number;
  readonly transfer: string;
  readonly fan_out: number;
  readonly max_over_mean: number;
  readonly simulated_exchange_seconds: number;
  readonly simulated_hottest_wait_seconds: number;
  readonly simulated_step_seconds: number;
};

export interface FanOutTables {
  readonly [name: string]: readonly FanOutRow[];
  readonly transfers: readonly FanOutRow[];
}

async function run({ seed, steps }: { seed: number; steps: number }): Promise<FanOutTables> {
  const trained = await trainVariants("quickstart", [`seed=${seed}`, `training.steps=${steps}`]);
  const rows: FanOutRow[] = [];
  for (const { name, profiles } of trained) {
    for (const expert of [8, 16]) {
      const unitOf = Int32Array.from({ length: 64 }, (_, e) => Math.floor((e * expert) / 64));
      const touched = profiles.map((profile) => profile.hits(unitOf, expert).reduce((sum, hit) => sum + hit, 0));
      for (const { transfer, dispatch, deduplicate } of transfers) {
        const job = { ...panguProJob(1024, expert), dispatch, deduplicate };
        const price = priceStep(job, layeredRouting(name, profiles, job.model.layers), { events: true });
        const layers = price.layers.filter(({ kind }) => kind === "moe");
        rows.push({
          variant: name,
          expert_parallel: expert,
          transfer,
          fan_out: touched.reduce((sum, each) => sum + each, 0) / touched.length,
          max_over_mean: layers.reduce((sum, { imbalance }) => sum + imbalance, 0) / layers.length,
          simulated_exchange_seconds:
            layers.reduce((sum, { dispatchSeconds }) => sum + dispatchSeconds, 0) / layers.length,
          simulated_hottest_wait_seconds: price.split.hottestWait,
          simulated_communication_seconds: price.split.communication,
          simulated_step_seconds: price.seconds,
          simulated_mfu: price.utilisation,
        });
      }
    }
  }
  return { transfers: rows };
}

function find({ transfers: rows }: FanOutTables, variant: string, expert: number, transfer: string): FanOutRow {
  const row = rows.find(
    (each) => each.variant === variant && each.expert_parallel === expert && each.transfer === transfer,
  );
  if (row === undefined) throw new RangeError(`no row for ${variant}, EP${expert}, ${transfer}`);
  return row;
}

export const experiment: Experiment<{ seed: number; steps: number }, FanOutTables, Promise<FanOutTables>> = {
  name: "fan-out",
  title: "Balance gained against bytes moved",
  question:
    "On as many devices as groups MoGE sends every token to all of them. Does the balance that it gains pay for that, and how are tokens sent best?",
  defaults: { seed: 1, steps: 300 },
  run,
  claims: [
    {
      text: "on 8 devices a token of MoGE touches all 8, one of either top-k fewer than 6",
      holds: (tables) =>
        Math.abs(find(tables, "moge", 8, "once a device").fan_out - 8) < 1e-9 &&
        ["topk", "topk-lossfree"].every((variant) => find(tables, variant, 8, "once a device").fan_out < 6),
    },
    {
      text: "there, sent once an expert, MoGE has the shortest exchange and the shortest step of the three",
      holds: (tables) => {
        const of = (variant: string) => find(tables, variant, 8, "once an expert");
        return ["topk", "topk-lossfree"].every(
          (variant) =>
            of("moge").simulated_exchange_seconds <= of(variant).simulated_exchange_seconds &&
            of("moge").simulated_step_seconds < of(variant).simulated_step_seconds,
        );
      },
    },
    {
      text: "but sent once a device, its exchange takes more than 1.2 times that of either top-k, and its step is the longest",
      holds: (tables) => {
        const of = (variant: string) => find(tables, variant, 8, "once a device");
        return ["topk", "topk-lossfree"].every(
          (variant) =>
            of("moge").simulated_exchange_seconds > 1.2 * of(variant).simulated_exchange_seconds &&
            of("moge").simulated_step_seconds > of(variant).simulated_step_seconds,
        );
      },
    },
    {
      text: "over two nodes, sending once a node cuts the exchange of all three to less than a half",
      holds: (tables) =>
        ["topk", "topk-lossfree", "moge"].every(
          (variant) =>
            find(tables, variant, 16, "once a node, then inside").simulated_exchange_seconds <
            0.5 * find(tables, variant, 16, "once an expert").simulated_exchange_seconds,
        ),
    },
    {
      text: "gathering all tokens everywhere costs all three routing rules the same exchange",
      holds: (tables) => {
        const seconds = ["topk", "topk-lossfree", "moge"].map(
          (variant) => find(tables, variant, 8, "all tokens everywhere").simulated_exchange_seconds,
        );
        return Math.max(...seconds) === Math.min(...seconds);
      },
    },
  ],
};

export function figures({ transfers: rows }: FanOutTables): ExperimentFigures {
  const { colour } = variantScales([...new Set(rows.map(({ variant }) => variant))]);
  return {
    "fan-out": {
      description:
        "Bars of the simulated step time of three routing rules by the way tokens are sent, on 8 and on 16 devices that share the experts",
      title: {
        text: "Step time by the way tokens reach their experts, SIMULATED",
        subtitle: "Pangu Pro MoE on 1,024 Ascend 910B2, trained routing; 8 devices are one server, 16 are two",
      },
      data: { values: rows.map((row) => ({ ...row })) },
      facet: { row: { field: "expert_parallel", type: "ordinal", title: "devices that share the experts" } },
      spec: {
        width: 520,
        height: 170,
        mark: { type: "bar" },
        encoding: {
          y: {
            field: "transfer",
            type: "nominal",
            title: null,
            sort: transfers.map(({ transfer }) => transfer),
            axis: { labelLimit: 200 },
          },
          yOffset: { field: "variant", type: "nominal" },
          x: { field: "simulated_step_seconds", type: "quantitative", title: "step, s" },
          color: {
            field: "variant",
            type: "nominal",
            scale: { domain: colour.domain, range: colour.range },
            legend: { title: null, orient: "bottom" },
          },
        },
      },
    },
  };
}
