/** A whole run at a glance: the charts of live training, drawn from its files. */
import { Lines } from "../charts/lines.tsx";
import { Panels } from "../charts/panels.tsx";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { curveTable } from "../training/models.ts";
import { Loads } from "./loads.tsx";
import { linesOf } from "./select.ts";
import { hasColumns, type Table, valuesOf } from "./table.ts";

const words = {
  step: { en: "step", zh: "步" },
  steps: { en: "step →", zh: "步 →" },
  nats: { en: "nats per byte", zh: "奈特／字节" },
  loss: { en: "Loss of the training batch", zh: "训练批次损失" },
  domains: { en: "Loss on held-out text, by domain", zh: "各领域的验证损失" },
  imbalance: { en: "Imbalance of the devices", zh: "设备不均衡" },
  perToken: { en: "(hottest − coolest) / tokens", zh: "（最热 − 最冷）/ 词元数" },
  time: { en: "Time of a step of the target (simulated)", zh: "目标一步的时间（模拟）" },
  seconds: { en: "seconds", zh: "秒" },
  loads: { en: "Loads", zh: "负载" },
  domain: { en: "domain", zh: "领域" },
} satisfies Record<string, Phrase>;

const curvesShown = [
  { column: "training_loss_nats_per_byte", title: words.loss, unit: words.nats },
  { column: "imbalance_score", title: words.imbalance, unit: words.perToken },
  { column: "simulated_step_seconds", title: words.time, unit: words.seconds },
] as const;

/** The files of a run that the overview is made of. */
export const isRun = (tables: readonly Table[]): boolean => stepsOf(tables) !== undefined;

const stepsOf = (tables: readonly Table[]): Table | undefined =>
  tables.find((table) => hasColumns(table, "variant", "step", "training_loss_nats_per_byte"));

export function Overview({ tables }: { readonly tables: readonly Table[] }) {
  const steps = stepsOf(tables)!;
  const validation = tables.find((table) =>
    hasColumns(table, "variant", "step", "domain", "validation_loss_nats_per_byte"),
  );
  const loads = tables.find((table) =>
    hasColumns(table, "variant", "step", "layer", "expert", "device", "assignments"),
  );
  return (
    <>
      <div class="side-by-side">
        {curvesShown.map(({ column, title, unit }) => {
          const lines = hasColumns(steps, column) ? linesOf(steps, "step", column) : [];
          return lines.length === 0 ? null : (
            <Lines
              key={column}
              name={`run-${column}`}
              title={title}
              description={lines.map(({ label, y }) => `${label} ${y[0]} … ${y[y.length - 1]}`).join("; ")}
              table={() => curveTable(say(words.step), lines)}
              lines={lines}
              xTitle={say(words.steps)}
              yTitle={say(unit)}
            />
          );
        })}
      </div>
      {validation === undefined ? null : <Domains table={validation} />}
      {loads === undefined ? null : (
        <>
          <h2>{say(words.loads)}</h2>
          <Loads table={loads} />
        </>
      )}
    </>
  );
}

function Domains({ table }: { readonly table: Table }) {
  const panels = valuesOf(table, "domain").map((label) => ({
    label,
    lines: linesOf(table, "step", "validation_loss_nats_per_byte", { domain: label }),
  }));
  return (
    <Panels
      name="run-domains"
      title={words.domains}
      description={panels.map(({ label }) => label).join("; ")}
      table={() => ({
        columns: [say(words.domain), say(words.step), ...panels[0]!.lines.map(({ label }) => label)],
        rows: panels.flatMap(({ label, lines }) => curveTable("", lines).rows.map((row) => [label, ...row])),
      })}
      panels={panels}
      xTitle={say(words.steps)}
      yTitle={say(words.nats)}
    />
  );
}
