/** Rules between knobs: what a config may not say although every value by itself is fine. Numbers are never silently rounded. */
import { topologies, topologyDevices } from "../cluster/topologies.ts";
import { syntheticContradiction } from "../data/synthetic.ts";
import { routers } from "../routing/routers.ts";
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

function routingContradictions({ model, router, cluster }: RunConfig): Contradiction[] {
  const ofRouter = routers[router.selection].contradiction(model);
  return [
    ...(ofRouter === undefined
      ? []
      : [{ keys: ["model.topK", "model.groups", "model.experts", "router.selection"] as const, message: ofRouter }]),
    ...divides(["cluster.devices", "model.experts"], model.experts, "experts", cluster.devices, "devices"),
    ...(router.bias.length > 0 && router.bias.length !== model.experts
      ? [
          {
            keys: ["router.bias", "model.experts"] as const,
            message: `${router.bias.length} numbers given for ${model.experts} experts`,
          },
        ]
      : []),
  ];
}

/** Chosen experts that the pool keeps for a layer; each is two bytes. */
const MOST_POOLED = 5e8;

function targetContradictions({ model, training, cluster, target }: RunConfig): Contradiction[] {
  if (target === undefined) return [];
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
    ...(window * tokens * model.topK > MOST_POOLED
      ? [
          {
            keys: ["target.window"] as const,
            message: `${window} steps of ${tokens} tokens are too many to pool; take a window of at most ${Math.max(1, Math.floor(MOST_POOLED / tokens / model.topK))}`,
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
