/**
 * What trained routers do with text of one domain at a time: the load of each expert, the balance of the devices, which
 * experts are chosen together. Nothing is learned: the engine takes steps of learning rate 0 and is put back after each.
 */
import type { RunConfig } from "../config/schema.ts";
import { mean } from "../core/statistics.ts";
import type { TokenSource } from "../data/source.ts";
import type { Engine, RoutedLayer } from "../engine/engine.ts";
import { assignmentMetrics } from "../metrics/assignment-metrics.ts";
import { pairCounts } from "../metrics/co-activation.ts";
import { loadMetrics } from "../metrics/metrics.ts";
import { deviceLoad } from "../placement/device-load.ts";
import { placements } from "../placement/placements.ts";
import { countLoad } from "../routing/assignment.ts";

/** One MoE layer under the text of one domain. Metrics are means over the batches. */
export interface ProbedDomain {
  readonly layer: number;
  readonly domain: string;
  readonly tokens: number;
  /** [N] assignments of all batches */
  readonly expertLoad: readonly number[];
  readonly imbalanceScore: number;
  readonly deviceMaxOverMean: number;
  readonly expertMaxOverMean: number;
  readonly fanOut: number;
}

export interface ProbedLayer {
  readonly layer: number;
  /** [N · N] tokens of all domains that chose both experts; the diagonal is how many chose the one */
  readonly together: Float64Array;
  /** [N] device of each expert */
  readonly deviceOf: readonly number[];
}

export interface Probe {
  readonly domains: readonly (ProbedDomain & { readonly lossNatsPerByte: number })[];
  readonly layers: readonly ProbedLayer[];
}

/** @param data held-out sequences of each of its domains are looked at */
export function probe(config: RunConfig, engine: Engine, data: TokenSource): Probe {
  const { model, training, cluster } = config;
  const batches = config.probe?.batches ?? 1;
  const sequences = training.microBatches * training.ranks * training.sequences;
  const deviceOf = placements[cluster.placement].place(model.experts, cluster.devices);
  const state = engine.save();
  const layers = new Map<number, ProbedLayer>();
  const domains = data.domains.flatMap((domain, index) => {
    const tokens = data.validation(index, sequences * batches);
    const size = tokens.length / batches;
    const losses: number[] = [];
    const seen = new Map<number, LayerTally>();
    for (let batch = 0; batch < batches; batch++) {
      engine.load(state); // a bias rule has moved the bias
      const result = engine.train({ tokens: tokens.subarray(batch * size, (batch + 1) * size) }, 0);
      losses.push(result.lossNatsPerByte);
      for (const routed of result.layers) {
        const tally = seen.get(routed.layer) ?? emptyTally(model.experts);
        seen.set(routed.layer, tally);
        add(tally, routed, deviceOf, config);
        const layer = layers.get(routed.layer) ?? {
          layer: routed.layer,
          together: new Float64Array(model.experts * model.experts),
          deviceOf: Array.from(deviceOf),
        };
        layers.set(routed.layer, layer);
        pairCounts(routed.assignment, model.experts).forEach((count, pair) => {
          layer.together[pair]! += count;
        });
      }
    }
    const lossNatsPerByte = mean(losses);
    return [...seen].map(([layer, tally]) => ({ layer, domain, ...finished(tally), lossNatsPerByte }));
  });
  engine.load(state);
  return { domains, layers: [...layers.values()] };
}

interface LayerTally {
  tokens: number;
  readonly expertLoad: Int32Array;
  readonly imbalanceScore: number[];
  readonly deviceMaxOverMean: number[];
  readonly expertMaxOverMean: number[];
  readonly fanOut: number[];
}

const emptyTally = (experts: number): LayerTally => ({
  tokens: 0,
  expertLoad: new Int32Array(experts),
  imbalanceScore: [],
  deviceMaxOverMean: [],
  expertMaxOverMean: [],
  fanOut: [],
});

function add(
  tally: LayerTally,
  { assignment }: RoutedLayer,
  deviceOf: Int32Array,
  { model, cluster }: RunConfig,
): void {
  const load = new Int32Array(model.experts);
  countLoad(assignment, load);
  for (let expert = 0; expert < load.length; expert++) tally.expertLoad[expert]! += load[expert]!;
  const context = { tokens: assignment.tokens, topK: model.topK };
  const devices = deviceLoad(load, deviceOf, cluster.devices);
  tally.tokens += assignment.tokens;
  tally.imbalanceScore.push(loadMetrics["imbalance-score"].of(devices, context));
  tally.deviceMaxOverMean.push(loadMetrics["max-over-mean"].of(devices, context));
  tally.expertMaxOverMean.push(loadMetrics["max-over-mean"].of(load, context));
  tally.fanOut.push(assignmentMetrics["fan-out"].of(assignment, { deviceOf }));
}

const finished = ({ tokens, expertLoad, ...metrics }: LayerTally) => ({
  tokens,
  expertLoad: Array.from(expertLoad),
  imbalanceScore: mean(metrics.imbalanceScore),
  deviceMaxOverMean: mean(metrics.deviceMaxOverMean),
  expertMaxOverMean: mean(metrics.expertMaxOverMean),
  fanOut: mean(metrics.fanOut),
});
