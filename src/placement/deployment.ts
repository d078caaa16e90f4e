/**
 * Experts with replicas: which experts each device holds. A placement (placements.ts) is fixed before training and
 * gives every expert one device; a deployment is made of measured loads, one for each layer, and may hold a hot expert
 * on several devices, which share its tokens.
 */

import { type Assignment, NO_EXPERT } from "../routing/assignment.ts";

export interface Deployment {
  /** N */
  readonly experts: number;
  /** [D][slots of the device] the expert in each slot; devices may differ in slots */
  readonly held: readonly Int32Array[];
}

/** A deployment that cannot be, in one sentence without a full stop. */
export class DeploymentError extends Error {}

/** @returns [N] how many slots hold each expert */
export function replicaCounts({ experts, held }: Deployment): Int32Array {
  const counts = new Int32Array(experts);
  for (const own of held) for (const expert of own) counts[expert] = counts[expert]! + 1;
  return counts;
}

export const slotCount = ({ held }: Deployment): number => held.reduce((sum, own) => sum + own.length, 0);

/**
 * Load of the devices when the replicas of an expert share its tokens equally.
 * @param load [N] assignments per expert
 * @returns [D]
 * @throws DeploymentError where an expert has load and no slot
 */
export function deployedLoad(load: ArrayLike<number>, deployment: Deployment): Float64Array {
  const counts = replicaCounts(deployment);
  const homeless = counts.findIndex((count, expert) => count === 0 && load[expert]! > 0);
  if (homeless !== -1) throw new DeploymentError(`expert ${homeless} has tokens, but no device holds it`);
  return Float64Array.from(deployment.held, (own) =>
    own.reduce((sum, expert) => sum + load[expert]! / counts[expert]!, 0),
  );
}

/** The choices of tokens among slots instead of experts, and where the slots are. */
export interface SlotAssignment {
  readonly assignment: Assignment;
  /** [slots] device by device */
  readonly deviceOf: Int32Array;
}

/** Token t goes to replica t mod R of each of its experts. @throws DeploymentError as `deployedLoad` */
export function slotAssignment(assignment: Assignment, deployment: Deployment): SlotAssignment {
  const slotsOf = Array.from({ length: deployment.experts }, (): number[] => []);
  const deviceOf: number[] = [];
  deployment.held.forEach((own, device) => {
    for (const expert of own) slotsOf[expert]!.push(deviceOf.push(device) - 1);
  });
  const slots = assignment.experts.map((expert, j) => {
    if (expert === NO_EXPERT) return NO_EXPERT;
    const replicas = slotsOf[expert]!;
    if (replicas.length === 0) throw new DeploymentError(`expert ${expert} has tokens, but no device holds it`);
    return replicas[Math.floor(j / assignment.slots) % replicas.length]!;
  });
  return { assignment: { ...assignment, experts: slots }, deviceOf: Int32Array.from(deviceOf) };
}

/** Experts that come to a device which did not hold them: the weights that a change of deployment sends. */
export function arrivals(before: Deployment, after: Deployment): number {
  return after.held.reduce((sum, own, device) => {
    const had = new Set(before.held[device]);
    return sum + [...new Set(own)].filter((expert) => !had.has(expert)).length;
  }, 0);
}
