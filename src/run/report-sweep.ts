/** What a sweep leaves beside its runs: tables, figures and the report, made anew from the runs that are done. */
import { stringify } from "yaml";
import { noTables, type Row, type TrainedTables } from "../experiment/experiment.ts";
import { type ExperimentFigures, writeExperiment } from "../output/experiment-report.ts";
import { curveFigure, dotFigure, scatterFigure } from "../output/figures/experiment-figures.ts";
import { writeExperimentReport } from "../output/report/experiment-html.ts";
import { collectRuns, writeRuns } from "./collect.ts";
import { experimentTables } from "./experiment-tables.ts";
import type { SweepPlan } from "./sweep-plan.ts";
import { countStates, type RunStatus } from "./sweep-state.ts";

const LOSS = "validation_loss_nats_per_byte";
const IMBALANCE = "imbalance_score_mean";
const STEP = "simulated_step_seconds";

const quantities = [
  { column: LOSS, title: "Validation loss", yTitle: "nats per byte" },
  { column: IMBALANCE, title: "Device imbalance", yTitle: "imbalance score" },
  { column: "expert_max_over_mean", title: "Hottest expert over the mean", yTitle: "max / mean" },
  { column: "fan_out_devices_per_token", title: "Fan-out", yTitle: "devices per token" },
  { column: STEP, title: "Simulated step time", yTitle: "seconds, simulated" },
] as const;

const curves = [
  { name: "validation loss", file: "steps.csv", column: LOSS },
  { name: "device imbalance", file: "steps.csv", column: "imbalance_score" },
] as const;

/** Beyond so many settings a line or row each is no figure any more. */
const MOST_SETTINGS = 24;
/** Beyond so many runs their curves are not read: it would take longer than a look at them is worth. */
const MOST_CURVES = 200;

/** @param parquet runs.parquet beside runs.csv @param page figures and the report, not runs.csv alone */
export async function reportSweep(
  directory: string,
  plan: SweepPlan,
  statuses: readonly RunStatus[],
  { parquet, page: isWanted }: { readonly parquet: boolean; readonly page: boolean },
): Promise<void> {
  if (!isWanted) return writeRuns(directory, plan, collectRuns(directory, plan, statuses), parquet);
  const done = statuses.filter(({ state }) => state === "done").length;
  const few = done <= MOST_CURVES;
  const compared = quantities.map(({ column }) => column);
  const tables = few
    ? experimentTables(directory, plan, statuses, { curves, compared })
    : { ...noTables, runs: collectRuns(directory, plan, statuses) };
  const figures = done === 0 ? {} : figuresOf(plan, tables);
  const left =
    done === plan.runs.length
      ? ""
      : ` Of ${plan.runs.length} runs ${countStates(statuses)
          .map(([state, count]) => `${count} ${state}`)
          .join(", ")}.`;
  const page = {
    title: plan.name,
    question: `${plan.description ?? `A sweep of ${plan.runs.length} runs.`}${left}`,
    method: [
      "Means and 95 % bootstrap intervals are over the seeds of a setting; with one seed they say nothing of chance.",
    ],
    claims: [],
    figures,
    command: plan.command ?? `moge sweep ${plan.name}.yaml`,
  };
  const { runs, means } = tables;
  await writeExperiment(directory, page, { means });
  writeExperimentReport(directory, page, {
    rows: runs,
    config: stringify({ base: plan.base, variants: plan.variants, runs: plan.runs.length }),
    compared: [...plan.axes.filter((axis) => axis !== "seed"), ...compared],
  });
  await writeRuns(directory, plan, runs, parquet);
}

function figuresOf({ axes }: SweepPlan, { runs, means, curves: drawn }: TrainedTables): ExperimentFigures {
  const keys = axes.filter((axis) => axis !== "seed");
  const setting = (row: Row): Row => ({
    ...row,
    setting:
      keys.map((key) => (key === "variant" ? row[key] : `${key.split(".").at(-1)} ${row[key]}`)).join(", ") || "all",
  });
  const settings = new Set(runs.map((row) => setting(row)["setting"])).size;
  const having = quantities.filter(({ column }) => runs.some((row) => row[column] !== undefined));
  const against = (y: (typeof quantities)[number]) =>
    scatterFigure({
      runs: runs.filter((row) => row[LOSS] !== undefined && row[y.column] !== undefined),
      x: LOSS,
      xTitle: "validation loss, nats per byte",
      y: y.column,
      by: "variant",
      title: `${y.title} against validation loss`,
      subtitle: "A dot a run; down and left is better.",
      yTitle: y.yTitle,
      description: `${y.title} against validation loss, a dot a run`,
    });
  const scatters = having
    .filter(({ column }) => column === STEP || column === IMBALANCE)
    .map((y) => [`${y.column.replaceAll("_", "-")}-against-loss`, against(y)]);
  if (settings > MOST_SETTINGS || means.length === 0) return Object.fromEntries(scatters) as ExperimentFigures;
  const dots = having.map((quantity) => [
    quantity.column.replaceAll("_", "-"),
    dotFigure({
      ...quantity,
      runs: runs.map(setting),
      means: means.filter(({ column }) => column === quantity.column).map(setting),
      by: "setting",
      subtitle: "A dot a run; bars: 95 % intervals over the seeds.",
      description: `${quantity.title} by setting`,
    }),
  ]);
  const lines = curves.flatMap(({ name }) => {
    const rows = drawn.filter(({ curve }) => curve === name).map(setting);
    return rows.length === 0
      ? []
      : [
          [
            `${name.replaceAll(" ", "-")}-over-training`,
            curveFigure({
              rows,
              by: "setting",
              title: `${name[0]!.toUpperCase()}${name.slice(1)} over training`,
              subtitle: "Bands: 95 % intervals over the seeds.",
              yTitle: name,
              description: `${name} over the steps, by setting`,
            }),
          ],
        ];
  });
  return Object.fromEntries([...dots, ...lines, ...scatters]) as ExperimentFigures;
}
