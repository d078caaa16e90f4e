/** The figures of both routers beside each other; each opens to its formula with its numbers. */
import { assignmentMetrics } from "../../metrics/assignment-metrics.ts";
import { dropMetrics } from "../../metrics/drop-metrics.ts";
import { loadMetrics } from "../../metrics/metrics.ts";
import { scoreMetrics } from "../../metrics/score-metrics.ts";
import { figure } from "../charts/scale.ts";
import { type Description, ofMetric, stepTime } from "../glossary.ts";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { Described, Popover } from "../popover.tsx";
import type { Measures } from "./measure.ts";
import type { Outcome, RoutedBatch } from "./routed-batch.ts";

interface Row {
  readonly title: Phrase;
  readonly value: (batch: RoutedBatch) => string;
  readonly description: Description;
  /** The formula with numbers. */
  readonly numbers: (batch: RoutedBatch) => string;
}

const largest = (load: Float64Array): number => load.reduce((most, each) => Math.max(most, each), 0);
const smallest = (load: Float64Array): number =>
  load.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY);
const sum = (load: Float64Array): number => load.reduce((total, each) => total + each, 0);
/** An exact zero shows that it is one. */
const exact = (value: number, digits: number): string =>
  Number.isNaN(value) ? "—" : value === 0 ? "0" : value.toFixed(digits);
const percent = (share: number): string => (share === 0 ? "0" : `${(100 * share).toFixed(1)} %`);
const milliseconds = (seconds: number): string => `${(seconds * 1e3).toFixed(2)} ms`;

const ofMeasure = (name: keyof Measures, show: (value: number) => string) => (batch: RoutedBatch) =>
  show(batch.measures[name]);

const maxOverMean = (load: Float64Array): string =>
  `max ${figure(largest(load))} / (Σ ${figure(sum(load))} / ${load.length}) = ${exact((largest(load) * load.length) / sum(load), 3)}`;

const rows: readonly Row[] = [
  {
    title: { en: "Device imbalance", zh: "设备不均衡" },
    value: ofMeasure("imbalance", (value) => exact(value, 3)),
    description: ofMetric(loadMetrics["imbalance-score"], "imbalance-score"),
    numbers: ({ deviceLoad, measures, assignment }) =>
      `(max ${figure(largest(deviceLoad))} − min ${figure(smallest(deviceLoad))}) / T ${assignment.tokens} = ${exact(measures.imbalance, 3)}`,
  },
  {
    title: { en: "Hottest expert / mean", zh: "最热专家 / 平均" },
    value: ofMeasure("expertMaxOverMean", (value) => exact(value, 2)),
    description: ofMetric(loadMetrics["max-over-mean"], "max-over-mean"),
    numbers: ({ expertLoad }) => maxOverMean(expertLoad),
  },
  {
    title: { en: "Fan-out, devices a token", zh: "扇出：每词元设备数" },
    value: ofMeasure("fanOut", (value) => exact(value, 2)),
    description: ofMetric(assignmentMetrics["fan-out"], "fan-out"),
    numbers: ({ measures, assignment, config }) =>
      `${figure(Math.round(measures.fanOut * assignment.tokens))} / T ${assignment.tokens} = ${exact(measures.fanOut, 2)} ≤ D = ${config.cluster.devices}`,
  },
  {
    title: { en: "Dropped", zh: "丢弃" },
    value: ofMeasure("dropRate", percent),
    description: ofMetric(dropMetrics["drop-rate"], "drop-rate"),
    numbers: ({ chosen, measures }) => {
      const wanted = chosen.reduce((count, expert) => count + (expert >= 0 ? 1 : 0), 0);
      return `${figure(Math.round(wanted * measures.dropRate))} / ${figure(wanted)} = ${percent(measures.dropRate)}`;
    },
  },
  {
    title: { en: "Probability of the chosen", zh: "所选专家的概率" },
    value: ofMeasure("chosenProbability", (value) => exact(value, 3)),
    description: ofMetric(scoreMetrics["chosen-probability"], "chosen-probability"),
    numbers: ({ measures, config }) =>
      `${exact(measures.chosenProbability, 3)}; K/N = ${config.model.topK}/${config.model.experts} = ${exact(config.model.topK / config.model.experts, 3)}`,
  },
  {
    title: { en: "Step, simulated", zh: "一步（模拟）" },
    value: ({ time }) => milliseconds(time.stepSeconds),
    description: stepTime(
      "one MoE layer of Pangu Pro MoE's widths, forward and backward",
      "Pangu Pro MoE 尺寸的一个 MoE 层，前向与反向",
    ),
    numbers: ({ time }) =>
      `${milliseconds(time.meanComputeSeconds)} + ${milliseconds(time.waitSeconds)} + ${milliseconds(time.communicationSeconds)} = ${milliseconds(time.stepSeconds)}`,
  },
];

export interface Side {
  readonly title: Phrase;
  readonly series: string;
  readonly outcome: Outcome;
}

/** A figure a cell, the routers below one another in it. */
export function MeasureTable({ sides }: { readonly sides: readonly Side[] }) {
  return (
    <dl class="measures">
      {rows.map((row) => (
        <div key={row.title.en}>
          <dt>{say(row.title)}</dt>
          {sides.map((side) => (
            <dd key={side.series} class={side.series}>
              <span>{say(side.title)}</span> <Cell row={row} side={side} />
            </dd>
          ))}
        </div>
      ))}
    </dl>
  );
}

function Cell({ row, side: { outcome, title } }: { readonly row: Row; readonly side: Side }) {
  if (!("batch" in outcome)) return <>—</>;
  const { batch } = outcome;
  const value = row.value(batch);
  return (
    <Popover
      label={`${say(row.title)}, ${say(title)}: ${value}`}
      content={() => <Described {...row.description} numbers={row.numbers(batch)} />}
    >
      {value}
    </Popover>
  );
}
