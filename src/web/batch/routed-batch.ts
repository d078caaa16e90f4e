/** A batch routed, measured and priced: everything that the scene of the batch shows, from the knobs alone. */
import type { BalanceSetting } from "../../balance/rules.ts";
import type { BalanceShape } from "../../balance/statistic.ts";
import { type LayerTime, priceMoeLayer } from "../../cluster/moe-layer.ts";
import { clusterOf } from "../../cluster/presets.ts";
import { TokenPool } from "../../cluster/projection.ts";
import { balanceShape, routingSettings } from "../../config/router-settings.ts";
import { type RunConfig, runSchema } from "../../config/schema.ts";
import { deviceLoad } from "../../placement/device-load.ts";
import { placements } from "../../placement/placements.ts";
import { countLoad } from "../../routing/assignment.ts";
import { choose, newRouting, type Routing, type RoutingSettings, score, settle } from "../../routing/route.ts";
import type { KnobValues } from "../knobs/knobs.ts";
import type { Phrase } from "../phrase.ts";
import { balanced } from "./balanced.ts";
import { type ContenderName, contenderNamed } from "./contenders.ts";
import { type Measures, measure } from "./measure.ts";
import { logitsOf, type Preferences } from "./preferences.ts";
import { refusalOf } from "./refusal.ts";
import { remembered } from "./remembered.ts";

export interface RoutedBatch {
  readonly config: RunConfig;
  readonly routing: Routing;
  /** [N] */
  readonly expertLoad: Float64Array;
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
  const preferences = { seed: config.seed, experts: config.model.experts, skew: values.skew };
  const { model, router, balance, cluster } = config;
  const routed = routedBatch({ preferences, model, router, balance, devices: cluster.devices }, config);
  return { batch: { config, ...routed, time: timeOf(config, routed.routing) } };
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

/** What a routing depends on. */
interface RoutedBy extends Pick<RunConfig, "model" | "router" | "balance"> {
  readonly preferences: Preferences;
  readonly devices: number;
}

const routedBatch = remembered(({ preferences, model, devices }: RoutedBy, config: RunConfig) => {
  const settings = routingSettings(config);
  const rule = config.balance[0] as BalanceSetting;
  const { capacity: _, ...uncapped } = settings;
  const { offset, bias } = balancedBy({ preferences, rule, shape: balanceShape(config), settings: uncapped });
  const { logits, scores } = scored({ preferences, tokens: model.context, offset: Array.from(offset) });
  const routing = newRouting(logits, model, settings, { scores });
  choose(routing, { bias });
  settle(routing);
  const deviceOf = placements[config.cluster.placement].place(model.experts, devices);
  const expertLoad = new Float64Array(model.experts);
  countLoad(routing.assignment, expertLoad);
  const loadOfDevices = deviceLoad(expertLoad, deviceOf, devices);
  const measures = measure(routing, expertLoad, loadOfDevices, deviceOf);
  return { routing, expertLoad, deviceLoad: loadOfDevices, measures };
});

interface BalancedBy {
  readonly preferences: Preferences;
  readonly rule: BalanceSetting;
  readonly shape: BalanceShape;
  readonly settings: RoutingSettings;
}

/** Neither the batch nor the machine changes what a router has learned. */
const balancedBy = remembered(
  ({ preferences, rule, shape, settings }: BalancedBy) => balanced(preferences, rule, shape, settings),
  8,
);

interface Logits {
  readonly preferences: Preferences;
  readonly tokens: number;
  /** [N] added to every token's */
  readonly offset: number[];
}

/** Routers on the same logits share their scores: all of the page's are softmax. */
const scored = remembered(({ preferences, tokens, offset }: Logits) => {
  const logits = logitsOf(preferences, tokens, "shown", offset);
  const settings = { selection: "topk", scoreFunction: "softmax", normalisation: "chosen", scale: 1 } as const;
  const routing = newRouting(logits, { experts: preferences.experts, topK: 1, groups: 1 }, settings);
  score(routing);
  return { logits, scores: routing.scores };
});

/**
 * The batch on the machine: device d sends the d-th part of the tokens, each of them as often as the machine has more.
 * All are taken in their order, so that the loads that are priced are the loads that are shown.
 */
function timeOf({ model, cluster, target }: RunConfig, { assignment }: Routing): LayerTime {
  const { devices, placement } = cluster;
  const deviceOf = placements[placement].place(model.experts, devices);
  const tokensPerRank = Math.ceil(assignment.tokens / devices);
  const pool = new TokenPool(1, assignment.slots);
  pool.add(assignment);
  let next = 0;
  const inOrder = { below: (tokens: number) => next++ % tokens };
  const { expertLoad, vectors } = pool.project(inOrder, {
    ranks: devices,
    tokensPerRank,
    experts: model.experts,
    deviceOf,
    dispatch: target!.dispatch,
  });
  const factor = target!.tokensPerRank / tokensPerRank;
  const times = (values: Float64Array) => values.map((value) => value * factor);
  return priceMoeLayer(
    target!,
    { expertLoad: times(expertLoad), vectors: times(vectors), deviceOf },
    clusterOf(cluster),
  );
}
