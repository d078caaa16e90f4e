/**
 * Layers of a config: a file's parents, the file, flags, and what a variant changes, each over the ones before it,
 * with the origin of every value. A flag changes what the variants share; a variant's own change stands.
 *
 * Nothing is validated here; a layer is any tree of plain values.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, parse, parseDocument } from "yaml";
import { routingPresets } from "../routing/presets.ts";
import type { RoutingSettings } from "../routing/route.ts";
import { ConfigError } from "./problem.ts";

export type Tree = { [key: string]: unknown };

/** Dotted key → where its value was written. */
export type Origins = Map<string, string>;

export interface Layer {
  readonly tree: Tree;
  readonly origins: Origins;
  /** The file, flag or variant as a whole, for what has no place of its own. */
  readonly where: string;
}

export const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads a YAML file as a layer. @throws ConfigError if it is not YAML or not a mapping */
export function fileLayer(text: string, file: string): Layer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  // Of several the first is the mistake, and the others what it leads to.
  const [error] = document.errors;
  if (error !== undefined) {
    throw new ConfigError([{ where: at(error.pos[0]), key: "", message: `not YAML: ${error.message}` }]);
  }
  if (!isMap(document.contents)) {
    const message = "expected keys and values, such as `name: quickstart`";
    throw new ConfigError([{ where: `${file}:1:1`, key: "", message }]);
  }
  const origins: Origins = new Map();
  noteOrigins(document.contents, "", at, origins);
  try {
    return expandPreset({ tree: document.toJS() as Tree, origins, where: `${file}:1:1` });
  } catch (error) {
    throw new ConfigError([{ where: `${file}:1:1`, key: "", message: (error as Error).message }]); // aliases run wild
  }
}

function noteOrigins(node: unknown, path: string, at: (offset: number) => string, origins: Origins): void {
  const children: [string, Node][] = isMap<Node, Node>(node)
    ? node.items.map(({ key, value }) => {
        const name = join(path, String(isScalar(key) ? key.value : key));
        origins.set(name, at(key.range?.[0] ?? 0));
        return [name, value as Node];
      })
    : isSeq<Node>(node)
      ? node.items.map((item, i) => {
          origins.set(join(path, String(i)), at(item.range?.[0] ?? 0));
          return [join(path, String(i)), item];
        })
      : [];
  for (const [name, child] of children) noteOrigins(child, name, at, origins);
}

/** One `--set a.b=value` as a layer; the value is read as YAML, so numbers, booleans and lists keep their type. */
export function flagLayer(setting: string): Layer {
  const equals = setting.indexOf("=");
  const where = `--set ${setting}`;
  if (equals < 1) {
    throw new ConfigError([{ where, key: "", message: "expected key=value, such as --set training.steps=100" }]);
  }
  const path = setting.slice(0, equals).trim();
  if (path.split(".").includes("") || ["extends", "$schema"].includes(path)) {
    throw new ConfigError([{ where, key: path, message: "is not a key that a flag can set" }]);
  }
  let value: unknown;
  try {
    value = parse(setting.slice(equals + 1));
  } catch {
    throw new ConfigError([{ where, key: path, message: "the value is not YAML; put it in quotes if it is text" }]);
  }
  return expandPreset({ tree: nest(path, value), origins: new Map(), where });
}

/** The `set` of a variant as a layer; its keys may be dotted. */
export function variantLayer(set: Tree, name: string, where: string): Layer {
  const common = Object.keys(set).filter((key) => ["name", "description"].includes(key));
  if (common.length > 0) {
    throw new ConfigError([
      { where, key: common[0]!, message: `belongs to all variants; variant ${name} cannot set it` },
    ]);
  }
  return settingsLayer(set, `${where} (variant ${name})`);
}

/** Dotted keys with their values as a layer. @param origins where each of the keys was written */
export function settingsLayer(set: Tree, where: string, origins: Origins = new Map()): Layer {
  const tree = Object.entries(set).reduce((merged, [path, value]) => merge(merged, nest(path, value)), {} as Tree);
  return expandPreset({ tree, origins, where });
}

/**
 * The upper layer over the lower one. Mappings merge, everything else replaces.
 * @param where what the result as a whole is said to come from
 */
export function over(lower: Layer, upper: Layer, where = lower.where): Layer {
  const origins = new Map(lower.origins);
  for (const path of replacedLists(upper.tree)) {
    for (const known of origins.keys()) if (known.startsWith(`${path}.`)) origins.delete(known);
  }
  for (const path of leaves(upper.tree)) origins.set(path, originOf(upper, path));
  for (const path of mappings(upper.tree)) if (!origins.has(path)) origins.set(path, originOf(upper, path));
  for (const [path, at] of upper.origins) origins.set(path, at);
  return { tree: merge(lower.tree, upper.tree), origins, where };
}

/** Where a value was written: its own place, or that of the nearest key around it. */
export function originOf({ origins, where }: Pick<Layer, "origins" | "where">, path: string): string {
  for (let at = path; at !== ""; at = at.slice(0, Math.max(0, at.lastIndexOf(".")))) {
    const own = origins.get(at);
    if (own !== undefined) return own;
  }
  return where;
}

/** Dotted paths of all values that hold no others; the entries of a list go by their number. */
export function leaves(value: unknown, path = ""): string[] {
  const isList = Array.isArray(value) && value.some(isTree);
  if ((!isTree(value) && !isList) || Object.keys(value as object).length === 0) return path === "" ? [] : [path];
  return Object.entries(value as object).flatMap(([key, child]) => leaves(child, join(path, key)));
}

/** Dotted paths of the mappings in a tree. */
function mappings(tree: Tree, path = ""): string[] {
  return Object.entries(tree).flatMap(([key, child]) =>
    isTree(child) ? [join(path, key), ...mappings(child, join(path, key))] : [],
  );
}

/** Dotted paths of the lists in a tree; a list replaces the one below it as a whole. */
function replacedLists(value: unknown, path = ""): string[] {
  if (Array.isArray(value)) return [path];
  return isTree(value) ? Object.entries(value).flatMap(([key, child]) => replacedLists(child, join(path, key))) : [];
}

/** The value at a path, dotted or in its parts, or undefined. */
export function valueAt(tree: unknown, path: string | readonly PropertyKey[]): unknown {
  if (path === "") return tree;
  const keys = typeof path === "string" ? path.split(".") : path.map(String);
  const own = (at: unknown, key: string) =>
    typeof at === "object" && at !== null && Object.hasOwn(at, key) ? (at as Tree)[key] : undefined;
  return keys.reduce(own, tree);
}

export const join = (path: string, key: string) => (path === "" ? key : `${path}.${key}`);

/** A router preset stands for its settings in the layer that names it, so that a later layer can still override them. */
function expandPreset(layer: Layer): Layer {
  const router = layer.tree["router"];
  const name = isTree(router) ? router["preset"] : undefined;
  if (!isTree(router) || typeof name !== "string" || !Object.hasOwn(routingPresets, name)) return layer;
  const { preset: _, ...beside } = router;
  const { options, ...settings }: RoutingSettings = routingPresets[name as keyof typeof routingPresets].settings;
  const preset: Tree = { ...settings, ...(options && { [settings.selection]: options }) };
  const origins = new Map(layer.origins);
  const where = `${originOf(layer, "router.preset")} (preset ${name})`;
  for (const path of leaves(preset)) if (valueAt(beside, path) === undefined) origins.set(`router.${path}`, where);
  return { ...layer, tree: { ...layer.tree, router: merge(preset, beside) }, origins };
}

function nest(path: string, value: unknown): Tree {
  return path.split(".").reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value) as Tree;
}

/** The keys that tell the branches of the schema's unions apart. */
const discriminators = ["kind", "rule"];

function merge(lower: Tree, upper: Tree): Tree {
  const own = (key: string) => (Object.hasOwn(lower, key) ? lower[key] : undefined);
  const merged = Object.entries(upper).map(([key, value]) => [key, mergeValue(own(key), value)] as const);
  return Object.fromEntries([...Object.entries(lower), ...merged]);
}

function mergeValue(lower: unknown, upper: unknown): unknown {
  if (Array.isArray(lower) && isTree(upper) && Object.keys(upper).every((key) => /^\d+$/.test(key))) {
    const merged = [...lower];
    for (const [index, value] of Object.entries(upper)) merged[Number(index)] = mergeValue(lower[Number(index)], value);
    return merged;
  }
  if (!isTree(lower) || !isTree(upper)) return upper;
  // Another kind of data, or another balancing rule, has other keys: it replaces the whole and does not mix with it.
  const isAnother = discriminators.some((key) => key in upper && key in lower && upper[key] !== lower[key]);
  return isAnother ? upper : merge(lower, upper);
}
