/** Rules between the knobs of the simulated cluster and of what is priced on it. */
import { topologies } from "../cluster/topologies.ts";
import { topologyDevices } from "../cluster/topology.ts";
import { slotsOf } from "../routing/route.ts";
import { type Contradiction, divides } from "./contradiction.ts";
import { routingSettings } from "./router-settings.ts";
import type { RunConfig } from "./schema.ts";

/** Places for chosen experts that the pool keeps for a layer; each is two bytes. */
const MOST_POOLED = 5e8;

/** What a target may not say. */
export function targetContradictions(config: RunConfig): Contradiction[] {
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
