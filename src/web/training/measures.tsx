/** Where both models are now, in a few figures; each opens to its formula with its numbers. */
import { mean } from "../../core/statistics.ts";
import { assignmentMetrics } from "../../metrics/assignment-metrics.ts";
import { loadMetrics } from "../../metrics/metrics.ts";
import type { LayerStep, Step } from "../../simulate.ts";
import { figure } from "../charts/scale.ts";
import { type Description, described, ofMetric, stepTime } from "../glossary.ts";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { Described, Popover } from "../popover.tsx";
import { modelTitle } from "./models.ts";
import type { Progress } from "./session.ts";

interface Now {
  readonly step: Step;
  readonly layer: LayerStep;
  /** The last one with a validation. */
  readonly validated: Step | undefined;
}

interface Row {
  readonly title: Phrase;
  readonly description: Description;
  readonly value: (now: Now) => number;
  readonly show: (value: number) => string;
  /** The formula with numbers. */
  readonly numbers: (now: Now) => string;
}

const exact = (digits: number) => (value: number) => (value === 0 ? "0" : value.toFixed(digits));
const max = (load: readonly number[]) => Math.max(...load);
const milliseconds = (seconds: number) => `${(seconds * 1e3).toFixed(2)} ms`;

const rows: readonly Row[] = [
  {
    title: { en: "Loss on held-out text", zh: "验证损失" },
    description: described(
      {
        title: "mean over the texts of the cross-entropy of the next byte",
        formula: "−(1/n) Σ ln p(byte | bytes before), nats per byte",
        source: "ln 256 = 5.55 knows nothing",
      },
      {
        title: "预测下一个字节的交叉熵，对各文本取平均",
        formula: "−(1/n) Σ ln p(字节 | 此前的字节)，奈特／字节",
        source: "ln 256 = 5.55 表示一无所知",
      },
    ),
    value: ({ validated }) => validated?.validation?.lossNatsPerByte ?? Number.NaN,
    show: exact(3),
    numbers: ({ validated }) => {
      const losses = validated?.validation?.domains.map(({ lossNatsPerByte }) => lossNatsPerByte.toFixed(2)) ?? [];
      return `(${losses.join(" + ")}) / ${losses.length}`;
    },
  },
  {
    title: { en: "Device imbalance", zh: "设备不均衡" },
    description: ofMetric(loadMetrics["imbalance-score"], "imbalance-score"),
    value: ({ layer, step }) => loadMetrics["imbalance-score"].of(layer.deviceLoad, { tokens: step.tokens, topK: 0 }),
    show: exact(3),
    numbers: ({ layer: { deviceLoad }, step: { tokens } }) =>
      `(max ${max(deviceLoad)} − min ${Math.min(...deviceLoad)}) / T ${tokens}`,
  },
  {
    title: { en: "Hottest expert / mean", zh: "最热专家 / 平均" },
    description: ofMetric(loadMetrics["max-over-mean"], "max-over-mean"),
    value: ({ layer, step }) => loadMetrics["max-over-mean"].of(layer.expertLoad, { tokens: step.tokens, topK: 0 }),
    show: exact(2),
    numbers: ({ layer: { expertLoad } }) =>
      `max ${max(expertLoad)} / (Σ ${figure(mean(expertLoad) * expertLoad.length)} / ${expertLoad.length})`,
  },
  {
    title: { en: "Fan-out, devices a token", zh: "扇出：每词元设备数" },
    description: ofMetric(assignmentMetrics["fan-out"], "fan-out"),
    value: ({ layer }) => layer.metrics["fan-out"] ?? Number.NaN,
    show: exact(2),
    numbers: ({ layer, step }) =>
      `${Math.round((layer.metrics["fan-out"] ?? Number.NaN) * step.tokens)} / T ${step.tokens}`,
  },
  {
    title: { en: "Step of the real layer, simulated", zh: "真实层的一步（模拟）" },
    description: stepTime(
      "one MoE layer of Pangu Pro MoE on eight Ascend 910B2, fed with these routers' choices",
      "八台 Ascend 910B2 上 Pangu Pro MoE 的一个 MoE 层，输入为这些路由器的选择",
    ),
    value: ({ step }) => (step.simulated?.stepSeconds ?? Number.NaN) * 1e3,
    show: (value) => `${value.toFixed(2)} ms`,
    numbers: ({ step: { simulated } }) =>
      simulated === undefined
        ? ""
        : [simulated.computeSeconds, simulated.waitSeconds, simulated.communicationSeconds]
            .map(milliseconds)
            .join(" + "),
  },
];

export function TrainingMeasures({ models, layer }: { readonly models: readonly Progress[]; readonly layer: number }) {
  const now = models.map(({ steps }): Now | undefined => {
    const step = steps.at(-1);
    const own = step?.layers[layer];
    if (step === undefined || own === undefined) return undefined;
    return { step, layer: own, validated: steps.findLast(({ validation }) => validation !== undefined) };
  });
  return (
    <dl class="measures">
      {rows.map((row) => (
        <div key={row.title.en}>
          <dt>{say(row.title)}</dt>
          {models.map(({ arm }, i) => (
            <dd key={arm.name} class={arm.name}>
              <span>{modelTitle(arm.name)}</span>
              <Cell row={row} now={now[i]} model={modelTitle(arm.name)} />
            </dd>
          ))}
        </div>
      ))}
    </dl>
  );
}

function Cell({ row, now, model }: { readonly row: Row; readonly now: Now | undefined; readonly model: string }) {
  const value = now === undefined ? Number.NaN : row.value(now);
  if (now === undefined || !Number.isFinite(value)) return <>—</>;
  const shown = row.show(value);
  return (
    <Popover
      label={`${say(row.title)}, ${model}: ${shown}`}
      content={() => <Described {...row.description} numbers={`${row.numbers(now)} = ${shown}`} />}
    >
      {shown}
    </Popover>
  );
}
