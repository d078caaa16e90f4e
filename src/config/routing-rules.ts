/** Rules between the knobs of routing, capacity and balancing. */
import { type BalanceSetting, contradictionOf, type GivenBalance, settingsOfLayer } from "../balance/rules.ts";
import { capacityContradiction } from "../routing/capacity.ts";
import { goesByBias, optionsOf } from "../routing/route.ts";
import { routerNamed } from "../routing/routers.ts";
import { type Contradiction, divides } from "./contradiction.ts";
import { balanceShape, routingSettings } from "./router-settings.ts";
import type { RunConfig } from "./schema.ts";

/** What routing may not say. */
export function routingContradictions(config: RunConfig): Contradiction[] {
  const { model, router, cluster } = config;
  const entry = routerNamed(router.selection);
  const settings = routingSettings(config);
  const ofRouter = entry.contradiction(model, optionsOf(settings) as never);
  const { scoreFunctions } = entry;
  return [
    ...(ofRouter === undefined
      ? []
      : [{ keys: ["model.topK", "model.groups", "model.experts", "router.selection"] as const, message: ofRouter }]),
    ...(scoreFunctions === undefined || scoreFunctions.includes(router.scoreFunction)
      ? []
      : [
          {
            keys: ["router.scoreFunction", "router.selection"] as const,
            message: `${router.scoreFunction} does not go with router ${router.selection}, which needs ${scoreFunctions.join(" or ")}`,
          },
        ]),
    ...divides(["cluster.devices", "model.experts"], model.experts, "experts", cluster.devices, "devices"),
    ...(router.bias.length > 0 && router.bias.length !== model.experts
      ? [
          {
            keys: ["router.bias", "model.experts"] as const,
            message: `${router.bias.length} numbers given for ${model.experts} experts`,
          },
        ]
      : []),
    ...(router.bias.length > 0 && !goesByBias(settings)
      ? [
          {
            keys: ["router.bias", "router.selection"] as const,
            message: `has no effect: router ${router.selection}, as it is set, goes by no bias`,
          },
        ]
      : []),
    ...capacityContradictions(config),
    ...config.balance.flatMap((given, i) => balanceContradictions(config, given, `balance.${i}`)),
  ];
}

function capacityContradictions({ model, router, training }: RunConfig): Contradiction[] {
  if (router.capacity === undefined) return [];
  const tokens = training.sequences * model.context;
  const problem = capacityContradiction(router.capacity, tokens, model, router.normalisation);
  return problem === undefined ? [] : [{ keys: [`router.capacity.${problem.knob}`], message: problem.message }];
}

function balanceContradictions(config: RunConfig, given: GivenBalance, key: string): Contradiction[] {
  const { model } = config;
  const wrongLists = Object.entries(given).flatMap(([knob, value]) =>
    Array.isArray(value) && value.length !== model.layers
      ? [
          {
            keys: [`${key}.${knob}`, "model.layers"] as const,
            message: `${value.length} numbers given for ${model.layers} layers`,
          },
        ]
      : [],
  );
  if (wrongLists.length > 0) return wrongLists;
  const [setting] = settingsOfLayer([given], 0) as [BalanceSetting];
  const message = contradictionOf(setting, routingSettings(config), balanceShape(config));
  return message === undefined ? [] : [{ keys: [`${key}.rule`, "router.selection"], message }];
}
