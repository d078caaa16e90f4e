/** Loads of experts or devices, step by step: a column of pictures a variant. */
import { useId, useState } from "preact/hooks";
import { Bars } from "../charts/bars.tsx";
import { figure } from "../charts/scale.ts";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { modelTitle } from "../training/models.ts";
import { Choice } from "./choice.tsx";
import { filtered, seriesOf } from "./select.ts";
import { cellOf, hasColumns, keyOf, type Table, valuesOf } from "./table.ts";

const words = {
  experts: { en: "Assignments of each expert", zh: "各专家的分配数" },
  devices: { en: "Assignments of each device", zh: "各设备的分配数" },
  step: { en: "Step", zh: "步" },
  layer: { en: "Layer", zh: "层" },
  mean: { en: "mean", zh: "平均" },
  device: { en: "device", zh: "设备" },
  expert: { en: "expert", zh: "专家" },
  assignments: { en: "assignments", zh: "分配数" },
} satisfies Record<string, Phrase>;

export const isLoads = (table: Table): boolean =>
  hasColumns(table, "variant", "step", "layer", "device", "assignments");

export function Loads({ table }: { readonly table: Table }) {
  const steps = valuesOf(table, "step");
  const layers = valuesOf(table, "layer");
  const [at, go] = useState(steps.length - 1);
  const [layer, setLayer] = useState(layers.at(-1)!);
  const id = useId();
  const shown = filtered(table, { step: steps[at]!, layer });
  const assignments = cellOf(shown, "assignments");
  const most = Math.max(1, ...shown.rows.map((row) => Number(assignments(row))));
  const variants = valuesOf(table, keyOf(table));
  return (
    <>
      <div class="choices">
        <div class="control slider">
          <label for={id}>{say(words.step)}</label>
          <output for={id}>{steps[at]}</output>
          <input
            id={id}
            type="range"
            min={0}
            max={steps.length - 1}
            value={at}
            aria-valuetext={steps[at]}
            onInput={(event) => go(Number(event.currentTarget.value))}
          />
        </div>
        <Choice
          label={say(words.layer)}
          value={layer}
          options={layers.map((each) => [each, each] as const)}
          onChoose={setLayer}
        />
      </div>
      <div class="side-by-side">
        {variants.map((variant, v) => (
          <LoadsOf
            key={variant}
            table={filtered(shown, { [keyOf(table)]: variant })}
            variant={variant}
            name={`result-loads-${v}`}
            series={seriesOf(variant, variants)}
            most={most}
          />
        ))}
      </div>
    </>
  );
}

interface LoadsOfProps {
  readonly table: Table;
  readonly variant: string;
  readonly name: string;
  readonly series: string;
  readonly most: number;
}

function LoadsOf({ table, variant, name, series, most }: LoadsOfProps) {
  const isOfExperts = hasColumns(table, "expert");
  const [deviceOf, loadOf] = [cellOf(table, "device"), cellOf(table, "assignments")];
  const loads = table.rows.map((row) => Number(loadOf(row)));
  if (loads.length === 0) return null;
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
  const groups = valuesOf(table, "device").map((device) => ({
    label: device,
    values: table.rows.filter((row) => deviceOf(row) === device).map((row) => Number(loadOf(row))),
  }));
  return (
    <div class="column">
      <h3 class={series}>{modelTitle(variant)}</h3>
      <Bars
        name={name}
        title={isOfExperts ? words.experts : words.devices}
        description={`${say(words.mean)} ${figure(mean)}, ${figure(Math.min(...loads))} … ${figure(Math.max(...loads))}`}
        table={() => ({
          columns: [say(isOfExperts ? words.expert : words.device), say(words.assignments)],
          rows: loads.map((load, i) => [i, load]),
        })}
        groups={groups}
        series={series}
        most={most}
        lines={[{ value: mean, label: say(words.mean) }]}
        unit={say(words.assignments)}
      />
    </div>
  );
}
