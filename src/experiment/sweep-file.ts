/** The file of a sweep: a base config and what is varied over it. */
import * as z from "zod/mini";
import { described, fileName } from "../config/fields.ts";
import { fileLayer, type Layer, over, settingsLayer, type Tree } from "../config/layers.ts";
import { ConfigError } from "../config/problem.ts";
import { check } from "../config/resolve.ts";

const value = z.union([z.string(), z.number(), z.boolean(), z.array(z.unknown()), z.record(z.string(), z.unknown())]);
const values = z.array(value).check(z.minLength(1));
const settings = z.record(z.string(), z.unknown());

const range = z.strictObject({
  from: z.number(),
  to: z.number(),
  scale: z._default(z.enum(["linear", "log"]), "linear"),
  whole: z._default(z.boolean(), false),
});

const sweepSchema = z.strictObject({
  $schema: z.optional(z.string()),
  name: fileName("name of the sweep; its results go to results/<name>"),
  description: z.optional(z.string()),
  base: described(z._default(z.string(), "quickstart"), "a config: a file from this one's folder, or a packaged name"),
  set: described(z.optional(settings), "what all runs change of the base"),
  variants: described(
    z.optional(
      z
        .array(z.strictObject({ name: z.string().check(z.minLength(1)), set: z._default(settings, {}) }))
        .check(z.minLength(1)),
    ),
    "instead of the base's own variants",
  ),
  list: described(z.optional(z.array(settings).check(z.minLength(1))), "settings one by one"),
  grid: described(z.optional(z.record(z.string(), values)), "every combination of these"),
  zip: described(z.optional(z.record(z.string(), values)), "the first of each, the second of each, …"),
  random: z.optional(
    z.strictObject({
      samples: z.int().check(z.minimum(1), z.maximum(1e6)),
      seed: z._default(z.int().check(z.minimum(0)), 1),
      values: z.record(z.string(), z.union([values, range])),
    }),
  ),
  exclude: described(z.optional(z.array(settings).check(z.minLength(1))), "combinations to leave out"),
  seeds: described(z.optional(z.int().check(z.minimum(1), z.maximum(1e6))), "seeds of each combination"),
});

export type SweepFile = z.infer<typeof sweepSchema>;
export type RandomRange = z.infer<typeof range>;

export interface ReadSweep {
  readonly file: SweepFile;
  /** For the places of its keys. */
  readonly layer: Layer;
}

/** @param text YAML @throws ConfigError with every problem found */
export function readSweepFile(text: string, path: string): ReadSweep {
  return checkedSweep(fileLayer(text, path));
}

/** The same for a sweep that is written in a program. @param where what it is called in messages */
export const sweepOf = (tree: Tree, where: string): ReadSweep =>
  checkedSweep(over(settingsLayer({}, where), { tree, origins: new Map(), where }));

function checkedSweep(layer: Layer): ReadSweep {
  const file = check(sweepSchema, layer);
  const problems = [...emptyAxes(file), ...unequalZip(file), ...impossibleRanges(file), ...twiceVaried(file)].map(
    ({ key, message }) => ({ where: layer.origins.get(key) ?? layer.where, key, message }),
  );
  if (problems.length > 0) throw new ConfigError(problems);
  return { file, layer };
}

interface Complaint {
  readonly key: string;
  readonly message: string;
}

function emptyAxes({ grid, zip, random }: SweepFile): Complaint[] {
  const axes = { grid, zip, "random.values": random?.values };
  return Object.entries(axes).flatMap(([key, axis]) =>
    axis !== undefined && Object.keys(axis).length === 0
      ? [{ key, message: "names no key to vary, such as training.learningRate: [3e-3, 6e-3]" }]
      : [],
  );
}

function unequalZip({ zip = {} }: SweepFile): Complaint[] {
  const lengths = Object.entries(zip).map(([key, list]) => `${key} has ${list.length}`);
  const unequal = new Set(Object.values(zip).map((list) => list.length)).size > 1;
  return unequal
    ? [{ key: "zip", message: `expected equally many values of each key, but ${lengths.join(", ")}` }]
    : [];
}

function impossibleRanges({ random }: SweepFile): Complaint[] {
  return Object.entries(random?.values ?? {}).flatMap(([key, spec]) => {
    if (Array.isArray(spec)) return [];
    const { from, to, scale } = spec;
    const at = `random.values.${key}`;
    if (!(from < to)) return [{ key: at, message: `expected from < to, got from ${from} and to ${to}` }];
    return scale === "log" && from <= 0 ? [{ key: at, message: `a log scale begins above 0, got from ${from}` }] : [];
  });
}

/** A key in two places would have the value of one of them, and nobody could say which. */
function twiceVaried({ grid = {}, zip = {}, random, list = [], seeds }: SweepFile): Complaint[] {
  const sources: [string, string[]][] = [
    ["grid", Object.keys(grid)],
    ["zip", Object.keys(zip)],
    ["random.values", Object.keys(random?.values ?? {})],
    ["list", [...new Set(list.flatMap((entry) => Object.keys(entry)))]],
    ["seeds", seeds !== undefined && seeds > 1 ? ["seed"] : []],
  ];
  const first = new Map<string, string>();
  return sources.flatMap(([source, keys]) =>
    keys.flatMap((key) => {
      const before = first.get(key);
      if (before === undefined) first.set(key, source);
      return before === undefined
        ? []
        : [{ key: `${source}.${key}`, message: `${key} is varied by ${before} and by ${source}; leave one of them` }];
    }),
  );
}
