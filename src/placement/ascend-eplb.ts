/**
 * The default balancer of vllm-ascend: spare slots go to the hottest experts, their copies are dealt to the devices in
 * turn, then the experts themselves, heaviest first, each to the lightest device that has room and does not hold it.
 * Experts that stay on their device keep their slot. Source: vllm-project/vllm-ascend, policy_default_eplb.py,
 * DefaultEplb.rebalance_experts; of equal loads the higher index, or the one halved last, comes first (a stable sort,
 * read backwards).
 */
import type { Floats } from "../core/floats.ts";
import { NO_EXPERT } from "../routing/assignment.ts";
import { type Deployment, DeploymentError, slotCount } from "./deployment.ts";

interface Weighted {
  readonly expert: number;
  readonly weight: number;
}

interface Box {
  readonly slots: number;
  readonly experts: number[];
  weight: number;
}

export interface Rebalanced {
  readonly deployment: Deployment;
  /** Of the hottest device, if the loads stay as they are. */
  readonly hottest: number;
}

/** @param load [N] of the experts, all replicas together @throws DeploymentError where an expert finds no device */
export function ascendEplb(load: Floats, current: Deployment): Rebalanced {
  const { experts, held } = current;
  const spare = slotCount(current) - experts;
  if (spare < 0) throw new DeploymentError(`${slotCount(current)} slots cannot hold ${experts} experts`);
  const { copies, shares } = splitHottest(load, spare, held.length);
  const boxes: Box[] = held.map(({ length: slots }) => ({ slots, experts: [], weight: 0 }));
  const put = (box: Box, { expert, weight }: Weighted) => {
    box.experts.push(expert);
    box.weight += weight;
  };
  const weightOf = Float64Array.from(load);
  for (const { expert, weight } of shares) weightOf[expert] = weight;
  let next = 0;
  copies.forEach((count, expert) => {
    for (let copy = 0; copy < count; copy++) {
      put(boxes[next++ % boxes.length]!, { expert, weight: weightOf[expert]! });
    }
  });
  for (const share of hottestFirst(shares)) put(lightest(boxes, share.expert), share);
  return {
    deployment: { experts, held: boxes.map((box, device) => inOldSlots(box.experts, held[device]!)) },
    hottest: Math.max(...boxes.map(({ weight }) => weight)),
  };
}

/** A stable sort upwards, read backwards. */
const hottestFirst = (shares: readonly Weighted[]): Weighted[] =>
  [...shares].sort((a, b) => a.weight - b.weight).reverse();

/** One spare slot after the other to the expert whose replicas carry most; no expert has more than one a device. */
function splitHottest(load: Floats, spare: number, devices: number) {
  const copies = new Int32Array(load.length);
  let shares: Weighted[] = Array.from(load, (weight, expert) => ({ expert, weight }));
  for (let slot = 0; slot < spare; slot++) {
    shares = hottestFirst(shares);
    const hot = shares.findIndex(({ expert }) => copies[expert]! < devices - 1);
    if (hot === -1) throw new DeploymentError(`${spare} spare slots are more than the experts have use for`);
    const { expert, weight } = shares[hot]!;
    const replicas = copies[expert]! + 1;
    copies[expert] = replicas;
    shares[hot] = { expert, weight: (weight * replicas) / (replicas + 1) };
  }
  return { copies, shares };
}

function lightest(boxes: readonly Box[], expert: number): Box {
  const open = boxes.filter(({ slots, experts }) => experts.length < slots && !experts.includes(expert));
  if (open.length > 0) return open.reduce((best, box) => (box.weight < best.weight ? box : best));
  throw new DeploymentError(
    `no device with room is left that does not hold expert ${expert} already; give each device more slots, or balance by eplb`,
  );
}

/** Experts that stay keep their slots, the others fill the gaps in their order. */
function inOldSlots(held: readonly number[], before: Int32Array): Int32Array {
  const arriving = [...held];
  const stays = before.map((expert) => {
    const at = arriving.indexOf(expert);
    if (at !== -1) arriving.splice(at, 1);
    return at === -1 ? NO_EXPERT : expert;
  });
  return stays.map((expert) => (expert === NO_EXPERT ? arriving.shift()! : expert));
}

/** What to change first, and whether to change at all. */
export interface Advice {
  readonly layers: readonly Rebalanced[];
  /** Whether the hottest devices of all layers together would carry less than 0.95 of what they do. */
  readonly worthwhile: boolean;
  /** Layers by the ratio of after to before, the most improved first. */
  readonly priority: readonly number[];
}

/**
 * All layers at once.
 * @param slotLoad [layers][D][slots] measured tokens of each slot
 * @throws DeploymentError
 */
export function adviseRebalancing(
  current: readonly Deployment[],
  slotLoad: readonly (readonly Float64Array[])[],
): Advice {
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  const layers = current.map((deployment, layer) => ascendEplb(expertLoad(deployment, slotLoad[layer]!), deployment));
  const before = slotLoad.map((layer) => Math.max(...layer.map(sum)));
  const ratios = layers.map(({ hottest }, layer) => hottest / before[layer]!);
  return {
    layers,
    worthwhile: sum(layers.map(({ hottest }) => hottest)) < 0.95 * sum(before),
    priority: ratios.map((_, layer) => layer).sort((a, b) => ratios[a]! - ratios[b]! || a - b),
  };
}

function expertLoad({ experts, held }: Deployment, slotLoad: readonly Float64Array[]): Float64Array {
  const load = new Float64Array(experts);
  held.forEach((own, device) => {
    own.forEach((expert, slot) => {
      load[expert] = load[expert]! + slotLoad[device]![slot]!;
    });
  });
  return load;
}
