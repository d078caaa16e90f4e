/** The table of rebalancers: from the measured load of the experts to which devices hold them. A new one is one entry. */
import type { Floats } from "../core/floats.ts";
import { ascendEplb } from "./ascend-eplb.ts";
import { type Deployment, DeploymentError } from "./deployment.ts";
import { eplb } from "./eplb.ts";
import { placements } from "./placements.ts";

export interface RebalanceShape {
  /** D */
  readonly devices: number;
  /** S, experts that a device has room for; D·S − N slots are spare. */
  readonly slots: number;
  /** Groups of experts that routing keeps together; 1: none. */
  readonly groups: number;
  /** Nodes that the devices are spread over. */
  readonly nodes: number;
}

export interface Rebalancer {
  readonly title: string;
  readonly source: string;
  /** @param load [N] assignments per expert @throws DeploymentError where the shape does not suit it */
  rebalance(load: Floats, shape: RebalanceShape): Deployment;
}

const contiguous: Rebalancer = {
  title: "expert i on device ⌊i·D/N⌋, whatever its load; no replicas",
  source: "the usual expert parallelism",
  rebalance: ({ length: experts }, { devices }) => {
    if (experts % devices !== 0) {
      throw new DeploymentError(`${devices} devices do not divide ${experts} experts; choose a divisor`);
    }
    const deviceOf = placements.contiguous.place(experts, devices);
    const held = Array.from({ length: devices }, (_, device) =>
      Int32Array.from(deviceOf.keys()).filter((expert) => deviceOf[expert] === device),
    );
    return { experts, held };
  },
};

const deepseek: Rebalancer = {
  title: "groups to nodes, spare slots to the hottest experts of a node, slots to its devices",
  source: "deepseek-ai/EPLB, eplb.py; DeepSeek-V3 (arXiv:2412.19437), section 3.4",
  rebalance: (load, { devices, slots, groups, nodes }) =>
    eplb(load, { devices, totalSlots: devices * slots, groups, nodes }),
};

const ascend: Rebalancer = {
  title: "spare slots to the hottest experts, experts to the lightest device; who can stay keeps the slot",
  source: "vllm-ascend, policy_default_eplb.py, DefaultEplb",
  rebalance: (load, shape) => ascendEplb(load, trivialDeployment(load.length, shape)).deployment,
};

/** What inference engines start with: experts in order, the spare slots beginning anew. Source: vLLM, SGLang. */
function trivialDeployment(experts: number, { devices, slots }: RebalanceShape): Deployment {
  const held = Array.from({ length: devices }, (_, device) =>
    Int32Array.from({ length: slots }, (_, slot) => (device * slots + slot) % experts),
  );
  return { experts, held };
}

export const rebalancers = { contiguous, eplb: deepseek, ascend } satisfies Record<string, Rebalancer>;
