/** All experts in a row, by device; the token's numbers come below one another as it goes on. */
import { Chart } from "../charts/chart.tsx";
import { say } from "../language.ts";
import type { Phrase } from "../phrase.ts";
import { type Journey, sizes } from "./journey.ts";

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
  { name: "logit", from: 1, height: 74 },
  { name: "score", from: 2, height: 62 },
  { name: "chosen", from: 3, height: 34 },
  { name: "output", from: 5, height: 62 },
  { name: "weight", from: 6, height: 56 },
] as const;

type RowName = (typeof rows)[number]["name"];

const top = 40;
const left = 76;

interface PictureProps {
  readonly journey: Journey;
  readonly step: number;
  /** What top-k would have chosen, to compare. */
  readonly reference: ReadonlySet<number>;
}

export function JourneyPicture({ journey, step, reference }: PictureProps) {
  const chosen = new Map(journey.chosen.map(({ expert, weight }) => [expert, weight]));
  const height = top + rows.reduce((sum, row) => sum + row.height, 0) + 6;
  const draw = (width: number) => (
    <>
      <Devices width={width} height={height} used={step >= 4 ? devicesOf(journey) : new Set()} />
      {rows.map((row, r) => {
        if (step < row.from) return null;
        const y = top + rows.slice(0, r).reduce((sum, { height: of }) => sum + of, 0);
        return (
          <g key={row.name}>
            <text class="mark" x={0} y={y + row.height / 2} dominant-baseline="middle">
              {say(words[row.name])}
            </text>
            {journey.outputs.map((_, expert) => (
              <Cell
                key={expert}
                name={row.name}
                journey={journey}
                expert={expert}
                weight={chosen.get(expert)}
                isReference={reference.has(expert)}
                isFaded={step >= 3 && !chosen.has(expert)}
                x={placeOf(width, expert)}
                breadth={breadthOf(width)}
                y={y}
                height={row.height}
              />
            ))}
          </g>
        );
      })}
    </>
  );
  return (
    <Chart
      name="journey"
      title={words.title}
      description={`${say(words.chosen)}: ${journey.chosen.map(({ expert }) => expert).join(", ")}`}
      table={() => tableOf(journey)}
      height={height}
      draw={draw}
    />
  );
}

const perDevice = sizes.experts / sizes.devices;
const gap = 10;
const breadthOf = (width: number) => (width - left - gap * (sizes.devices - 1)) / sizes.experts;
/** Middle of an expert's column. */
const placeOf = (width: number, expert: number) =>
  left + breadthOf(width) * (expert + 0.5) + gap * Math.floor(expert / perDevice);

const devicesOf = ({ chosen }: Journey) => new Set(chosen.map(({ expert }) => Math.floor(expert / perDevice)));

function Devices({
  width,
  height,
  used,
}: {
  readonly width: number;
  readonly height: number;
  readonly used: Set<number>;
}) {
  const breadth = breadthOf(width);
  return (
    <>
      {Array.from({ length: sizes.devices }, (_, d) => {
        const x = placeOf(width, d * perDevice) - breadth / 2;
        return (
          <g key={d} class={used.has(d) ? "device used" : "device"}>
            <rect class="ground" x={x + 0.5} y={0.5} width={breadth * perDevice - 1} height={height - 1} rx={6} />
            <text class="mark" x={x + (breadth * perDevice) / 2} y={15} text-anchor="middle">
              {breadth * perDevice > 90 ? `${say(words.device)} ${d}` : d}
            </text>
          </g>
        );
      })}
      {Array.from({ length: sizes.experts }, (_, expert) => expert)
        .filter((expert) => breadth > 17 || expert % 2 === 0)
        .map((expert) => (
          <text key={expert} class="number" x={placeOf(width, expert)} y={32} text-anchor="middle">
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
const short = (value: number) => value.toFixed(2).replace("-", "−");

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
      Math.floor(expert / perDevice),
      short(logits[expert]!),
      scores[expert]!.toFixed(3),
      (scores[expert]! + bias[expert]!).toFixed(3),
      weights.has(expert) ? say(words.yes) : "",
      weights.get(expert)?.toFixed(3) ?? "",
      Array.from(output, short).join(" "),
    ]),
  };
}
