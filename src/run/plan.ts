/** What a run is about to do, before it does it. */
import type { Variant } from "../config/resolve.ts";
import { forwardFlopsPerToken } from "../engine/flops.ts";
import { parameterCount, parameterLayout } from "../engine/parameters.ts";

export interface VariantPlan {
  readonly name: string;
  /** In a few words: the router and the balancing rules, or the dense feed-forward. */
  readonly rule: string;
  readonly parameters: number;
  /** Tokens trained on. */
  readonly tokens: number;
  /** Floating-point operations of training. */
  readonly flops: number;
}

/** Sustained on the small matrices of small experts; only for an estimate of the time. */
const ASSUMED_FLOPS_PER_SECOND = { wasm: 5e10, tfjs: 1.5e9 };

export function planVariant({ name, config }: Variant): VariantPlan {
  const { model, training, router, balance } = config;
  const tokens = training.steps * training.microBatches * training.ranks * training.sequences * model.context;
  const rules = balance.map(({ rule }) => rule).join(" + ") || "no balancing";
  return {
    name,
    rule: model.feedForward === "dense" ? "dense feed-forward" : `${router.selection} with ${rules}`,
    parameters: parameterCount(parameterLayout(config)),
    tokens,
    flops: 3 * tokens * forwardFlopsPerToken(config),
  };
}

/** A rough guess; the progress bar knows better once it runs. */
export function estimatedSeconds(variants: readonly Variant[]): number {
  return variants
    .map((variant) => planVariant(variant).flops / ASSUMED_FLOPS_PER_SECOND[variant.config.engine.kind])
    .reduce((sum, seconds) => sum + seconds, 0);
}

/** Optimizer steps of all variants. */
export function trainingSteps(variants: readonly Variant[]): number {
  return variants.reduce((sum, { config }) => sum + config.training.steps, 0);
}
