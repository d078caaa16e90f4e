/** Draws batches of tokens from a router without preference and measures how unequal the devices' loads are. */
import type { Random } from "../core/random.ts";
import { loadMetrics } from "../metrics/metrics.ts";
import { placements } from "../placement/placements.ts";
import { type Choice, emptyAssignment } from "../routing/assignment.ts";
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
  const layouts = deviceCounts.map((devices) => ({
    devices,
    imbalanceScores: new Float64Array(trials),
    maxOverMean: 0,
    fanOut: 0,
    counter: new DeviceCounter(placements.contiguous.place(experts, devices), devices),
  }));
  for (let trial = 0; trial < trials; trial++) {
    draw(random, shape, assignment);
    for (const layout of layouts) {
      const { load } = layout.counter;
      layout.fanOut += layout.counter.count(assignment) / tokens / trials;
      layout.imbalanceScores[trial] = loadMetrics["imbalance-score"].of(load, { tokens, topK });
      layout.maxOverMean += loadMetrics["max-over-mean"].of(load, { tokens, topK }) / trials;
    }
  }
  for (const { imbalanceScores } of layouts) imbalanceScores.sort();
  return layouts.map(({ counter: _, ...sample }) => sample);
}

/**
 * Loads and fan-out of one small batch after another, in one walk and without memory of its own for each: what
 * `deviceLoad` and the metric fan-out give, a hundred thousand times.
 */
class DeviceCounter {
  /** [D] of the last batch */
  readonly load: Float64Array;
  private readonly deviceOf: Int32Array;
  /** [D] the last token seen there, over all batches */
  private readonly lastToken: Int32Array;
  private token = 0;

  constructor(deviceOf: Int32Array, devices: number) {
    this.deviceOf = deviceOf;
    this.load = new Float64Array(devices);
    this.lastToken = new Int32Array(devices);
  }

  /** @returns devices that the tokens visit, each counted once a token */
  count({ experts, slots }: Choice): number {
    const { load, deviceOf, lastToken } = this;
    load.fill(0);
    let visits = 0;
    for (let at = 0; at < experts.length; ) {
      this.token = (this.token + 1) | 0;
      for (const end = at + slots; at < end; at++) {
        const device = deviceOf[experts[at]!]!;
        load[device] = load[device]! + 1;
        if (lastToken[device] === this.token) continue;
        lastToken[device] = this.token;
        visits++;
      }
    }
    return visits;
  }
}
