/**
 * DeepSeek's Expert Parallelism Load Balancer: groups of experts are packed onto nodes, the hottest experts of a node
 * get its spare slots, and a node's slots are packed onto its devices. Source: deepseek-ai/EPLB, eplb.py; equal loads
 * go to the lower index throughout.
 */
import type { Floats } from "../core/floats.ts";
import { type Deployment, DeploymentError } from "./deployment.ts";

export interface EplbShape {
  /** D */
  readonly devices: number;
  /** D·S, slots of all devices */
  readonly totalSlots: number;
  /** Groups of experts that stay together on a node; 1 where routing knows no groups. */
  readonly groups: number;
  /** Where they do not divide the groups, groups and nodes are ignored. */
  readonly nodes: number;
}

export interface EplbDeployment extends Deployment {
  /** [D][S] which of its expert's replicas each slot holds, from 0 */
  readonly replicas: readonly Int32Array[];
}

/** Items in packs of equal size. */
export interface Packing {
  /** [items] */
  readonly packOf: Int32Array;
  /** [items] place within the pack, from 0 */
  readonly rankOf: Int32Array;
}

/** Heaviest first, each into the lightest pack with room. With as many packs as items they stay as they are. */
export function packBalanced(weights: ArrayLike<number>, packs: number): Packing {
  const size = weights.length / packs;
  const packOf = new Int32Array(weights.length);
  const rankOf = new Int32Array(weights.length);
  if (size === 1) return { packOf: packOf.map((_, item) => item), rankOf };
  const packWeight = new Float64Array(packs);
  const packItems = new Int32Array(packs);
  for (const item of heaviestFirst(weights)) {
    let lightest = -1;
    for (let pack = 0; pack < packs; pack++) {
      if (packItems[pack]! < size && (lightest === -1 || packWeight[pack]! < packWeight[lightest]!)) lightest = pack;
    }
    packOf[item] = lightest;
    rankOf[item] = packItems[lightest]!;
    packItems[lightest] = packItems[lightest]! + 1;
    packWeight[lightest] = packWeight[lightest]! + weights[item]!;
  }
  return { packOf, rankOf };
}

const heaviestFirst = (weights: ArrayLike<number>): number[] =>
  Array.from({ length: weights.length }, (_, item) => item).sort((a, b) => weights[b]! - weights[a]! || a - b);

/** Experts and their replicas, in the order in which they were made. */
export interface Replication {
  /** [slots] the expert of each replica; every expert first comes once */
  readonly expertOf: Int32Array;
  /** [slots] which of its expert's replicas it is, from 0 */
  readonly replicaOf: Int32Array;
  /** [experts] */
  readonly counts: Int32Array;
}

/** Each spare slot goes to the expert whose replicas carry most, ⟨load / replicas⟩. @param slots ≥ experts */
export function replicate(load: ArrayLike<number>, slots: number): Replication {
  const experts = load.length;
  const expertOf = Int32Array.from({ length: slots }, (_, slot) => slot);
  const replicaOf = new Int32Array(slots);
  const counts = new Int32Array(experts).fill(1);
  for (let slot = experts; slot < slots; slot++) {
    let hottest = 0;
    for (let expert = 1; expert < experts; expert++) {
      if (load[expert]! / counts[expert]! > load[hottest]! / counts[hottest]!) hottest = expert;
    }
    expertOf[slot] = hottest;
    replicaOf[slot] = counts[hottest]!;
    counts[hottest] = counts[hottest]! + 1;
  }
  return { expertOf, replicaOf, counts };
}

/** @param load [N] @throws DeploymentError where slots, groups, nodes and devices do not divide */
export function eplb(load: Floats, { devices, totalSlots, groups, nodes }: EplbShape): EplbDeployment {
  if (groups % nodes !== 0) return eplb(load, { devices, totalSlots, groups: 1, nodes: 1 });
  const experts = load.length;
  requireDivides(groups, experts, "groups", "experts");
  requireDivides(nodes, devices, "nodes", "devices");
  requireDivides(devices, totalSlots, "devices", "slots");
  if (totalSlots < experts) {
    throw new DeploymentError(`${totalSlots} slots cannot hold ${experts} experts; give each device more`);
  }
  const slots = totalSlots / devices;
  const held = Array.from({ length: devices }, () => new Int32Array(slots));
  const replicas = held.map(() => new Int32Array(slots));
  const expertAt = expertsByNode(load, groups, nodes);
  for (let node = 0; node < nodes; node++) {
    const own = expertAt.subarray((node * experts) / nodes, ((node + 1) * experts) / nodes);
    const ownLoad = Float64Array.from(own, (expert) => load[expert]!);
    const made = replicate(ownLoad, totalSlots / nodes);
    const shares = Float64Array.from(made.expertOf, (at) => ownLoad[at]! / made.counts[at]!);
    const { packOf, rankOf } = packBalanced(shares, devices / nodes);
    made.expertOf.forEach((at, replica) => {
      const device = (node * devices) / nodes + packOf[replica]!;
      held[device]![rankOf[replica]!] = own[at]!;
      replicas[device]![rankOf[replica]!] = made.replicaOf[replica]!;
    });
  }
  return { experts, held, replicas };
}

/** @returns [N] the experts, those of each node's groups together */
function expertsByNode(load: Floats, groups: number, nodes: number): Int32Array {
  const size = load.length / groups;
  const groupLoad = new Float64Array(groups);
  load.forEach((tokens, expert) => {
    const group = Math.floor(expert / size);
    groupLoad[group] = groupLoad[group]! + tokens;
  });
  const { packOf, rankOf } = packBalanced(groupLoad, nodes);
  const expertAt = new Int32Array(load.length);
  for (let expert = 0; expert < load.length; expert++) {
    const group = Math.floor(expert / size);
    expertAt[(packOf[group]! * (groups / nodes) + rankOf[group]!) * size + (expert % size)] = expert;
  }
  return expertAt;
}

function requireDivides(divisor: number, number: number, divisors: string, numbers: string): void {
  if (number % divisor === 0) return;
  throw new DeploymentError(`${divisor} ${divisors} do not divide ${number} ${numbers}; choose numbers that do`);
}
