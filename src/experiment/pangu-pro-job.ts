/** Pangu Pro MoE 72B on Ascend 910B2 in plain layouts: what the experiments of the cluster model price. */
import { architectures } from "../cluster/architectures.ts";
import { devices } from "../cluster/devices.ts";
import type { Job } from "../cluster/job.ts";
import { topologies } from "../cluster/topologies.ts";

/**
 * Weak scaling: 32 micro-batches of one sequence of 4096 tokens a data-parallel replica, whatever the number of
 * devices. Below 64 devices there is no pipeline, from there on one of 8 stages; recomputation is full, so that
 * memory is no reason for another layout.
 */
export function panguProJob(world: number, expert: number): Job {
  const pipeline = world >= 64 ? 8 : 1;
  const data = world / pipeline;
  return {
    model: architectures["pangu-pro-moe-72b"],
    device: devices["ascend-910b2"],
    topology: topologies["a2-8xhccs-roce"],
    layout: {
      tensor: 1,
      pipeline,
      virtual: 1,
      data,
      context: 1,
      expert,
      expertTensor: 1,
      sequenceParallel: true,
      schedule: "1f1b",
      paddingLayers: 0,
      order: ["tensor", "context", "data", "pipeline"],
      distributedOptimizer: true,
    },
    batch: { sequence: 4096, microBatch: 1, globalBatch: 32 * data },
    recompute: "full",
    recomputeLayers: Number.POSITIVE_INFINITY,
    dispatch: "all-to-all",
    deduplicate: false,
    overlap: { tensor: 0, expert: 0, data: 0, slowdown: 0.25 },
    products: "bf16",
    bytesPerValue: 2,
    bytesPerDispatched: 2,
    bytesPerKept: 2,
    bytesPerGradient: 4,
    bytesPerState: 12,
    speeds: new Map(),
  };
}
