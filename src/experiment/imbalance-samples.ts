/** Draws batches of tokens from a router without preference and measures how unequal the devices' loads are. */
import type { Random } from "../core/random.ts";
import { assignmentMetrics } from "../metrics/assignment-metrics.ts";
import { loadMetrics } from "../metrics/metrics.ts";
import { deviceLoad } from "../placement/device-load.ts";
import { placements } from "../placement/placements.ts";
import { countLoad, emptyAssignment } from "../routing/assignment.ts";
import type { RouterShape } from "../routing/router.ts";
import type { UniformChoice } from "./uniform-choices.ts";

/** Many batches on one number of devices. */
export interface ImbalanceSample {
  readonly devices: number;
  /** [trials] imbalance score of each batch, ascending */
  readonly imbalanceScores: Float64Array;
  /** Means over the batches. */
  readonly maxOverMean: number;
  readonly fanOut: number;
}

/**
 * Draws `trials` batches and places the experts of each on every number of devices asked for: routing does not
 * depend on the layout, so all of them see the same draws.
 */
export function sampleImbalance(
  { draw }: UniformChoice,
  random: Random,
  shape: RouterShape,
  tokens: number,
  trials: number,
  deviceCounts: readonly number[],
): ImbalanceSample[] {
  const { experts, topK } = shape;
  const assignment = emptyAssignment(tokens, topK);
  const expertLoad = new Int32Array(experts);
  const layouts = deviceCounts.map((devices) => ({
    devices,
    deviceOf: placements.contiguous.place(experts, devices),
    imbalanceScores: new Float64Array(trials),
    maxOverMean: 0,
    fanOut: 0,
  }));
  for (let trial = 0; trial < trials; trial++) {
    draw(random, shape, assignment);
    expertLoad.fill(0);
    countLoad(assignment, expertLoad);
    for (const layout of layouts) {
      const load = deviceLoad(expertLoad, layout.deviceOf, layout.devices);
      layout.imbalanceScores[trial] = loadMetrics["imbalance-score"].of(load, { tokens, topK });
      layout.maxOverMean += loadMetrics["max-over-mean"].of(load, { tokens, topK }) / trials;
      layout.fanOut += assignmentMetrics["fan-out"].of(assignment, layout) / trials;
    }
  }
  for (const { imbalanceScores } of layouts) imbalanceScores.sort();
  return layouts;
}
