/** Synthetic routing of a cost config: skew drawn by seed, or none where that is asked for. */
import type { Job, Routing } from "../cluster/job.ts";
import { microBatchesOf } from "../cluster/layout.ts";
import { profileOfModel } from "../cluster/limited-profile.ts";
import { type SkewName, skewedWeights, skewPeriod, skews } from "../cluster/routing-profile.ts";
import { noRouting } from "../cluster/routings.ts";
import { randomStream } from "../core/random.ts";
import type { CostConfig } from "./cost-schema.ts";

/** Micro-batches of a step that a synthetic routing makes different. */
export const distinctMicroBatches = ({ routing }: CostConfig, { layout, batch }: Job): number =>
  Math.min(skewPeriod({ ...routing, kind: routing.kind as SkewName }, layout.expert), microBatchesOf(batch, layout));

/** Synthetic routing, the same for the same seed. */
export function syntheticRouting(config: CostConfig, job: Job): Routing {
  const { routing, seed } = config;
  const { model, layout } = job;
  const { experts, layers, denseLayers } = model;
  if (experts === 0) return noRouting;
  const skew = { ...routing, kind: routing.kind as SkewName };
  const moeLayers = layers - denseLayers;
  const microBatches = distinctMicroBatches(config, job);
  const title = `${skew.kind} routing, SYNTHETIC`;
  const uniform = skew.kind === "uniform" ? profileOfModel(title, new Float64Array(experts).fill(1), model) : undefined;
  const profiles = Array.from({ length: microBatches * moeLayers }, (_, i) => {
    if (uniform !== undefined) return uniform;
    const [layer, microBatch] = [i % moeLayers, Math.floor(i / moeLayers)];
    const weights = skewedWeights(skew, randomStream(seed, "skew", layer), experts, layout.expert, layer, microBatch);
    return profileOfModel(title, weights, model);
  });
  return {
    title,
    blocks: 1,
    microBatches,
    profile: (layer, _, microBatch) => profiles[microBatch * moeLayers + layer]!,
  };
}

export const isSynthetic = (kind: string | undefined): kind is SkewName | undefined =>
  kind === undefined || Object.hasOwn(skews, kind);
