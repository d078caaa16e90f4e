/** What unfolds over the steps: loss, loss by text, balance of the devices, and what a step of the real layer would take. */
import { useMemo } from "preact/hooks";
import { mean } from "../../core/statistics.ts";
import { loadMetrics } from "../../metrics/metrics.ts";
import type { Step } from "../../simulate.ts";
import { WorkLegend } from "../batch/pictures.tsx";
import { Lines } from "../charts/lines.tsx";
import { Panels } from "../charts/panels.tsx";
import { Timeline } from "../charts/timeline.tsx";
import { language, say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { curves, curveTable, modelTitle } from "./models.ts";
import type { Progress } from "./session.ts";

const words = {
  step: { en: "step", zh: "步" },
  steps: { en: "step →", zh: "步 →" },
  loss: { en: "Loss of the training batch", zh: "训练批次损失" },
  nats: { en: "nats per byte", zh: "奈特／字节" },
  domains: { en: "Loss on held-out text, by text", zh: "各文本的验证损失" },
  text: { en: "text", zh: "文本" },
  imbalance: { en: "Imbalance of the devices", zh: "设备不均衡" },
  perToken: { en: "(hottest − coolest) / tokens", zh: "（最热 − 最冷）/ 词元数" },
  time: { en: "Time of a step of the real layer (simulated)", zh: "真实层一步的时间（模拟）" },
  parts: { en: "What this step would be spent on (simulated)", zh: "这一步的时间去向（模拟）" },
  milliseconds: { en: "ms", zh: "毫秒" },
  model: { en: "model", zh: "模型" },
  compute: { en: "compute", zh: "计算" },
  wait: { en: "wait", zh: "等待" },
  send: { en: "send", zh: "传输" },
} satisfies Record<string, Phrase>;

interface CurveProps {
  readonly models: readonly Progress[];
  /** All that there will be. */
  readonly steps: number;
}

const lastTexts = (lines: ReturnType<typeof curves>): string =>
  lines.map(({ label, y }) => `${label} ${y.length === 0 ? "—" : y[y.length - 1]!.toPrecision(4)}`).join("; ");

export function LossCurves({ models, steps }: CurveProps) {
  const lines = curves(models, ({ trainingLossNatsPerByte }) => trainingLossNatsPerByte);
  return (
    <Lines
      name="training-loss"
      title={words.loss}
      description={lastTexts(lines)}
      table={() => curveTable(say(words.step), lines)}
      lines={lines}
      xTitle={say(words.steps)}
      yTitle={say(words.nats)}
      xDomain={[0, steps]}
    />
  );
}

/** Drawn anew only when there was a validation. */
export function DomainCurves({ models, steps, domains }: CurveProps & { readonly domains: readonly string[] }) {
  const validations = models.map(({ steps: taken }) => taken.findLast(({ validation }) => validation !== undefined));
  const panels = domains.map((label, d) => ({
    label,
    lines: curves(models, ({ validation }) => validation?.domains[d]?.lossNatsPerByte),
  }));
  const picture = () => (
    <Panels
      name="domain-loss"
      title={words.domains}
      description={panels.map(({ label, lines }) => `${label}: ${lastTexts(lines)}`).join(". ")}
      table={() => ({
        columns: [say(words.text), say(words.step), ...models.map(({ arm }) => modelTitle(arm.name))],
        rows: panels.flatMap(({ label, lines }) => curveTable("", lines).rows.map((row) => [label, ...row])),
      })}
      panels={panels}
      xTitle={say(words.steps)}
      yTitle={say(words.nats)}
      xDomain={[0, steps]}
    />
  );
  return useMemo(picture, [...validations, domains.join(), steps, language.value]);
}

export const imbalanceOf = ({ layers, tokens }: Step): number =>
  mean(layers.map(({ deviceLoad }) => loadMetrics["imbalance-score"].of(deviceLoad, { tokens, topK: 0 })));

export function ImbalanceCurves({ models, steps }: CurveProps) {
  const lines = curves(models, imbalanceOf);
  const most = Math.max(0.1, ...lines.flatMap(({ y }) => Array.from(y)));
  return (
    <Lines
      name="training-imbalance"
      title={words.imbalance}
      description={lastTexts(lines)}
      table={() => curveTable(say(words.step), lines)}
      lines={lines}
      xTitle={say(words.steps)}
      yTitle={say(words.perToken)}
      xDomain={[0, steps]}
      yDomain={[0, most]}
    />
  );
}

export function TimeCurves({ models, steps }: CurveProps) {
  const lines = curves(models, ({ simulated }) => simulated && simulated.stepSeconds * 1e3);
  return (
    <Lines
      name="training-time"
      title={words.time}
      description={lastTexts(lines)}
      table={() => curveTable(say(words.step), lines)}
      lines={lines}
      xTitle={say(words.steps)}
      yTitle={say(words.milliseconds)}
      xDomain={[0, steps]}
    />
  );
}

export function TimeParts({ models }: Pick<CurveProps, "models">) {
  const times = models.flatMap(({ arm, steps }) => {
    const simulated = steps.at(-1)?.simulated;
    return simulated === undefined ? [] : [{ name: arm.name, simulated }];
  });
  if (times.length === 0) return null;
  const rows = times.map(({ name, simulated }) => {
    const { computeSeconds, waitSeconds, stepSeconds } = simulated;
    const milliseconds = [0, computeSeconds, computeSeconds + waitSeconds, stepSeconds].map((seconds) => seconds * 1e3);
    const kinds = ["compute", "wait", "send"] as const;
    return {
      label: modelTitle(name),
      stretches: kinds.map((kind, i) => ({ kind, from: milliseconds[i]!, to: milliseconds[i + 1]! })),
    };
  });
  return (
    <Timeline
      name="training-time-parts"
      title={words.parts}
      description={times
        .map(({ name, simulated }) => `${modelTitle(name)} ${(simulated.stepSeconds * 1e3).toFixed(2)} ms`)
        .join("; ")}
      table={() => ({
        columns: [words.model, words.compute, words.wait, words.send].map(say),
        rows: rows.map(({ label, stretches }) => [label, ...stretches.map(({ from, to }) => (to - from).toFixed(3))]),
      })}
      legend={<WorkLegend />}
      rows={rows}
      end={Math.max(...times.map(({ simulated }) => simulated.stepSeconds * 1e3))}
      unit={say(words.milliseconds)}
    />
  );
}
