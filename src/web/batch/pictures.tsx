/** The pictures of a routed batch: who chose whom, what each expert and device got, and who waits for whom. */
import { NO_EXPERT } from "../../routing/assignment.ts";
import { Bars } from "../charts/bars.tsx";
import { Matrix, type MatrixProps } from "../charts/matrix.tsx";
import { figure } from "../charts/scale.ts";
import { Timeline, type Work } from "../charts/timeline.tsx";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import type { RoutedBatch } from "./routed-batch.ts";

const words = {
  matrix: { en: "Who goes to whom", zh: "谁去哪里" },
  loads: { en: "Load of the experts, by device", zh: "各专家的负载（按设备）" },
  lines: { en: "Short lines: mean of each device.", zh: "短线：每台设备的平均。" },
  step: { en: "The step, device by device (simulated)", zh: "各设备的一步（模拟）" },
  token: { en: "token", zh: "词元" },
  tokens: { en: "tokens →", zh: "词元 →" },
  device: { en: "device", zh: "设备" },
  experts: { en: "experts, by device", zh: "专家（按设备）" },
  expert: { en: "expert", zh: "专家" },
  assignments: { en: "assignments", zh: "分配数" },
  mean: { en: "mean", zh: "平均" },
  capacity: { en: "capacity", zh: "容量" },
  compute: { en: "computes", zh: "计算" },
  send: { en: "sends", zh: "传输" },
  wait: { en: "waits", zh: "等待" },
} satisfies Record<string, Phrase>;

interface PictureProps {
  readonly batch: RoutedBatch;
  /** Class of the colour. */
  readonly series: string;
  /** "left" or "right", for names of files. */
  readonly side: string;
  /** What both sides have in common: ends of their axes. */
  readonly most: { readonly load: number; readonly seconds: number };
}

export function Pictures(props: PictureProps) {
  return (
    <>
      <ExpertLoads {...props} />
      <StepTimeline {...props} />
      <ChoiceMatrix {...props} />
    </>
  );
}

const deviceNames = (devices: number): string[] => Array.from({ length: devices }, (_, d) => String(d));

/** Experts of each token and their weights, as rows of a table. */
function choiceRows({ assignment }: RoutedBatch): (string | number)[][] {
  const { tokens, slots, experts, weights } = assignment;
  return Array.from({ length: Math.min(tokens, 256) }, (_, t) => {
    const own = Array.from({ length: slots }, (_unused, j) => t * slots + j).filter((at) => experts[at] !== NO_EXPERT);
    return [t, own.map((at) => `${experts[at]} (${figure(weights[at]!)})`).join(", ")];
  });
}

function ChoiceMatrix({ batch, series, side }: PictureProps) {
  const { assignment, config } = batch;
  const { tokens, slots, experts, weights } = assignment;
  const rows = config.model.experts;
  const fill: MatrixProps["fill"] = (mark) => {
    let most = 0;
    for (let j = 0; j < weights.length; j++) most = Math.max(most, weights[j]!);
    for (let j = 0; j < experts.length; j++) {
      if (experts[j] === NO_EXPERT) continue;
      mark(experts[j]! * tokens + Math.floor(j / slots), 80 + (175 * weights[j]!) / most);
    }
  };
  return (
    <Matrix
      name={`choices-${side}`}
      title={words.matrix}
      description={`${tokens} × ${rows}`}
      table={() => ({ columns: [say(words.token), say(words.expert)], rows: choiceRows(batch) })}
      columns={tokens}
      rows={rows}
      series={series}
      fill={fill}
      rowGroups={deviceNames(config.cluster.devices)}
      columnTitle={say(words.tokens)}
      rowTitle={say(words.experts)}
    />
  );
}

function ExpertLoads({ batch, series, side, most }: PictureProps) {
  const { expertLoad, config } = batch;
  const { devices } = config.cluster;
  const each = expertLoad.length / devices;
  const mean = expertLoad.reduce((sum, load) => sum + load, 0) / expertLoad.length;
  return (
    <Bars
      name={`loads-${side}`}
      title={words.loads}
      description={`${say(words.mean)} ${figure(mean)}, ${figure(Math.min(...expertLoad))} … ${figure(Math.max(...expertLoad))}`}
      table={() => ({
        columns: [say(words.expert), say(words.device), say(words.assignments)],
        rows: Array.from(expertLoad, (load, expert) => [expert, Math.floor(expert / each), load]),
      })}
      groups={deviceNames(devices).map((label, d) => ({
        label,
        values: expertLoad.subarray(d * each, (d + 1) * each),
        mean: batch.deviceLoad[d]! / each,
      }))}
      series={series}
      most={most.load}
      lines={[{ value: mean, label: say(words.mean) }]}
      note={say(words.lines)}
    />
  );
}

function StepTimeline({ batch: { time, config }, side, most }: PictureProps) {
  const rows = time.computeSeconds.map((seconds, device) => {
    const sent = time.dispatchSeconds;
    const hottest = sent + time.hottestComputeSeconds;
    const stretch = (kind: Work, from: number, to: number) => ({ kind, from: from * 1e3, to: to * 1e3 });
    return {
      label: String(device),
      stretches: [
        stretch("send", 0, sent),
        stretch("compute", sent, sent + seconds),
        stretch("wait", sent + seconds, hottest),
        stretch("send", hottest, hottest + time.combineSeconds),
      ],
    };
  });
  return (
    <Timeline
      name={`step-${side}`}
      title={words.step}
      description={`${config.cluster.devices} ${say(words.device)}; ${figure(time.stepSeconds * 1e3)} ms`}
      table={() => ({
        columns: [say(words.device), `${say(words.compute)}, ms`, `${say(words.wait)}, ms`, `${say(words.send)}, ms`],
        rows: time.computeSeconds.map((seconds, device) => [
          device,
          figure(seconds * 1e3),
          figure((time.hottestComputeSeconds - seconds) * 1e3),
          figure(time.communicationSeconds * 1e3),
        ]),
      })}
      legend={<WorkLegend />}
      rows={rows}
      end={most.seconds * 1e3}
      unit="ms"
    />
  );
}

/** What the shades of the timeline mean. */
export function WorkLegend() {
  return (
    <p class="legend">
      {(["compute", "wait", "send"] as const).map((kind) => (
        <span key={kind} class={`key ${kind}`}>
          {say(words[kind])}
        </span>
      ))}
    </p>
  );
}
