/** Families eplb_deepseek and eplb_vllm_ascend: which device holds which replica of which expert. */
import { loadMetrics } from "../../src/metrics/metrics.ts";
import { adviseRebalancing } from "../../src/placement/ascend-eplb.ts";
import { type Deployment, deployedLoad, replicaCounts } from "../../src/placement/deployment.ts";
import { type EplbDeployment, eplb, packBalanced, replicate } from "../../src/placement/eplb.ts";
import { type Adapter, type GoldenCase, matrixOf, numberOf, type Produced, rows } from "./golden-case.ts";

export const eplbDeepseek: Adapter = (golden) => {
  const { params, input } = golden;
  const weight = matrixOf(input, "weight");
  const layers = rows(weight.values, weight.sizes.at(-1)!).map((layer) => Float64Array.from(layer));
  if ("num_packs" in params) {
    const packed = layers.map((layer) => packBalanced(layer, numberOf(params, "num_packs")));
    return { fields: { pack_index: packed.map((p) => p.packOf), rank_in_pack: packed.map((p) => p.rankOf) } };
  }
  if ("num_phy" in params) {
    const made = layers.map((layer) => replicate(layer, numberOf(params, "num_phy")));
    return {
      fields: {
        phy2log: made.map((m) => m.expertOf),
        rank: made.map((m) => m.replicaOf),
        logcnt: made.map((m) => m.counts),
      },
    };
  }
  return { fields: rebalanced(golden, layers) };
};

function rebalanced({ params }: GoldenCase, layers: readonly Float64Array[]): Record<string, Produced> {
  const shape = {
    devices: numberOf(params, "num_gpus"),
    totalSlots: numberOf(params, "num_replicas"),
    groups: numberOf(params, "num_groups"),
    nodes: numberOf(params, "num_nodes"),
  };
  const deployments = layers.map((load) => eplb(load, shape));
  const loads = deployments.map((deployment, layer) => deployedLoad(layers[layer]!, deployment));
  const ofLoadAlone = { tokens: Number.NaN, topK: Number.NaN };
  return {
    physical_to_logical_map: deployments.map(({ held }) => held.flatMap((own) => [...own])),
    logical_to_physical_map: slotsOfExperts(deployments),
    expert_count: deployments.map(replicaCounts),
    gpu_load: loads,
    max_over_mean_gpu_load: loads.map((load) => loadMetrics["max-over-mean"].of(load, ofLoadAlone)),
    unstable_sort_run: isAboutTheReference,
    float64_stable_run_identical: isAboutTheReference,
  };
}

/** Equal loads are sorted stably here, as in the expected numbers; these fields compare two runs of the reference. */
const isAboutTheReference = () => undefined;

/** [layers][N][most replicas of any expert in any layer] slots in the order of the replicas, -1 where there is none. */
function slotsOfExperts(deployments: readonly EplbDeployment[]): number[][][] {
  const most = Math.max(...deployments.flatMap((deployment) => Array.from(replicaCounts(deployment))));
  return deployments.map(({ experts, held, replicas }) => {
    const slotsOf = Array.from({ length: experts }, () => new Array<number>(most).fill(-1));
    let slot = 0;
    held.forEach((own, device) => {
      own.forEach((expert, i) => {
        slotsOf[expert]![replicas[device]![i]!] = slot++;
      });
    });
    return slotsOf;
  });
}

export const eplbVllmAscend: Adapter = ({ input }) => {
  const table = matrixOf(input, "current_expert_table");
  const workload = matrixOf(input, "expert_workload");
  const [layers, devices, slots] = table.sizes as [number, number, number];
  const experts = new Set(table.values).size;
  const byDevice = (values: Float64Array, layer: number) =>
    Array.from({ length: devices }, (_, device) =>
      values.subarray((layer * devices + device) * slots, (layer * devices + device + 1) * slots),
    );
  const current = Array.from(
    { length: layers },
    (_, layer): Deployment => ({
      experts,
      held: byDevice(table.values, layer).map((own) => Int32Array.from(own)),
    }),
  );
  const advice = adviseRebalancing(
    current,
    current.map((_, layer) => byDevice(workload.values, layer)),
  );
  return {
    fields: {
      change: advice.worthwhile ? 1 : 0,
      per_layer_priority: advice.priority,
      new_deployment: advice.layers.map(({ deployment }) => deployment.held),
    },
  };
};
