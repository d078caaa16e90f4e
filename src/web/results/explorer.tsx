/** One file of a result: any column over any other, a line or a dot for each variant, filtered by what else tells rows apart. */
import { useState } from "preact/hooks";
import { Dots } from "../charts/dots.tsx";
import { Lines } from "../charts/lines.tsx";
import { say } from "../language.ts";
import { type Phrase, same } from "../phrase.ts";
import { curveTable } from "../training/models.ts";
import { Choice } from "./choice.tsx";
import { columnText } from "./column-text.ts";
import { dotsOf, type Filter, linesOf } from "./select.ts";
import { keyOf, type Table, valuesOf } from "./table.ts";

const words = {
  x: { en: "Across", zh: "横轴" },
  y: { en: "Quantity", zh: "量" },
  all: { en: "all, averaged", zh: "全部（取平均）" },
  variants: { en: "the variants", zh: "各变体" },
  extent: {
    en: "Where several rows come together the mean is drawn; band or line: least to largest.",
    zh: "多行重合处画平均值；带或线表示最小到最大。",
  },
  none: { en: "There is no quantity in it.", zh: "其中没有任何量。" },
  nothing: { en: "No row has both quantities.", zh: "没有任何一行同时具有这两个量。" },
  stop: { en: ". ", zh: "。" },
  mean: { en: "mean", zh: "平均" },
  least: { en: "least", zh: "最小" },
  largest: { en: "largest", zh: "最大" },
  rows: { en: "rows", zh: "行数" },
} satisfies Record<string, Phrase>;

/** Columns that say where a row belongs rather than what was found. */
const PLACES = ["step", "layer", "domain", "expert", "device", "curve", "column", "block", "other", "seed", "run"];
const isPlace = (column: string): boolean => PLACES.includes(column) || column.includes(".");
const NONE = "";
/** More values than a menu can offer. */
const MOST_CHOICES = 300;

function columnsOf(table: Table) {
  const key = keyOf(table);
  const others = table.columns.filter((column) => column !== key);
  const varying = (column: string) => valuesOf(table, column).length > 1;
  const numeric = others.filter((column) => table.numeric.has(column));
  return {
    quantities: numeric.filter((column) => !isPlace(column)),
    across: numeric.filter(varying),
    filters: others.filter(
      (column) => isPlace(column) && varying(column) && valuesOf(table, column).length <= MOST_CHOICES,
    ),
  };
}

/** What is looked at first: over steps if there are some, over what a sweep varies, else variant by variant. */
function firstLook(table: Table) {
  const { quantities, across, filters } = columnsOf(table);
  const x = across.includes("step") ? "step" : (across.find((column) => column.includes(".")) ?? NONE);
  // Quantities of different kinds stand below each other: one at a time.
  const kinds = filters.filter((column) => ["column", "curve"].includes(column));
  const filter = Object.fromEntries(kinds.map((column) => [column, valuesOf(table, column)[0]!]));
  const y = ["training_loss_nats_per_byte", "validation_loss_nats_per_byte", "mean"].find((name) =>
    quantities.includes(name),
  );
  return {
    x,
    y: y ?? quantities.find((column) => column !== "learning_rate") ?? quantities[0]!,
    filter: filter as Filter,
  };
}

export function Explorer({ table }: { readonly table: Table }) {
  const [{ x, y, filter }, look] = useState(() => firstLook(table));
  const { quantities, across, filters } = columnsOf(table);
  if (quantities.length === 0) return <p class="note">{say(words.none)}</p>;
  const change = (changes: Partial<{ x: string; y: string; filter: Filter }>) => look({ x, y, filter, ...changes });
  const setFilter = (column: string, value: string) => {
    const { [column]: _, ...rest } = filter;
    change({ filter: value === NONE ? rest : { ...rest, [column]: value } });
  };
  return (
    <>
      <div class="choices">
        <Choice
          label={say(words.y)}
          value={y}
          options={quantities.map(plain)}
          onChoose={(chosen) => change({ y: chosen })}
        />
        <Choice
          label={say(words.x)}
          value={x}
          options={[[NONE, say(words.variants)], ...across.filter((column) => column !== y).map(plain)]}
          onChoose={(chosen) => change({ x: chosen })}
        />
        {filters
          .filter((column) => column !== x)
          .map((column) => (
            <Choice
              key={column}
              label={column}
              value={filter[column] ?? NONE}
              options={[[NONE, say(words.all)], ...valuesOf(table, column).map(plain)]}
              onChoose={(value) => setFilter(column, value)}
            />
          ))}
      </div>
      <Picture table={table} x={x} y={y} filter={filter} />
    </>
  );
}

const plain = (value: string): readonly [string, string] => [value, value];

interface PictureProps {
  readonly table: Table;
  readonly x: string;
  readonly y: string;
  readonly filter: Filter;
}

function Picture({ table, x, y, filter: chosen }: PictureProps) {
  const filter = Object.fromEntries(Object.entries(chosen).filter(([column]) => column !== x));
  const text = columnText(y);
  const unit = text === undefined ? y : say(text.unit);
  const about = [text === undefined ? "" : say(text.description), say(words.extent)]
    .filter((part) => part !== "")
    .join(say(words.stop));
  const title = same([y, ...Object.values(filter)].join(", "));
  if (x !== NONE) {
    const lines = linesOf(table, x, y, filter);
    if (lines.length === 0) return <p class="note">{say(words.nothing)}</p>;
    return (
      <Lines
        name="result"
        title={title}
        description={lines
          .map(({ label, y: values }) => `${label} ${values[0]} … ${values[values.length - 1]}`)
          .join("; ")}
        table={() => curveTable(x, lines)}
        lines={lines}
        xTitle={x}
        yTitle={unit}
        height={320}
        note={about}
      />
    );
  }
  const dots = dotsOf(table, y, filter);
  if (dots.length === 0) return <p class="note">{say(words.nothing)}</p>;
  return (
    <Dots
      name="result"
      title={title}
      description={dots.map(({ label, mean }) => `${label} ${mean}`).join("; ")}
      table={() => ({
        columns: [keyOf(table), ...[words.mean, words.least, words.largest, words.rows].map(say)],
        rows: dots.map(({ label, mean, low, high, count }) => [label, mean, low, high, count]),
      })}
      marks={dots}
      xTitle={unit}
      note={about}
    />
  );
}
