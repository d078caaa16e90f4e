/** Every router with every score function and normalisation, and one small batch for them. */
import { randomStream } from "../../src/core/random.ts";
import type { CapacitySettings } from "../../src/routing/capacity.ts";
import { type Normalisation, normalisations } from "../../src/routing/gates.ts";
import { newRouting, type RouteFacts, type Routing, type RoutingSettings, route } from "../../src/routing/route.ts";
import { type RouterName, routerNamed, routers } from "../../src/routing/routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { normalLogits, smallShape } from "./small-batch.ts";

export const keys = <K extends string>(table: Record<K, unknown>) => Object.keys(table) as K[];

/** A shape that a router takes. */
export const shapeFor = (selection: RouterName) =>
  [
    smallShape,
    { experts: 12, topK: 3, groups: 3 },
    { experts: 12, topK: 2, groups: 2 },
    { experts: 12, topK: 1, groups: 1 },
  ].find((shape) => routerNamed(selection).contradiction(shape, optionsFor(selection) as never) === undefined)!;

export const optionsFor = (selection: RouterName): Record<string, unknown> =>
  selection === "group-limited"
    ? { limit: 2, groupScore: "max", compare: "scores", mask: "exclude" }
    : Object.fromEntries(
        Object.entries(routerNamed(selection).knobs ?? {}).map(([name, { default: value }]) => [name, value]),
      );

/** Every router with every score function that it is defined for and every normalisation. */
export const combinations: RoutingSettings[] = keys<RouterName>(routers).flatMap((selection) =>
  (routerNamed(selection).scoreFunctions ?? keys<ScoreFunctionName>(scoreFunctions)).flatMap((scoreFunction) =>
    keys<Normalisation>(normalisations).map((normalisation) => ({
      selection,
      options: optionsFor(selection),
      scoreFunction,
      normalisation,
      scale: 2.5,
    })),
  ),
);
export const nameOf = ({ selection, scoreFunction, normalisation }: RoutingSettings) =>
  `${selection}, ${scoreFunction}, ${normalisation}`;

export const tokens = 5;
export const ids = [3, 1, 4, 1, 5];
export const logits = normalLogits(tokens, 12);
export const raw = normalLogits(tokens, 12, "raw");
export const facts = (): RouteFacts => ({ random: randomStream(1, "route"), tokenIds: ids, domains: ids });
export const expertScale = Float64Array.from({ length: 12 }, (_, i) => 2 - i / 8);

export const capacity: CapacitySettings = {
  rule: "megatron",
  factor: 0.6,
  minimum: 0,
  alignment: 1,
  level: "expert",
  order: "weight",
  priority: "position",
  renormalise: false,
  pad: false,
};

export function routed(settings: RoutingSettings, x = logits, more: RouteFacts = {}): Routing {
  const routing = newRouting(x, shapeFor(settings.selection), settings, { raw });
  route(routing, { ...facts(), ...more });
  return routing;
}
