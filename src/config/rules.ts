/** Rules between knobs: what a config may not say although every value by itself is fine. Numbers are never silently rounded. */

import { type BalanceSetting, contradictionOf, type GivenBalance, settingsOfLayer } from "../balance/rules.ts";
import { topologies, topologyDevices } from "../cluster/topologies.ts";
import { syntheticContradiction } from "../data/synthetic.ts";
import { expertCapacity } from "../routing/capacity.ts";
import { optionsOf, slotsOf } from "../routing/route.ts";
import { routerNamed } from "../routing/routers.ts";
import { balanceShape, routingSettings } from "./router-settings.ts";
import type { RunConfig } from "./schema.ts";

/** What is wrong, and the keys it lies between; the first is the one to name. */
export interface Contradiction {
  readonly keys: readonly [string, ...string[]];
  readonly message: string;
}

/** All contradictions of a resolved config. */
export function contradictions(config: RunConfig): Contradiction[] {
  const { model } = config;
  return [
    ...divides(["model.heads", "model.hiddenSize"], model.hiddenSize, "hidden units", model.heads, "heads"),
    ...(model.feedForward === "moe" ? [...routingContradictions(config), ...targetContradictions(config)] : []),
    ...dataContradictions(config.data),
  ];
}

function divides(keys: Contradiction["keys"], whole: number, what: string, parts: number, of: string): Contradiction[] {
  return whole % parts === 0 ? [] : [{ keys, message: `${whole} ${what} do not divide evenly by ${parts} ${of}` }];
}

function routingContradictions(config: RunConfig): Contradiction[] {
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
    ...capacityContradictions(config),
    ...config.balance.flatMap((given, i) => balanceContradictions(config, given, `balance.${i}`)),
  ];
}

function capacityContradictions({ model, router, training }: RunConfig): Contradiction[] {
  const { capacity } = router;
  if (capacity === undefined) return [];
  const tokens = training.sequences * model.context;
  const mayBeNegative = capacity.rule === "tutel";
  if (capacity.factor < 0 && !mayBeNegative) {
    return [{ keys: ["router.capacity.factor"], message: `expected at least 0, got ${capacity.factor}` }];
  }
  const size = expertCapacity(tokens, model, capacity, tokens);
  if (size >= 1 && Number.isInteger(size)) return [];
  const of = `of a rank's ${tokens} tokens, with ${model.experts} experts and topK ${model.topK}`;
  return [
    {
      keys: ["router.capacity.factor", "router.capacity.rule"],
      message: `rule ${capacity.rule} with factor ${capacity.factor} gives an expert room for ${size} ${of}; it needs a whole number, at least 1`,
    },
  ];
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

/** Places for chosen experts that the pool keeps for a layer; each is two bytes. */
const MOST_POOLED = 5e8;

function targetContradictions(config: RunConfig): Contradiction[] {
  const { model, training, cluster, target } = config;
  if (target === undefined) return [];
  const slots = slotsOf(routingSettings(config), model);
  const differing = (["experts", "topK", "groups"] as const)
    .filter((key) => target[key] !== model[key])
    .map((key) => ({
      keys: [`target.${key}`, `model.${key}`] as const,
      message: `${target[key]} differs from model.${key} ${model[key]}; the trained router can only stand for a router of its own sizes`,
    }));
  const joined = topologyDevices(topologies[cluster.topology]);
  const { expertParallel, experts, window } = target;
  const tokens = training.microBatches * training.ranks * training.sequences * model.context;
  return [
    ...differing,
    ...divides(["target.expertParallel", "target.experts"], experts, "experts", expertParallel, "devices"),
    ...(expertParallel > joined
      ? [
          {
            keys: ["target.expertParallel", "cluster.topology"] as const,
            message: `${expertParallel} devices are more than the ${joined} that topology ${cluster.topology} joins`,
          },
        ]
      : []),
    ...(window * tokens * slots > MOST_POOLED
      ? [
          {
            keys: ["target.window"] as const,
            message: `${window} steps of ${tokens} tokens are too many to pool; take a window of at most ${Math.max(1, Math.floor(MOST_POOLED / tokens / slots))}`,
          },
        ]
      : []),
  ];
}

function dataContradictions(data: RunConfig["data"]): Contradiction[] {
  if (data.kind === "synthetic") {
    const message = syntheticContradiction(data);
    return message === undefined ? [] : [{ keys: ["data.topics"], message }];
  }
  const names = data.domains.map((domain) => (typeof domain === "string" ? domain : domain.name));
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  return twice.map((name) => ({ keys: ["data.domains"], message: `domain "${name}" is named twice` }));
}
