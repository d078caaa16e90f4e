/** What the experts of one layer got in the last batch, and which texts they serve. */
import { useMemo } from "preact/hooks";
import { Bars } from "../charts/bars.tsx";
import { Cells } from "../charts/cells.tsx";
import { Lines } from "../charts/lines.tsx";
import { figure } from "../charts/scale.ts";
import { language, say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { curves, curveTable, modelTitle } from "./models.ts";
import type { Progress } from "./session.ts";

const words = {
  loads: { en: "Assignments of each expert, last batch", zh: "上一批次中各专家的分配数" },
  shares: { en: "Which text takes which expert (held-out text)", zh: "哪种文本用哪个专家（验证文本）" },
  information: { en: "What an expert tells of the text", zh: "专家能说明多少文本信息" },
  informationUnit: { en: "share of the text's entropy", zh: "占文本熵的比例" },
  device: { en: "device", zh: "设备" },
  experts: { en: "experts, by device", zh: "专家（按设备）" },
  expert: { en: "expert", zh: "专家" },
  assignments: { en: "assignments", zh: "分配数" },
  mean: { en: "mean", zh: "平均" },
  text: { en: "text", zh: "文本" },
  step: { en: "step", zh: "步" },
  steps: { en: "step →", zh: "步 →" },
  darkest: {
    en: "Darkest: this share of the text's bytes takes the expert:",
    zh: "最深处：该文本中选择此专家的字节占",
  },
} satisfies Record<string, Phrase>;

export const deviceNames = (devices: number): string[] => Array.from({ length: devices }, (_, d) => String(d));

interface ExpertProps {
  readonly model: Progress;
  /** Among the MoE layers. */
  readonly layer: number;
}

/** @param most end of the axis, the same for both models */
export function ExpertLoads({ model: { arm, steps }, layer, most }: ExpertProps & { readonly most: number }) {
  const { devices } = arm.config.cluster;
  const load = steps.at(-1)?.layers[layer]?.expertLoad ?? new Array<number>(arm.config.model.experts).fill(0);
  const each = load.length / devices;
  const mean = load.reduce((sum, one) => sum + one, 0) / load.length;
  return (
    <Bars
      name={`training-loads-${arm.name}`}
      title={words.loads}
      description={`${modelTitle(arm.name)}: ${say(words.mean)} ${figure(mean)}, ${figure(Math.min(...load))} … ${figure(Math.max(...load))}`}
      table={() => ({
        columns: [say(words.expert), say(words.device), say(words.assignments)],
        rows: load.map((one, expert) => [expert, Math.floor(expert / each), one]),
      })}
      groups={deviceNames(devices).map((label, d) => ({ label, values: load.slice(d * each, (d + 1) * each) }))}
      series={arm.name}
      most={most}
      lines={[{ value: mean, label: say(words.mean) }]}
      unit={say(words.assignments)}
    />
  );
}

/** Drawn anew only when the models were looked at. */
export function DomainExperts({ model, layer, domains }: ExpertProps & { readonly domains: readonly string[] }) {
  const shares = model.shares?.[layer];
  const picture = () => {
    if (shares === undefined) return null;
    const { arm } = model;
    const { experts } = arm.config.model;
    const most = Math.max(...shares);
    return (
      <Cells
        name={`training-domains-${arm.name}`}
        title={words.shares}
        description={domains
          .map((domain, d) => `${domain}: ${say(words.expert)} ${favourites(shares, d, experts)}`)
          .join("; ")}
        table={() => ({
          columns: [say(words.text), ...Array.from({ length: experts }, (_, e) => String(e))],
          rows: domains.map((domain, d) => [
            domain,
            ...Array.from(shares.subarray(d * experts, (d + 1) * experts), (share) => share.toFixed(3)),
          ]),
        })}
        rows={domains}
        values={shares}
        columnGroups={deviceNames(arm.config.cluster.devices)}
        columnTitle={say(words.experts)}
        series={arm.name}
        most={most}
        note={`${say(words.darkest)} ${(100 * most).toFixed(0)} %`}
      />
    );
  };
  return useMemo(picture, [shares, domains.join(), language.value]);
}

/** The three experts that a text takes most often. */
function favourites(shares: Float64Array, domain: number, experts: number): string {
  const own = Array.from(shares.subarray(domain * experts, (domain + 1) * experts), (share, expert) => ({
    share,
    expert,
  }));
  const best = own.sort((a, b) => b.share - a.share).slice(0, 3);
  return best.map(({ share, expert }) => `${expert} (${(100 * share).toFixed(0)} %)`).join(", ");
}

export function InformationCurves({
  models,
  layer,
  steps,
}: {
  readonly models: readonly Progress[];
  readonly layer: number;
  readonly steps: number;
}) {
  const lines = curves(models, ({ layers }) => {
    const value = layers[layer]?.metrics["domain-information-normalised"];
    return Number.isFinite(value) ? value : undefined;
  });
  const most = Math.max(0.05, ...lines.flatMap(({ y }) => Array.from(y)));
  return (
    <Lines
      name="training-information"
      title={words.information}
      description={lines.map(({ label, y }) => `${label} ${figure(y[y.length - 1] ?? 0)}`).join("; ")}
      table={() => curveTable(say(words.step), lines)}
      lines={lines}
      xTitle={say(words.steps)}
      yTitle={say(words.informationUnit)}
      xDomain={[0, steps]}
      yDomain={[0, most]}
    />
  );
}
