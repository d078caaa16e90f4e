/** The points of a sweep: every combination of what its file varies, in a fixed order, as plain settings. */
import type { Tree } from "../config/layers.ts";
import { exp, log } from "../core/elementary.ts";
import { type Random, randomStream } from "../core/random.ts";
import type { RandomRange, SweepFile } from "./sweep-file.ts";

/** What one point changes: dotted key → value. */
export type Settings = Readonly<Record<string, unknown>>;

/** Number of points before `exclude`, without making them. */
export function countPoints({ list, grid = {}, zip = {}, random }: SweepFile): number {
  const product = Object.values(grid).reduce((count, values) => count * values.length, 1);
  return (list?.length ?? 1) * product * (Object.values(zip)[0]?.length ?? 1) * (random?.samples ?? 1);
}

/** list × grid × zip × random, the last varying fastest; `exclude` is not yet applied. */
export function sweepPoints({ list, grid = {}, zip = {}, random }: SweepFile): Settings[] {
  const axes: Settings[][] = [
    ...(list ? [list] : []),
    ...Object.entries(grid).map(([key, values]) => values.map((value) => ({ [key]: value }))),
    ...(Object.keys(zip).length > 0 ? [zipped(zip)] : []),
    ...(random ? [drawn(random)] : []),
  ];
  return axes.reduce<Settings[]>(
    (points, axis) => points.flatMap((point) => axis.map((settings) => ({ ...point, ...settings }))),
    [{}],
  );
}

const zipped = (zip: Readonly<Record<string, readonly unknown[]>>): Settings[] =>
  Object.values(zip)[0]!.map((_, i) =>
    Object.fromEntries(Object.entries(zip).map(([key, values]) => [key, values[i]])),
  );

/** Each key has a stream of its own: another key, or more samples, leave what was drawn before as it was. */
function drawn({ samples, seed, values }: NonNullable<SweepFile["random"]>): Settings[] {
  const streams = Object.entries(values).map(([key, spec]) => [key, spec, randomStream(seed, "sweep", key)] as const);
  return Array.from({ length: samples }, () =>
    Object.fromEntries(
      streams.map(([key, spec, random]) => [
        key,
        Array.isArray(spec) ? spec[random.below(spec.length)] : draw(spec, random),
      ]),
    ),
  );
}

/** Six digits are enough to tell two draws apart and short enough to type. */
function draw({ from, to, scale, whole }: RandomRange, random: Random): number {
  if (whole && scale === "linear") return Math.ceil(from) + random.below(Math.floor(to) - Math.ceil(from) + 1);
  const share = random.uniform();
  const value = scale === "log" ? exp(log(from) + share * (log(to) - log(from))) : from + share * (to - from);
  const bounded = Math.min(to, Math.max(from, Number(value.toPrecision(6))));
  return whole ? Math.round(bounded) : bounded;
}

/** Whether a point is one of those left out: all keys of some entry agree. */
export const isExcluded = (point: Settings, exclude: readonly Tree[] = []): boolean =>
  exclude.some((entry) =>
    Object.entries(entry).every(([key, value]) => JSON.stringify(point[key]) === JSON.stringify(value)),
  );
