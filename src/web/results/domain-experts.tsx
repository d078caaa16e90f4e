/** Which experts each domain uses, of a probe or a sweep: a picture a variant. */
import { useState } from "preact/hooks";
import { Cells } from "../charts/cells.tsx";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { modelTitle } from "../training/models.ts";
import { Choice } from "./choice.tsx";
import { filtered, seriesOf } from "./select.ts";
import { cellOf, hasColumns, keyOf, type Table, valuesOf } from "./table.ts";

const words = {
  title: { en: "Which domain takes which expert", zh: "哪个领域用哪个专家" },
  layer: { en: "Layer", zh: "层" },
  experts: { en: "experts →", zh: "专家 →" },
  domain: { en: "domain", zh: "领域" },
  darkest: { en: "Darkest:", zh: "最深处：" },
} satisfies Record<string, Phrase>;

export const isDomainExperts = (table: Table): boolean =>
  hasColumns(table, "variant", "layer", "domain", "expert") &&
  (hasColumns(table, "share") || hasColumns(table, "assignments"));

export function DomainExperts({ table }: { readonly table: Table }) {
  const layers = valuesOf(table, "layer");
  const [layer, setLayer] = useState(layers.at(-1)!);
  const key = keyOf(table);
  const variants = valuesOf(table, key);
  const value = hasColumns(table, "share") ? "share" : "assignments";
  return (
    <>
      <div class="choices">
        <Choice
          label={say(words.layer)}
          value={layer}
          options={layers.map((each) => [each, each] as const)}
          onChoose={setLayer}
        />
      </div>
      <div class="side-by-side">
        {variants.map((variant, v) => (
          <OfVariant
            key={variant}
            table={filtered(table, { layer, [key]: variant })}
            value={value}
            variant={variant}
            name={`result-experts-${v}`}
            series={seriesOf(variant, variants)}
          />
        ))}
      </div>
    </>
  );
}

interface OfVariantProps {
  readonly table: Table;
  readonly value: string;
  readonly variant: string;
  readonly name: string;
  readonly series: string;
}

function OfVariant({ table, value, variant, name, series }: OfVariantProps) {
  const domains = valuesOf(table, "domain");
  const experts = valuesOf(table, "expert").length;
  const [domainOf, expertOf, amountOf] = [cellOf(table, "domain"), cellOf(table, "expert"), cellOf(table, value)];
  // Several rows of a cell, such as the seeds of a sweep, are added up: shades compare.
  const values = new Float64Array(domains.length * experts);
  for (const row of table.rows) {
    const at = domains.indexOf(domainOf(row)) * experts + Number(expertOf(row));
    values[at] = values[at]! + Number(amountOf(row));
  }
  const most = Math.max(...values);
  if (!(most > 0)) return null;
  const groups = experts % 8 === 0 ? Array.from({ length: 8 }, (_, g) => String((g * experts) / 8)) : ["0"];
  return (
    <div class="column">
      <h3 class={series}>{modelTitle(variant)}</h3>
      <Cells
        name={name}
        title={words.title}
        description={`${domains.length} × ${experts}`}
        table={() => ({
          columns: [say(words.domain), ...Array.from({ length: experts }, (_, e) => String(e))],
          rows: domains.map((domain, d) => [
            domain,
            ...Array.from(values.subarray(d * experts, (d + 1) * experts), (each) => Number(each.toPrecision(4))),
          ]),
        })}
        rows={domains}
        values={values}
        columnGroups={groups}
        columnTitle={say(words.experts)}
        series={series}
        most={most}
        note={`${say(words.darkest)} ${Number(most.toPrecision(3))} (${value})`}
      />
    </div>
  );
}
