/** A routed batch for a terminal and for files. */

import { coActivation } from "../metrics/co-activation.ts";
import { domainShares } from "../metrics/domain-metrics.ts";
import type { Measured } from "../metrics/measure.ts";
import { type Assignment, NO_EXPERT } from "../routing/assignment.ts";
import type { RouterShape } from "../routing/router.ts";
import { type Cell, csvText } from "./csv-text.ts";
import { metricJson, metricLines, metricRows } from "./metric-lines.ts";
import { figure, grid, wrapped } from "./plain-text.ts";

export interface RoutedBatch {
  /** What routed it, for a person. */
  readonly title: string;
  /** The same for a program. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly shape: Pick<RouterShape, "experts"> & Partial<RouterShape>;
  readonly assignment: Assignment;
  /** [T, slots] before dropping */
  readonly chosen: Int32Array;
  /** [N] */
  readonly expertLoad: ArrayLike<number>;
  /** [D] and [N] */
  readonly devices?: { readonly load: ArrayLike<number>; readonly deviceOf: Int32Array } | undefined;
  readonly domains?: { readonly names: readonly string[]; readonly of: Int32Array } | undefined;
  readonly measured: readonly Measured[];
}

/** @param most tokens that are shown one by one */
export function routingText(batch: RoutedBatch, most: number): string {
  const { title, assignment, expertLoad, devices, measured } = batch;
  const { tokens } = assignment;
  const sizes = Object.entries({ tokens, ...batch.shape, ...(devices && { devices: devices.load.length }) });
  const shown = Math.min(tokens, most);
  const rest = tokens - shown;
  return [
    ...wrapped(title),
    ...wrapped(sizes.map(([name, size]) => `${name} ${size}`).join(", ")),
    "",
    "token  experts and their weights",
    ...Array.from({ length: shown }, (_, t) => tokenLines(batch, t)).flat(),
    ...(rest === 0
      ? []
      : wrapped(`and ${rest} more: --tokens ${tokens} shows them, --json and --out write them`, "       ")),
    "",
    ...loadLines("experts", expertLoad),
    ...(devices === undefined ? [] : ["", ...loadLines("devices", devices.load)]),
    "",
    ...metricLines(measured),
  ].join("\n");
}

function tokenLines({ assignment, chosen }: RoutedBatch, token: number): string[] {
  const { slots, experts, weights } = assignment;
  const cells: string[] = [];
  for (let j = token * slots; j < (token + 1) * slots; j++) {
    if (chosen[j] === NO_EXPERT) continue;
    const weight = experts[j] === NO_EXPERT ? "dropped" : figure(weights[j]!);
    cells.push(`${chosen[j]}: ${weight.padEnd(7)}`);
  }
  const head = String(token).padStart(5);
  if (cells.length === 0) return [`${head}  none`];
  return grid(cells, "       ").map((line, i) => (i === 0 ? head + line.slice(head.length) : line));
}

function loadLines(what: string, load: ArrayLike<number>): string[] {
  const values = Array.from(load);
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const number = String(values.length - 1).length;
  return [
    `load of the ${what}, in assignments; mean ${figure(mean)}`,
    ...grid(
      values.map((each, i) => `${String(i).padStart(number)}: ${Number.isInteger(each) ? String(each) : figure(each)}`),
      "   ",
    ),
  ];
}

/** What `--json` prints; `moge metrics --of` reads it back. */
export function routingJson({
  settings,
  shape,
  assignment,
  chosen,
  expertLoad,
  devices,
  domains,
  measured,
}: RoutedBatch) {
  const { tokens, slots } = assignment;
  const rows = <Value>(value: (place: number) => Value) =>
    Array.from({ length: tokens }, (_, t) => Array.from({ length: slots }, (_, j) => value(t * slots + j)));
  const weights = weightsOf(assignment);
  return {
    settings,
    shape: { tokens, ...shape, ...(devices && { devices: devices.load.length }) },
    experts: rows((place) => assignment.experts[place]!),
    weights: rows(weights),
    chosen: rows((place) => chosen[place]!),
    ...(domains && { domains: Array.from(domains.of, (domain) => domains.names[domain]!) }),
    expertLoad: Array.from(expertLoad),
    ...(devices && { deviceLoad: Array.from(devices.load), deviceOf: Array.from(devices.deviceOf) }),
    metrics: metricJson(measured),
  };
}

/** Weights as they are written: those of single precision without the digits that doubles would add to them. */
function weightsOf({ weights }: Assignment): (place: number) => number {
  if (weights instanceof Float32Array) return (place) => Number(weights[place]!.toPrecision(8));
  return (place) => weights[place]!;
}

/** CSV files by name. */
export function routingFiles(batch: RoutedBatch): Readonly<Record<string, string>> {
  const { shape, assignment, chosen, expertLoad, devices, domains, measured } = batch;
  const { tokens, slots, experts } = assignment;
  const weight = weightsOf(assignment);
  const assigned: Cell[][] = [["token", "slot", "expert", "device", "weight", "dropped"]];
  for (let j = 0; j < tokens * slots; j++) {
    const expert = chosen[j]!;
    if (expert === NO_EXPERT) continue;
    const dropped = experts[j] === NO_EXPERT ? 1 : 0;
    assigned.push([Math.floor(j / slots), j % slots, expert, devices?.deviceOf[expert], weight(j), dropped]);
  }
  const choice = { ...assignment, experts: chosen };
  const together = coActivation(choice, shape.experts);
  const matrix = (corner: string, names: readonly Cell[], values: ArrayLike<number>): Cell[][] => [
    [corner, ...Array.from({ length: shape.experts }, (_, i) => i)],
    ...names.map((name, r) => [
      name,
      ...Array.from({ length: shape.experts }, (_, i) => values[r * shape.experts + i]!).map((value) =>
        Number.isNaN(value) ? undefined : value,
      ),
    ]),
  ];
  const everyExpert = Array.from({ length: shape.experts }, (_, i) => i);
  return {
    "assignments.csv": csvText(assigned),
    "expert-load.csv": csvText([
      ["expert", "device", "count"],
      ...everyExpert.map((expert): Cell[] => [expert, devices?.deviceOf[expert], expertLoad[expert]!]),
    ]),
    ...(devices && {
      "device-load.csv": csvText([
        ["device", "count"],
        ...Array.from(devices.load, (load, device): Cell[] => [device, load]),
      ]),
    }),
    "co-activation.csv": csvText(matrix("expert", everyExpert, together)),
    ...(domains && {
      "domains.csv": csvText(
        matrix("domain", domains.names, domainShares({ choice, experts: shape.experts, domains: domains.of })),
      ),
    }),
    "metrics.csv": csvText(metricRows(measured)),
  };
}
