/** A batch routed, measured and priced: everything that the scene of the batch shows, from the knobs alone. */
import type { BalanceSetting } from "../../balance/rules.ts";
import type { BalanceShape } from "../../balance/statistic.ts";
import { type LayerTime, priceMoeLayer } from "../../cluster/moe-layer.ts";
import { clusterOf } from "../../cluster/presets.ts";
import { projectedTraffic } from "../../cluster/projection.ts";
import { balanceShape, routingSettings } from "../../config/router-settings.ts";
import { type RunConfig, runSchema } from "../../config/schema.ts";
import { deviceLoad } from "../../placement/device-load.ts";
import { placements } from "../../placement/placements.ts";
import { type Assignment, countLoad, NO_EXPERT } from "../../routing/assignment.ts";
import { newRouting, type RoutingSettings } from "../../routing/route.ts";
import type { RouterShape } from "../../routing/router.ts";
import type { KnobValues } from "../knobs/knobs.ts";
import type { Phrase } from "../phrase.ts";
import { balanced } from "./balanced.ts";
import { type ContenderName, contenderNamed } from "./contenders.ts";
import { type Measures, measurePlacement, measureRouting, type RoutingMeasures } from "./measure.ts";
import { choose, settle } from "./pass.ts";
import type { Preferences } from "./preferences.ts";
import { refusalOf } from "./refusal.ts";
import { remembered } from "./remembered.ts";
import { scoredBatch } from "./scored.ts";

/** What a router made of the batch, wherever its experts lie. */
export interface Routed {
  readonly assignment: Assignment;
  /** [T, slots] the experts before any was dropped */
  readonly chosen: Int32Array;
  /** [N] */
  readonly expertLoad: Float64Array;
  readonly measures: RoutingMeasures;
}

export interface RoutedBatch extends Routed {
  readonly config: RunConfig;
  /** [D] */
  readonly deviceLoad: Float64Array;
  readonly measures: Measures;
  readonly time: LayerTime;
}

/** The batch, or why this router cannot route it. */
export type Outcome = { readonly batch: RoutedBatch } | { readonly refusal: Phrase };

export function routeBatch(values: KnobValues, contender: ContenderName): Outcome {
  const config = configOf(values, contender);
  const refusal = refusalOf(config);
  if (refusal !== undefined) return { refusal };
  const { model, router, balance, cluster } = config;
  const preferences = { seed: config.seed, experts: model.experts, skew: values.skew };
  const routed = route({ preferences, model, router, balance }, config);
  const { assignment, expertLoad } = routed;
  const deviceOf = placements[cluster.placement].place(model.experts, cluster.devices);
  const loadOfDevices = deviceLoad(expertLoad, deviceOf, cluster.devices);
  const measures = { ...routed.measures, ...measurePlacement(assignment, model.topK, loadOfDevices, deviceOf) };
  const time = timeOf(config, assignment, deviceOf);
  return { batch: { ...routed, config, deviceLoad: loadOfDevices, measures, time } };
}

/** The config of a run that routes as the knobs say; `moge` would read the same. */
export function configOf(values: KnobValues, name: ContenderName): RunConfig {
  const { seed, experts, topK, groups, devices, tokens, tokensPerDevice, device, topology } = values;
  const contender = contenderNamed(name);
  const sizes = { experts, groups, topK: contender.topK ?? topK };
  const rule = contender.balance ?? "switch-loss";
  return runSchema.parse({
    name: "page",
    seed,
    model: { ...sizes, context: tokens },
    router: {
      selection: contender.selection,
      "group-limited": { limit: values.limit },
      ...(values.capacity > 0 && { capacity: { factor: values.capacity } }),
    },
    balance: [{ rule, ...(rule === "switch-loss" && { coefficient: values.balance }) }],
    training: { sequences: 1 },
    data: { kind: "synthetic", topics: 1, skew: 0, noise: 0 },
    cluster: { devices, device, topology },
    target: { ...sizes, expertParallel: devices, tokensPerRank: tokensPerDevice },
  });
}

/** What a routing depends on. No router or rule of the page asks which device an expert lies on. */
interface RoutedBy extends Pick<RunConfig, "model" | "router" | "balance"> {
  readonly preferences: Preferences;
}

const route = remembered(({ preferences, model }: RoutedBy, config: RunConfig): Routed => {
  const settings = routingSettings(config);
  const rule = config.balance[0] as BalanceSetting;
  const { capacity: _, ...uncapped } = settings;
  const { experts, topK, groups } = model;
  const learned = { preferences, rule, shape: { experts, topK, groups }, settings: uncapped };
  const { offset, bias } = balancedBy(learned, balanceShape(config));
  const { logits, scores } = scoredBatch({ preferences, tokens: model.context, offset });
  const routing = newRouting(logits, model, settings, { scores });
  choose(routing, bias);
  settle(routing);
  const { assignment, chosen } = routing;
  const expertLoad = new Float64Array(model.experts);
  countLoad(assignment, expertLoad);
  return { assignment, chosen, expertLoad, measures: measureRouting(routing, expertLoad) };
});

interface BalancedBy {
  readonly preferences: Preferences;
  readonly rule: BalanceSetting;
  readonly shape: RouterShape;
  readonly settings: RoutingSettings;
}

/** Neither the batch nor the machine changes what a router has learned. */
const balancedBy = remembered(
  ({ preferences, rule, settings }: BalancedBy, shape: BalanceShape) => balanced(preferences, rule, shape, settings),
  8,
);

/**
 * The batch on the machine: device d sends the d-th part of the tokens, each of them as often as the machine has more.
 * All are taken in their order, so that the loads that are priced are the loads that are shown.
 */
function timeOf({ model, cluster, target }: RunConfig, assignment: Assignment, deviceOf: Int32Array): LayerTime {
  const { devices } = cluster;
  const tokensPerRank = Math.ceil(assignment.tokens / devices);
  let next = 0;
  const { expertLoad, vectors } = projectedTraffic(
    { ...assignment, none: NO_EXPERT },
    () => next++ % assignment.tokens,
    {
      ranks: devices,
      tokensPerRank,
      experts: model.experts,
      deviceOf,
      dispatch: target!.dispatch,
    },
  );
  const factor = target!.tokensPerRank / tokensPerRank;
  const times = (values: Float64Array) => values.map((value) => value * factor);
  return priceMoeLayer(
    target!,
    { expertLoad: times(expertLoad), vectors: times(vectors), deviceOf },
    clusterOf(cluster),
  );
}
