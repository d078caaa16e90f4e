/** Routing profiles of the layers of a model that has just been trained. */
import { profileOfTokens, type RoutingProfile } from "../cluster/routing-profile.ts";
import type { RunConfig } from "../config/schema.ts";
import type { TokenSource } from "../data/source.ts";
import type { Engine } from "../engine/engine.ts";
import { type SimulationState, type Step, simulate } from "../simulate.ts";

export interface TrainedRouting {
  /** One for each MoE layer of the trained model, from the tokens of the last `target.window` steps. */
  readonly profiles: readonly RoutingProfile[];
  readonly last: Step;
  /** Chosen experts of the pooled tokens, a layer each. */
  readonly pools: SimulationState["pools"];
}

/** Empty slots as the pools keep them, in 16 bits. */
export const EMPTY_SLOT = 0xffff;

/**
 * Trains the model of a config and keeps what its routers did at the end. The config must have a target, which says
 * over how many steps tokens are pooled.
 */
export function trainRouting(title: string, config: RunConfig, engine: Engine, data: TokenSource): TrainedRouting {
  const simulation = simulate(config, { engine, data });
  let last: Step | undefined;
  for (const step of simulation) last = step;
  const { pools } = simulation.save();
  if (pools.length === 0 || last === undefined) throw new RangeError(`${title}: the run has no target or no experts`);
  const { experts } = config.model;
  const profiles = pools.map((pool) => profileOfTokens(title, pool.experts, pool.slots, experts, EMPTY_SLOT));
  return { profiles, last, pools };
}
