/**
 * The tables of routers, rules and metrics as things to look up: what the command line lists, prints as JSON and the
 * documentation shows. Everything is read off the tables.
 */

import type { BalancingLoss, BiasRule } from "../balance/rule.ts";
import { balancingRules } from "../balance/rules.ts";
import { statistics } from "../balance/statistics.ts";
import { defaultsOf, type Knob, type Knobs } from "../core/knob.ts";
import type { MetricDescription } from "../metrics/metric.ts";
import { metricTables } from "../metrics/tables.ts";
import { type CapacityRule, capacityLevels, capacityRules, dropOrders, tokenPriorities } from "../routing/capacity.ts";
import { normalisations } from "../routing/gates.ts";
import { type RoutingPreset, routingPresets } from "../routing/presets.ts";
import type { Router, RouterPromises } from "../routing/router.ts";
import { routers } from "../routing/routers.ts";
import { type ScoreFunction, scoreFunctions } from "../routing/scores.ts";

/** One thing to look up. Facts are lines of a name and a text. */
export interface Entry {
  readonly name: string;
  readonly title: string;
  /** In the order in which they are shown. */
  readonly facts: Readonly<Record<string, string>>;
  readonly knobs: readonly KnobEntry[];
}

export interface KnobEntry {
  readonly name: string;
  readonly default: string;
  readonly values: string;
  readonly help: string;
  /** What each of its values means, if it has names for them. */
  readonly options: Readonly<Record<string, string>>;
  /** Where the default comes from. */
  readonly source?: string | undefined;
}

export interface Section {
  readonly title: string;
  readonly introduction: string;
  readonly entries: readonly Entry[];
}

/** What a promise means when it is kept, and when it is not given. */
const promiseTexts: Readonly<Record<Exclude<keyof RouterPromises, "needs">, readonly [kept: string, not: string]>> = {
  takesK: ["K distinct experts for every token", "a token may get fewer or more than K experts"],
  perGroup: ["K/M experts of every group for every token", ""],
  perToken: ["a token's experts depend on the token alone", "a token's experts depend on its batch"],
  byScore: ["goes by score + bias, of equal ones the lower id", ""],
  biased: ["a selection bias shifts its choice", "takes no selection bias"],
  equivariant: ["follows the experts when they are renumbered", ""],
  stochastic: ["draws from a seeded stream", ""],
};

function promisesOf({ promises }: Router): string {
  const kept = Object.entries(promiseTexts).map(([name, [is, not]]) =>
    promises[name as keyof RouterPromises] ? is : not,
  );
  const needs = promises.needs === undefined ? [] : [`needs ${promises.needs.join(" and ")}`];
  return [...kept.filter((text) => text !== ""), ...needs].join("; ");
}

function knobEntries(knobs: Knobs = {}): KnobEntry[] {
  return Object.entries(knobs).map(([name, knob]) => ({
    name,
    default: String(knob.default),
    values: valuesOf(knob),
    help: knob.help,
    options: knob.kind === "choice" ? knob.options : {},
    source: "source" in knob ? knob.source : undefined,
  }));
}

function valuesOf(knob: Knob): string {
  if (knob.kind === "boolean") return "true or false";
  if (knob.kind === "choice") return Object.keys(knob.options).join(", ");
  const { minimum, maximum } = knob;
  const range = maximum === undefined ? `${minimum} or more` : `${minimum} … ${maximum}`;
  if (knob.kind === "layerwise") return `${range}, or one a layer`;
  return knob.whole === true ? `whole, ${range}` : range;
}

const named = (table: Readonly<Record<string, string>>): Entry[] =>
  Object.entries(table).map(([name, title]) => ({ name, title, facts: {}, knobs: [] }));

const presetsOf = (selection: string): string =>
  Object.entries<RoutingPreset>(routingPresets)
    .filter(([, { settings }]) => settings.selection === selection)
    .map(([name]) => name)
    .join(", ");

const without = (facts: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(facts).filter(([, text]) => text !== ""));

export function routerSections(): Section[] {
  return [
    {
      title: "Routers",
      introduction: "Which experts a token goes to.",
      entries: Object.entries<Router>(routers as Readonly<Record<string, Router>>).map(([name, router]) => ({
        name,
        title: router.title,
        facts: without({
          effect: router.summary,
          source: router.source,
          promises: promisesOf(router),
          scores: router.scoreFunctions === undefined ? "" : `${router.scoreFunctions.join(", ")} alone`,
          presets: presetsOf(name),
        }),
        knobs: knobEntries(router.knobs),
      })),
    },
    {
      title: "Score functions",
      introduction: "From logits x to scores s.",
      entries: Object.entries<ScoreFunction>(scoreFunctions).map(([name, { title, formula }]) => ({
        name,
        title,
        facts: { formula },
        knobs: [],
      })),
    },
    {
      title: "Normalisations",
      introduction: "From the scores of the chosen to their weights.",
      entries: named(normalisations),
    },
    {
      title: "Presets",
      introduction: "Published combinations, each exact to its source.",
      entries: Object.entries<RoutingPreset>(routingPresets).map(([name, preset]) => ({
        name,
        title: preset.source,
        facts: { settings: settingsText(preset) },
        knobs: [],
      })),
    },
  ];
}

/** All settings of a preset by dotted key, those of its router and of its capacity included. */
export function presetSettings({ settings }: RoutingPreset): Record<string, string> {
  const flat: Record<string, string> = {};
  const add = (prefix: string, values: object) => {
    for (const [key, value] of Object.entries(values)) {
      if (value === undefined) continue;
      if (typeof value === "object" && value !== null) add(`${prefix}${key}.`, value);
      else flat[`${prefix}${key}`] = String(value);
    }
  };
  const { selection, options, ...others } = settings;
  const router = (routers as Readonly<Record<string, Router>>)[selection]!;
  add("", { selection, ...others, ...(router.knobs && { [selection]: { ...defaultsOf(router.knobs), ...options } }) });
  return flat;
}

const settingsText = (preset: RoutingPreset): string =>
  Object.entries(presetSettings(preset))
    .map(([key, value]) => `${key} ${value}`)
    .join(", ");

export function ruleSections(): Section[] {
  return [
    {
      title: "Balancing rules",
      introduction:
        "Losses that push loads together, and rules that move a selection bias; any number of them at once.",
      entries: Object.entries<BalancingLoss | BiasRule>(
        balancingRules as unknown as Readonly<Record<string, BalancingLoss | BiasRule>>,
      ).map(([name, { title, formula, source, kind, knobs }]) => ({
        name,
        title,
        facts: {
          kind: kind === "loss" ? "loss, with a gradient" : "selection bias, without a gradient",
          formula,
          source,
        },
        knobs: knobEntries(knobs),
      })),
    },
    {
      title: "Statistics",
      introduction: "The sums over tokens that losses are made of. Counts are constants to the gradient.",
      entries: Object.entries(statistics).map(([name, { title, formula }]) => ({
        name,
        title,
        facts: { formula },
        knobs: [],
      })),
    },
    {
      title: "Capacity rules",
      introduction:
        "How many assignments an expert takes of a batch. They round differently: 50 · 1.1 is 55 to one and 56 to another.",
      entries: Object.entries<CapacityRule>(capacityRules).map(([name, { title, formula, source }]) => ({
        name,
        title,
        facts: { formula, source },
        knobs: [],
      })),
    },
    {
      title: "Orders of dropping",
      introduction: "Which assignments stay when there are too many.",
      entries: named(dropOrders),
    },
    { title: "Priorities", introduction: "Which tokens are served first.", entries: named(tokenPriorities) },
    { title: "Levels", introduction: "Who has a capacity.", entries: named(capacityLevels) },
  ];
}

export function metricSections(): Section[] {
  return metricTables.map(({ title, needs, metrics }) => ({
    title: title.charAt(0).toUpperCase() + title.slice(1),
    introduction: `Measured on ${needs}.`,
    entries: Object.entries<MetricDescription>(metrics).map(([name, metric]) => ({
      name,
      title: metric.title,
      facts: {
        formula: metric.formula,
        unit: metric.unit === "1" ? "1 (a plain ratio)" : metric.unit,
        direction: metric.direction,
        source: metric.source,
        column: metric.column,
      },
      knobs: [],
    })),
  }));
}
