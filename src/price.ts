/**
 * The price of a step: the choices of the trained routers, projected onto the target's layers, in simulated seconds.
 */
import { type Cluster, type LayerTime, priceMoeLayer } from "./cluster/moe-layer.ts";
import { clusterOf } from "./cluster/presets.ts";
import { layersFor, TokenPool } from "./cluster/projection.ts";
import type { RunConfig, TargetConfig } from "./config/schema.ts";
import { randomStream } from "./core/random.ts";
import { mean, sum } from "./core/statistics.ts";
import type { TrainingResult } from "./engine/engine.ts";
import { placements } from "./placement/placements.ts";
import { computedRows, expertCapacity } from "./routing/capacity.ts";

/**
 * SIMULATED seconds of the target's MoE layers, summed over them; one that several trained layers stand for takes the
 * mean of what each of them makes of it. compute + wait + communication = step.
 */
export interface SimulatedStep {
  readonly stepSeconds: number;
  /** Expert compute of the mean device. */
  readonly computeSeconds: number;
  /** How much longer the hottest device computes than the mean one. */
  readonly waitSeconds: number;
  /** Dispatch and combine all-to-all, forward and backward. */
  readonly communicationSeconds: number;
  readonly layers: readonly PricedLayer[];
}

/** One target layer under the routing of one trained layer. */
export interface PricedLayer {
  readonly targetLayer: number;
  /** Index among the trained MoE layers. */
  readonly trainedLayer: number;
  readonly time: LayerTime;
}

/**
 * Pools the step's choices, draws the target's tokens from them and prices its layers.
 * @param pools one a MoE layer; made by the first step
 * @returns undefined without MoE layers
 */
export function priceTarget(
  config: RunConfig,
  target: TargetConfig,
  step: number,
  { layers }: TrainingResult,
  pools: TokenPool[],
): SimulatedStep | undefined {
  if (layers.length === 0) return undefined;
  const { experts } = config.model;
  layers.forEach((routed, i) => {
    pools[i] ??= new TokenPool(target.window, routed.assignment.slots);
    pools[i].add(routed.assignment);
  });
  const deviceOf = placements[config.cluster.placement].place(experts, target.expertParallel);
  const cluster: Cluster = clusterOf(config.cluster);
  const price = (targetLayer: number, trainedLayer: number): PricedLayer => {
    const random = randomStream(config.seed, "projection", step, targetLayer, trainedLayer);
    const { expertLoad, vectors } = pools[trainedLayer]!.project(random, {
      ...target,
      ranks: target.expertParallel,
      deviceOf,
      experts,
    });
    const traffic = { expertLoad: rowsOf(expertLoad, config, target), vectors, deviceOf };
    return { targetLayer, trainedLayer, time: priceMoeLayer(target, traffic, cluster) };
  };
  const priced = Array.from({ length: target.layers }, (_, targetLayer) =>
    layersFor(targetLayer, target.layers, layers.length).map((trainedLayer) => price(targetLayer, trainedLayer)),
  );
  const total = (part: (time: LayerTime) => number) =>
    sum(priced.map((standing) => mean(standing.map(({ time }) => part(time)))));
  return {
    stepSeconds: total((time) => time.stepSeconds),
    computeSeconds: total((time) => time.meanComputeSeconds),
    waitSeconds: total((time) => time.waitSeconds),
    communicationSeconds: total((time) => time.communicationSeconds),
    layers: priced.flat(),
  };
}

/** What the experts compute: their load, or all the capacity that the ranks' tokens give them where it is padded to. */
function rowsOf(load: Float64Array, { model, router: { capacity } }: RunConfig, target: TargetConfig): Float64Array {
  if (capacity === undefined) return load;
  const ofRank = expertCapacity(target.tokensPerRank, model, capacity);
  return computedRows(load, target.expertParallel * ofRank, capacity.pad);
}
