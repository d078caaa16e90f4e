/** From files and flags to configs that can be run: layers merged, defaults filled in, everything checked, all errors at once. */
import * as z from "zod/mini";
import { type RouterName, routers } from "../routing/routers.ts";
import type { Contradiction } from "./contradiction.ts";
import {
  fileLayer,
  flagLayer,
  isTree,
  type Layer,
  leaves,
  type Origins,
  originOf,
  over,
  variantLayer,
} from "./layers.ts";
import { ConfigError, type Problem } from "./problem.ts";
import { contradictions } from "./rules.ts";
import { type FileConfig, fileSchema, type RunConfig, runSchema } from "./schema.ts";
import { problemsOf } from "./schema-problems.ts";

export interface Variant {
  readonly name: string;
  readonly config: RunConfig;
  /** Where each value of `config` was written; what is not there is a default. */
  readonly origins: Origins;
}

export interface ResolvedConfig {
  /** The file with `extends` and flags worked in and defaults filled in: running it again gives the same. */
  readonly file: Omit<FileConfig, "$schema" | "extends">;
  readonly origins: Origins;
  readonly variants: readonly Variant[];
}

export interface ConfigSource {
  /** Path of the config file, as the user wrote it. */
  readonly path: string;
  /** `--set` flags, in order. */
  readonly sets?: readonly string[];
  /** Text of a file. @throws Error with one line that says why not */
  read(path: string): string;
  /** Path of a file named in another. */
  besides(path: string, relative: string): string;
}

/** A config's layers before they are resolved: what all variants share, and what each changes. */
export interface ConfigLayers {
  readonly shared: Layer;
  /** Without the keys that belong to the file as a whole. */
  readonly base: Layer;
  readonly variants: readonly { readonly name: string; readonly change: Layer }[];
}

/** @throws ConfigError with every problem found */
export function resolveConfig(source: ConfigSource): ResolvedConfig {
  const flags = (source.sets ?? []).map(flagLayer);
  const { shared, base, variants: listed } = configLayers(source);
  const changes = listed.map(({ change }) => change);
  const file = without(check(fileSchema, shared), "$schema", "extends");
  const problems = [...twiceNamed(listed, shared), ...flags.flatMap((flag) => withoutEffect(flag, changes))];
  const variants = listed.flatMap(({ name, change }) => {
    const layer = over(base, change);
    try {
      return [{ name, config: resolveRun(layer), origins: layer.origins }];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  const selections = variants.map(({ config }) => config.router.selection);
  if (problems.length === 0) problems.push(...withoutSelection(selections, base, changes));
  if (problems.length > 0) throw new ConfigError(unique(problems));
  return { file: { ...file, router: selectedSections(file.router, selections) }, origins: shared.origins, variants };
}

/** A file, its parents below it and flags over it. */
export function readLayers(source: ConfigSource, flags = (source.sets ?? []).map(flagLayer)): Layer {
  return flags.reduce((lower, flag) => over(lower, flag), readWithParents(source, source.path, []));
}

/** Contradictions at the places where their values were written. @throws ConfigError if there are any */
export function refuseContradictions(found: readonly Contradiction[], layer: Layer): void {
  const problems = found.map(({ keys, message }) => {
    // Of several keys that do not go together, a flag is what the user has just changed.
    const changed = keys.find((key) => originOf(layer, key).startsWith("--set")) ?? keys[0];
    return { where: originOf(layer, changed), key: keys[0], message };
  });
  if (problems.length > 0) throw new ConfigError(problems);
}

/** The layers of a file with its parents and flags, the file as a whole checked. @throws ConfigError */
export function configLayers(source: ConfigSource): ConfigLayers {
  const shared = readLayers(source);
  const file = check(fileSchema, shared);
  const base = { ...shared, tree: without(shared.tree, "$schema", "extends", "variants") };
  const listed = file.variants ?? [{ name: file.name, set: {} }];
  const variants = listed.map(({ name, set }, i) => ({
    name,
    change: variantLayer(set, name, originOf(shared, `variants.${i}.set`)),
  }));
  return { shared, base, variants };
}

function without<T extends object, K extends string>(object: T, ...keys: K[]): Omit<T, K> {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key as K))) as Omit<T, K>;
}

function twiceNamed(variants: readonly { readonly name: string }[], shared: Layer): Problem[] {
  const names = variants.map(({ name }) => name);
  return names.flatMap((name, i) => {
    const where = originOf(shared, `variants.${i}`);
    return names.indexOf(name) === i ? [] : [{ where, key: "variants", message: `two variants are called "${name}"` }];
  });
}

/** A flag changes what the variants share; one that every variant overrides would do nothing, and silently. */
function withoutEffect(flag: Layer, changes: readonly Layer[]): Problem[] {
  const covers = ({ tree }: Layer, path: string) => leaves(tree).some((leaf) => `${path}.`.startsWith(`${leaf}.`));
  return leaves(flag.tree)
    .filter((path) => changes.every((change) => covers(change, path)))
    .map((path) => ({
      where: flag.where,
      key: path,
      message: `every variant sets this itself; change a variant instead: --set variants.0.set.${path}=…`,
    }));
}

/** Settings of routers that nobody selects would be noise. */
export function selectedSections(router: RunConfig["router"], selections: readonly RouterName[]): RunConfig["router"] {
  const isKept = (key: string) => !Object.hasOwn(routers, key) || selections.includes(key as RouterName);
  return Object.fromEntries(Object.entries(router).filter(([key]) => isKept(key))) as RunConfig["router"];
}

/** Settings of a router that no variant selects would do nothing, and silently. */
function withoutSelection(selections: readonly RouterName[], base: Layer, changes: readonly Layer[]): Problem[] {
  return [base, ...changes].flatMap((layer) => {
    const given = isTree(layer.tree["router"]) ? Object.keys(layer.tree["router"]) : [];
    return given
      .filter((key) => Object.hasOwn(routers, key) && !selections.includes(key as RouterName))
      .map((key) => ({
        where: originOf(layer, `router.${key}`),
        key: `router.${key}`,
        message: `has no effect: router.selection is ${[...new Set(selections)].join(", ")}`,
      }));
  });
}

/** One run's config from its layer. @throws ConfigError */
export function resolveRun(layer: Layer): RunConfig {
  const config = check(runSchema, layer);
  refuseContradictions(contradictions(config), layer);
  return { ...config, router: selectedSections(config.router, [config.router.selection]) };
}

function readWithParents(source: ConfigSource, path: string, children: readonly string[]): Layer {
  if (children.includes(path)) {
    const message = `extends itself: ${[...children, path].join(" → ")}`;
    throw new ConfigError([{ where: path, key: "extends", message }]);
  }
  let text: string;
  try {
    text = source.read(path);
  } catch (error) {
    throw new ConfigError([{ where: path, key: "", message: (error as Error).message }]);
  }
  const layer = fileLayer(text, path);
  const parent = layer.tree["extends"];
  if (typeof parent !== "string") return layer;
  return over(readWithParents(source, source.besides(path, parent), [...children, path]), layer, layer.where);
}

/** What a schema makes of a layer. @throws ConfigError with the place of every problem */
export function check<S extends z.ZodMiniType>(schema: S, layer: Layer): z.infer<S> {
  const result = schema.safeParse(layer.tree);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, schema, layer));
  // Of several bounds that a value breaks the last is the narrowest.
  throw new ConfigError([...new Map(problems.map((problem) => [problem.key, problem])).values()]);
}

function unique(problems: readonly Problem[]): Problem[] {
  const seen = new Map(problems.map((problem) => [`${problem.where} ${problem.key} ${problem.message}`, problem]));
  return [...seen.values()];
}

/** The JSON Schema of a config file, for editors. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(fileSchema, { io: "input" });
  return { $schema: schema.$schema, title: "moge config", ...schema };
}
