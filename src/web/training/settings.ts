/** From the knobs and the reader's texts to the configs of the models, and to a file with which `moge run` gives the same bytes. */
import { base, texts as carried, variants } from "packaged:training";
import { type Layer, over, type Tree } from "../../config/layers.ts";
import { selectedSections } from "../../config/resolve.ts";
import { contradictions } from "../../config/rules.ts";
import { type RunConfig, runSchema } from "../../config/schema.ts";
import { firstBytes, type NamedText } from "../../data/text.ts";
import { type TextDomain, type TextDomainName, textDomains } from "../../data/text-domains.ts";
import type { KnobValues } from "../knobs/knobs.ts";
import { yamlText } from "../yaml.ts";
import type { OwnText } from "./own-text.ts";

/** A text that comes with the page. */
export interface BuiltInText {
  readonly name: TextDomainName;
  /** Cut here. */
  readonly bytes: number;
}

/** Bytes that a text must have, so that a sequence fits into the part that is held out. */
export function leastBytes(): number {
  const { model, data } = runSchema.parse(base);
  return data.kind === "text" ? Math.ceil((model.context + 1) / data.validationFraction) : 0;
}

export const builtIn = (base["data"] as { readonly domains: readonly BuiltInText[] }).domains;

/** What one training is made of. */
export interface Settings {
  readonly seed: number;
  readonly steps: number;
  readonly coefficient: number;
  readonly rate: number;
  readonly builtIn: readonly BuiltInText[];
  readonly own: readonly OwnText[];
}

/** @param own the reader's texts; a text that the link does not know by name is left out */
export function settingsOf(values: KnobValues, own: readonly OwnText[]): Settings {
  const { seed, steps, coefficient, rate, domains } = values;
  const named = domains.split(",");
  return {
    seed,
    steps,
    coefficient,
    rate,
    builtIn: builtIn.filter(({ name }) => domains === "" || named.includes(name)),
    own,
  };
}

/** Whether two settings give the same figures. */
export const isSame = (a: Settings, b: Settings): boolean => JSON.stringify(treeOf(a)) === JSON.stringify(treeOf(b));

/** One of the models that are trained side by side. */
export interface Arm {
  readonly name: string;
  readonly config: RunConfig;
}

/** @throws Error with one line a contradiction */
export function armsOf(settings: Settings): Arm[] {
  const shared = layerOf(treeOf(settings));
  return variants.map(({ name, set }) => {
    const config = runSchema.parse(over(shared, layerOf(set)).tree);
    const found = contradictions(config);
    if (found.length > 0) throw new Error(found.map(({ keys, message }) => `${keys[0]}: ${message}`).join("\n"));
    return { name, config: { ...config, router: selectedSections(config.router, [config.router.selection]) } };
  });
}

const layerOf = (tree: Tree): Layer => ({ tree, origins: new Map(), where: "" });

function treeOf({ seed, steps, coefficient, rate, builtIn, own }: Settings): Tree {
  const data = base["data"] as Tree;
  const [rule] = base["balance"] as [Tree];
  const domains = [...builtIn, ...own.map(({ name, path, sha256 }) => ({ name, path, ...(sha256 && { sha256 }) }))];
  return {
    ...base,
    seed,
    balance: [{ ...rule, coefficient }],
    training: { ...(base["training"] as Tree), steps, learningRate: rate },
    data: { ...data, domains },
  };
}

/** The bytes of the domains, in the config's order. */
export function textsOf({ builtIn, own }: Settings): NamedText[] {
  return [...builtIn.map(({ name, bytes }) => ({ name, bytes: firstBytes(textOf(name), bytes) })), ...own];
}

function textOf(name: TextDomainName): Uint8Array {
  const domain: TextDomain = textDomains[name];
  return new TextEncoder().encode("generate" in domain ? domain.generate() : carried[name]);
}

/** A config file for `moge run`. */
export function yamlOf(settings: Settings): string {
  const { name, description, ...tree } = treeOf(settings);
  const file = { name, description, ...tree, variants };
  return `${heading(settings)}${yamlText(file)}`;
}

function heading({ own }: Settings): string {
  const lines = [
    "Trained on moge's page. This gives the same bytes:",
    "  npx moge run page.yaml",
    ...(own.length === 0
      ? []
      : [
          "Run it in the folder that holds the text below, or change the path: a relative path starts where moge is run.",
          "The sha256 says which text it was; another one is refused.",
        ]),
  ];
  return lines.map((line) => `# ${line}\n`).join("");
}
