/** The routing settings of a config as the routing and balancing rooms take them. */
import type { BalanceShape } from "../balance/statistic.ts";
import { placements } from "../placement/placements.ts";
import type { NoiseSettings } from "../routing/noise.ts";
import { optionsOf, type RoutingSettings, slotsOf } from "../routing/route.ts";
import { routerNamed } from "../routing/routers.ts";
import type { RunConfig } from "./schema.ts";

type RoutedConfig = Pick<RunConfig, "model" | "router" | "cluster">;

export function routingSettings({ model, router, cluster }: RoutedConfig): RoutingSettings {
  const { selection, scoreFunction, normalisation, scale, epsilon, capacity } = router;
  const options = (router as { readonly [name: string]: unknown })[selection] as RoutingSettings["options"];
  const deviceOf = placements[cluster.placement].place(model.experts, cluster.devices);
  return {
    selection,
    options,
    scoreFunction,
    normalisation,
    scale,
    epsilon,
    capacity: capacity && { ...capacity, deviceOf, devices: cluster.devices },
  };
}

/** Assignments that a micro-batch of `tokens` tokens never exceeds; batches of ranks may each round up. */
export function mostAssignments(config: RoutedConfig & Pick<RunConfig, "training">, tokens: number): number {
  const settings = routingSettings(config);
  const router = routerNamed(settings.selection);
  const most = tokens * slotsOf(settings, config.model);
  const { ranks } = config.training;
  const ofBatch = (batch: number) =>
    router.mostAssignments?.(batch, config.model, optionsOf(settings) as never) ?? most;
  return Math.min(most, Math.max(ranks * ofBatch(tokens / ranks), ofBatch(tokens)));
}

/** The noise that the router adds while training, if any. */
export function noiseOf(config: Pick<RunConfig, "router">): NoiseSettings | undefined {
  const { selection } = config.router;
  const options = (config.router as { readonly [name: string]: unknown })[selection] as RoutingSettings["options"];
  return routerNamed(selection).noise?.(optionsOf({ selection, options }) as never);
}

export const balanceShape = ({ model, cluster }: Pick<RunConfig, "model" | "cluster">): BalanceShape => ({
  experts: model.experts,
  topK: model.topK,
  groups: model.groups,
  devices: cluster.devices,
});
