/** How even a deployment makes a load, and what it costs in fan-out and in weights to move. */
import { arrivals, type Deployment, deployedLoad, slotAssignment } from "../placement/deployment.ts";
import { rebalancers } from "../placement/rebalancers.ts";
import type { Assignment } from "../routing/assignment.ts";
import { assignmentMetrics } from "./assignment-metrics.ts";
import { loadMetrics } from "./metrics.ts";

export interface MeasuredDeployment {
  readonly deployment: Deployment;
  /** [D] assignments */
  readonly load: Float64Array;
  readonly maxOverMean: number;
  /** Devices a token; undefined where the tokens' choices are not known. */
  readonly fanOut: number | undefined;
  /** Experts on a device that the contiguous placement does not have there; undefined if N/D is no whole number. */
  readonly arrivals: number | undefined;
}

/** @param load [N] @throws DeploymentError where an expert has load and no device */
export function measureDeployment(
  deployment: Deployment,
  load: Float64Array,
  assignment: Assignment | undefined,
): MeasuredDeployment {
  const devices = deployment.held.length;
  const slots = load.length / devices;
  const contiguous = Number.isInteger(slots)
    ? rebalancers.contiguous.rebalance(load, { devices, slots, groups: 1, nodes: 1 })
    : undefined;
  const onDevices = deployedLoad(load, deployment);
  const onSlots = assignment && slotAssignment(assignment, deployment);
  return {
    deployment,
    load: onDevices,
    maxOverMean: loadMetrics["max-over-mean"].of(onDevices, { tokens: Number.NaN, topK: Number.NaN }),
    fanOut: onSlots && assignmentMetrics["fan-out"].of(onSlots.assignment, onSlots),
    arrivals: contiguous && arrivals(contiguous, deployment),
  };
}
