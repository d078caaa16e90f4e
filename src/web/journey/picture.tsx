/** All experts in a row, by device; the token's numbers come below one another as it goes on. */
import { Chart } from "../charts/chart.tsx";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { type Journey, sizes } from "./journey.ts";
import { deviceOf, devicesOf, short } from "./notation.ts";

const perDevice = sizes.experts / sizes.devices;

const words = {
  title: { en: "Sixteen experts on four devices", zh: "四台设备上的十六个专家" },
  device: { en: "device", zh: "设备" },
  expert: { en: "expert", zh: "专家" },
  logit: { en: "logit x", zh: "logit x" },
  score: { en: "score s", zh: "分数 s" },
  bias: { en: "s + bias b", zh: "s + 偏置 b" },
  chosen: { en: "chosen", zh: "选中" },
  output: { en: "output E(h)", zh: "输出 E(h)" },
  weight: { en: "weight w", zh: "权重 w" },
  yes: { en: "yes", zh: "是" },
} satisfies Record<string, Phrase>;

/** The step at which each row appears. */
const rows = [
  { name: "logit", from: 1, height: 84 },
  { name: "score", from: 2, height: 70 },
  { name: "chosen", from: 3, height: 36 },
  { name: "output", from: 5, height: 68 },
  { name: "weight", from: 6, height: 62 },
] as const;

type RowName = (typeof rows)[number]["name"];

const top = 40;
const gap = 10;

/** Where things stand. Names of rows are left of them or, where there is no room, above. */
function layoutOf(width: number) {
  const isNarrow = width < 520;
  const [left, name] = isNarrow ? [0, 16] : [76, 0];
  const tops: number[] = [];
  let height = top;
  for (const row of rows) {
    height += name;
    tops.push(height);
    height += row.height;
  }
  const breadth = (width - left - gap * (sizes.devices - 1)) / sizes.experts;
  return {
    tops,
    breadth,
    height: height + 6,
    /** Middle of an expert's column. */
    column: (expert: number) => left + breadth * (expert + 0.5) + gap * Math.floor(expert / perDevice),
    name: (r: number) => (isNarrow ? { x: 6, y: tops[r]! - 4 } : { x: 0, y: tops[r]! + rows[r]!.height / 2 }),
  };
}

type Layout = ReturnType<typeof layoutOf>;

interface PictureProps {
  readonly journey: Journey;
  readonly step: number;
  /** What top-k would have chosen, to compare. */
  readonly reference: ReadonlySet<number>;
}

export function JourneyPicture({ journey, step, reference }: PictureProps) {
  const chosen = new Map(journey.chosen.map(({ expert, weight }) => [expert, weight]));
  const draw = (width: number) => {
    const layout = layoutOf(width);
    return (
      <>
        <Devices layout={layout} used={step >= 4 ? devicesOf(journey) : []} />
        {rows.map((row, r) => (
          <g key={row.name} class={step < row.from ? "later" : undefined}>
            <text class="mark" {...layout.name(r)} dominant-baseline="middle">
              {say(words[row.name])}
            </text>
            {step < row.from
              ? null
              : journey.outputs.map((_, expert) => (
                  <Cell
                    key={expert}
                    name={row.name}
                    journey={journey}
                    expert={expert}
                    weight={chosen.get(expert)}
                    isReference={reference.has(expert)}
                    isFaded={step >= 3 && !chosen.has(expert)}
                    x={layout.column(expert)}
                    breadth={layout.breadth}
                    y={layout.tops[r]!}
                    height={row.height}
                  />
                ))}
          </g>
        ))}
      </>
    );
  };
  return (
    <Chart
      name="journey"
      title={words.title}
      description={`${say(words.chosen)}: ${journey.chosen.map(({ expert }) => expert).join(", ")}`}
      table={() => tableOf(journey)}
      height={(width) => layoutOf(width).height}
      draw={draw}
    />
  );
}

function Devices({ layout, used }: { readonly layout: Layout; readonly used: readonly number[] }) {
  const { breadth, column, height } = layout;
  return (
    <>
      {Array.from({ length: sizes.devices }, (_, d) => {
        const x = column(d * perDevice) - breadth / 2;
        return (
          <g key={d} class={used.includes(d) ? "device used" : "device"}>
            <rect class="ground" x={x + 1} y={1} width={breadth * perDevice - 2} height={height - 2} rx={6} />
            <text class="mark" x={x + (breadth * perDevice) / 2} y={15} text-anchor="middle">
              {`${say(words.device)} ${d}`}
            </text>
          </g>
        );
      })}
      {Array.from({ length: sizes.experts }, (_, expert) => (
        <text key={expert} class="number" x={column(expert)} y={32} text-anchor="middle">
          {expert}
        </text>
      ))}
    </>
  );
}

interface CellProps {
  readonly name: RowName;
  readonly journey: Journey;
  readonly expert: number;
  readonly weight: number | undefined;
  readonly isReference: boolean;
  readonly isFaded: boolean;
  readonly x: number;
  readonly y: number;
  readonly breadth: number;
  readonly height: number;
}

function Cell(props: CellProps) {
  const { name, journey, expert, weight, isFaded, isReference, x, y, height } = props;
  switch (name) {
    case "logit":
      return <UpAndDown {...props} value={journey.logits[expert]!} most={largest(journey.logits)} />;
    case "score":
      return <Up {...props} value={journey.scores[expert]!} most={largest(journey.scores)} />;
    case "chosen":
      return (
        <>
          {isReference ? <circle class="reference" cx={x} cy={y + height / 2} r={9} /> : null}
          {isFaded ? null : <circle class="pick" cx={x} cy={y + height / 2} r={5.5} />}
        </>
      );
    case "output":
      return isFaded ? null : (
        <Vector {...props} values={journey.outputs[expert]!} most={Math.max(...journey.outputs.map(largest))} />
      );
    case "weight":
      return weight === undefined ? null : <Up {...props} value={weight} most={1} />;
  }
}

const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);

interface BarProps extends CellProps {
  readonly value: number;
  readonly most: number;
}

function Written({ x, y, breadth, value }: Pick<BarProps, "x" | "y" | "breadth" | "value">) {
  if (breadth < 30) return null;
  return (
    <text class="number" x={x} y={y} text-anchor="middle">
      {short(value)}
    </text>
  );
}

function Up({ x, y, breadth, height, value, most, isFaded, name }: BarProps) {
  const room = height - 24;
  const length = (room * value) / most;
  return (
    <g class={isFaded ? `${name} faded` : name}>
      <rect x={x - breadth * 0.3} width={breadth * 0.6} y={y + 6 + room - length} height={length} />
      <Written x={x} y={y + height - 6} breadth={breadth} value={value} />
    </g>
  );
}

function UpAndDown({ x, y, breadth, height, value, most, isFaded, name }: BarProps) {
  const half = (height - 24) / 2;
  const length = (half * Math.abs(value)) / most;
  return (
    <g class={isFaded ? `${name} faded` : name}>
      <line class="base" x1={x - breadth / 2} x2={x + breadth / 2} y1={y + 6 + half} y2={y + 6 + half} />
      <rect x={x - breadth * 0.3} width={breadth * 0.6} y={y + 6 + half - (value > 0 ? length : 0)} height={length} />
      <Written x={x} y={y + height - 6} breadth={breadth} value={value} />
    </g>
  );
}

/** A small bar for each number of a vector. */
function Vector({
  x,
  y,
  breadth,
  height,
  values,
  most,
}: CellProps & { readonly values: Float64Array; readonly most: number }) {
  const half = (height - 12) / 2;
  const each = (breadth * 0.7) / values.length;
  return (
    <g class="output">
      {Array.from(values, (value, h) => {
        const length = (half * Math.abs(value)) / most;
        return (
          <rect
            key={h}
            x={x - breadth * 0.35 + each * h}
            width={Math.max(1, each - 1)}
            y={y + 6 + half - (value > 0 ? length : 0)}
            height={Math.max(0.5, length)}
          />
        );
      })}
    </g>
  );
}

function tableOf({ logits, scores, bias, chosen, outputs }: Journey) {
  const weights = new Map(chosen.map(({ expert, weight }) => [expert, weight]));
  const columns = ["expert", "device", "logit", "score", "bias", "chosen", "weight", "output"] as const;
  return {
    columns: columns.map((column) => say(words[column])),
    rows: outputs.map((output, expert) => [
      expert,
      deviceOf(expert),
      short(logits[expert]!),
      scores[expert]!.toFixed(3),
      (scores[expert]! + bias[expert]!).toFixed(3),
      weights.has(expert) ? say(words.yes) : "",
      weights.get(expert)?.toFixed(3) ?? "",
      Array.from(output, short).join(" "),
    ]),
  };
}
