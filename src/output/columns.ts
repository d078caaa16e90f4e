/**
 * The CSV files of a run: every file, its columns, their units and where each value comes from. The writer, the
 * documentation and the tests are read off this table. Formulas of load metrics are in metrics/.
 */

import type { RunConfig } from "../config/schema.ts";
import { mean, sum } from "../core/statistics.ts";
import { comparisonMetrics } from "../metrics/comparison-metrics.ts";
import type { MetricDescription } from "../metrics/metric.ts";
import { type LoadMetric, loadMetrics } from "../metrics/metrics.ts";
import { type RoutingMetricName, routingMetrics } from "../metrics/routing-metrics.ts";
import type { LayerStep, Saturation, Step } from "../simulate.ts";
import type { Cell } from "./csv-text.ts";

/** One of the configurations of a run, as far as writing its results needs it. */
export interface WrittenVariant {
  readonly name: string;
  readonly config: Pick<RunConfig, "model" | "training" | "cluster" | "record" | "probe">;
}

/** What a column means. */
export interface ColumnText {
  /** `1` for plain numbers and ratios, `text` for names, `index` for positions. */
  readonly unit: string;
  readonly description: string;
}

export interface Column<Row> extends ColumnText {
  /** @returns undefined where the quantity does not exist */
  value(row: Row): Cell;
}

/** A file that grows as steps come. */
export interface StepTable {
  readonly description: string;
  readonly columns: Readonly<Record<string, ColumnText>>;
  /** The rows that one step of a variant adds, cells in the order of the columns. */
  cells(variant: WrittenVariant, step: Step): Cell[][];
}

interface StepRow {
  readonly variant: WrittenVariant;
  readonly step: Step;
}
interface LayerRow extends StepRow {
  readonly layer: LayerStep;
}
interface LoadRow extends LayerRow {
  readonly expert?: number;
  readonly device: number;
  readonly assignments: number;
}
interface SaturationRow extends StepRow {
  readonly of: Saturation;
}
interface DomainRow extends StepRow {
  readonly domain: string;
  readonly lossNatsPerByte: number;
}

const table = <Row>(
  description: string,
  columns: Readonly<Record<string, Column<Row>>>,
  rows: (variant: WrittenVariant, step: Step) => readonly Row[],
): StepTable => ({
  description,
  columns,
  cells: (variant, step) => rows(variant, step).map((row) => Object.values(columns).map((column) => column.value(row))),
});

const meanOrNothing = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : mean(values);

const overLayers = (value: (layer: LayerStep, row: StepRow) => number, { step, variant }: StepRow): number[] =>
  step.layers.map((layer) => value(layer, { step, variant }));

const measure = (metric: LoadMetric, load: readonly number[], { step, variant }: StepRow): number =>
  metric.of(load, { tokens: step.tokens, topK: variant.config.model.topK });

const imbalanceScore = loadMetrics["imbalance-score"];
const maxOverMean = loadMetrics["max-over-mean"];
const routerSaturation = comparisonMetrics["router-saturation"];
const deviceMetric = (metric: LoadMetric) => (layer: LayerStep, row: StepRow) => measure(metric, layer.deviceLoad, row);
const expertMetric = (metric: LoadMetric) => (layer: LayerStep, row: StepRow) => measure(metric, layer.expertLoad, row);

const variantAndStep = {
  variant: { unit: "text", description: "name of the variant", value: ({ variant }: StepRow) => variant.name },
  step: { unit: "index", description: "optimizer step, from 1", value: ({ step }: StepRow) => step.step },
};
const layerIndex = {
  layer: { unit: "index", description: "transformer layer, from 0", value: ({ layer }: LayerRow) => layer.layer },
};
const deviceIndex = {
  device: { unit: "index", description: "device that holds it, from 0", value: ({ device }: LoadRow) => device },
};
const assignments = {
  assignments: {
    unit: "assignments",
    description: "token-to-expert assignments that it received in the step",
    value: (row: LoadRow) => row.assignments,
  },
};

const simulatedSeconds = (part: string, value: (step: NonNullable<Step["simulated"]>) => number) => ({
  [`simulated_${part}_seconds`]: {
    unit: "seconds",
    description: `SIMULATED, all MoE layers of the target: ${simulatedParts[part as keyof typeof simulatedParts]}`,
    value: ({ step }: StepRow) => step.simulated && value(step.simulated),
  },
});

/** The parts of the simulated time, as the column descriptions name them. */
export const simulatedParts = {
  step: "forward and backward together; compute + wait + communication",
  compute: "expert compute of the mean device",
  wait: "how much longer the hottest device computes than the mean one",
  communication: "dispatch and combine all-to-all",
} as const;

/** A column of every metric of the tokens' own choices. @param pooled how the layers become one number */
function routingColumns<Row>(pooled: string, value: (name: RoutingMetricName, row: Row) => Cell) {
  const metrics = Object.entries<MetricDescription>(routingMetrics) as [RoutingMetricName, MetricDescription][];
  return Object.fromEntries(
    metrics.map(([name, { column, title, formula, unit }]): [string, Column<Row>] => [
      column,
      { unit, description: `${title}: ${formula}${pooled}`, value: (row) => value(name, row) },
    ]),
  );
}

const stepColumns: Record<string, Column<StepRow>> = {
  ...variantAndStep,
  learning_rate: { unit: "1", description: "learning rate of the update", value: ({ step }) => step.learningRate },
  training_loss_nats_per_byte: {
    unit: "nats per byte",
    description: "mean cross-entropy of the training batch before the update, without balancing losses",
    value: ({ step }) => step.trainingLossNatsPerByte,
  },
  validation_loss_nats_per_byte: {
    unit: "nats per byte",
    description: "after the update, unweighted mean over the domains; empty on steps without validation",
    value: ({ step }) => step.validation?.lossNatsPerByte,
  },
  gradient_norm: {
    unit: "1",
    description: "norm of the gradient before clipping",
    value: ({ step }) => step.gradientNorm,
  },
  balance_loss: {
    unit: "1",
    description: "balancing losses with their coefficients, sum over layers",
    value: ({ step }) =>
      step.layers.length === 0 ? undefined : sum(step.layers.map(({ balanceLoss }) => balanceLoss)),
  },
  imbalance_score: {
    unit: imbalanceScore.unit,
    description: `imbalance score of the device loads, ${imbalanceScore.formula}; mean over layers`,
    value: (row) => meanOrNothing(overLayers(deviceMetric(imbalanceScore), row)),
  },
  imbalance_score_max: {
    unit: imbalanceScore.unit,
    description: "imbalance score of the device loads in the layer where it is largest",
    value: (row) =>
      row.step.layers.length === 0 ? undefined : Math.max(...overLayers(deviceMetric(imbalanceScore), row)),
  },
  device_max_over_mean: {
    unit: maxOverMean.unit,
    description: "load of the hottest device over the mean device; mean over layers",
    value: (row) => meanOrNothing(overLayers(deviceMetric(maxOverMean), row)),
  },
  expert_max_over_mean: {
    unit: maxOverMean.unit,
    description: "load of the hottest expert over the mean expert; mean over layers",
    value: (row) => meanOrNothing(overLayers(expertMetric(maxOverMean), row)),
  },
  ...routingColumns<StepRow>("; mean over layers", (name, { step: { layers } }) =>
    meanOrNothing(layers.flatMap(({ metrics }) => metrics[name] ?? [])),
  ),
  ...simulatedSeconds("step", (simulated) => simulated.stepSeconds),
  ...simulatedSeconds("compute", (simulated) => simulated.computeSeconds),
  ...simulatedSeconds("wait", (simulated) => simulated.waitSeconds),
  ...simulatedSeconds("communication", (simulated) => simulated.communicationSeconds),
};

const metricColumns = (side: "expert" | "device", metrics: readonly LoadMetric[]): Record<string, Column<LayerRow>> =>
  Object.fromEntries(
    metrics.map((metric) => [
      `${side}_${metric.column}`,
      {
        unit: metric.unit,
        description: `${metric.title} of the ${side} loads: ${metric.formula}`,
        value: (row: LayerRow) => measure(metric, row.layer[`${side}Load`], row),
      },
    ]),
  );

const allMetrics: LoadMetric[] = Object.values(loadMetrics);

const layerColumns: Record<string, Column<LayerRow>> = {
  ...variantAndStep,
  ...layerIndex,
  balance_loss: {
    unit: "1",
    description: "balancing losses of the layer, coefficients applied",
    value: ({ layer }) => layer.balanceLoss,
  },
  ...routingColumns<LayerRow>("", (name, { layer }) => layer.metrics[name]),
  // The paper defines the imbalance score over devices.
  ...metricColumns(
    "expert",
    allMetrics.filter((metric) => metric !== imbalanceScore),
  ),
  ...metricColumns("device", allMetrics),
};

const layerRows = (variant: WrittenVariant, step: Step): LayerRow[] =>
  step.layers.map((layer) => ({ variant, step, layer }));

function expertRows(variant: WrittenVariant, step: Step): LoadRow[] {
  const { record, training } = variant.config;
  if (step.step % record.every !== 0 && step.step !== training.steps) return [];
  return layerRows(variant, step).flatMap((row) =>
    row.layer.expertLoad.map((assignments, expert) => ({
      ...row,
      expert,
      device: row.layer.deviceOf[expert]!,
      assignments,
    })),
  );
}

const deviceRows = (variant: WrittenVariant, step: Step): LoadRow[] =>
  layerRows(variant, step).flatMap((row) =>
    row.layer.deviceLoad.map((load, device) => ({ ...row, device, assignments: load })),
  );

/** The files that grow step by step. */
export const stepTables = {
  "steps.csv": table("One row a variant and step.", stepColumns, (variant, step) => [{ variant, step }]),
  "layers.csv": table("One row a variant, step and MoE layer.", layerColumns, layerRows),
  "expert-load.csv": table<LoadRow>(
    "Load of every expert, each `record.every` steps and on the last.",
    {
      ...variantAndStep,
      ...layerIndex,
      expert: { unit: "index", description: "expert, from 0", value: ({ expert }) => expert },
      ...deviceIndex,
      ...assignments,
      share: {
        unit: "1",
        description: "fraction of the layer's assignments",
        value: ({ assignments, layer }) => assignments / sum(layer.expertLoad),
      },
    },
    expertRows,
  ),
  "device-load.csv": table<LoadRow>(
    "Load of every device of the trained model's expert-parallel group, each step.",
    { ...variantAndStep, ...layerIndex, ...deviceIndex, ...assignments },
    deviceRows,
  ),
  "validation.csv": table<DomainRow>(
    "Validation loss of each domain.",
    {
      ...variantAndStep,
      domain: { unit: "text", description: "name of the domain", value: ({ domain }) => domain },
      validation_loss_nats_per_byte: {
        unit: "nats per byte",
        description: "mean cross-entropy on the domain's held-out text, after the update",
        value: ({ lossNatsPerByte }) => lossNatsPerByte,
      },
    },
    (variant, step) => (step.validation?.domains ?? []).map((domain) => ({ variant, step, ...domain })),
  ),
  "saturation.csv": table<SaturationRow>(
    "How early each layer routed the validation text as it did in the end; written with the last step.",
    {
      variant: variantAndStep.variant,
      step: { unit: "index", description: "step of the validation", value: ({ of }) => of.step },
      layer: { unit: "index", description: "transformer layer, from 0", value: ({ of }) => of.layer },
      [routerSaturation.column]: {
        unit: routerSaturation.unit,
        description: `${routerSaturation.title}: ${routerSaturation.formula}; mean over the domains`,
        value: ({ of }) => of.saturation,
      },
    },
    (variant, step) => (step.saturation ?? []).map((of) => ({ variant, step, of })),
  ),
} satisfies Record<string, StepTable>;
