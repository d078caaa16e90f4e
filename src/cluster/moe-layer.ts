/**
 * Seconds of one MoE layer in a training step, from who sends how many tokens to which expert.
 *
 * SIMULATED figures. Routed experts alone, forward and backward: dispatch → gate and up projection → SwiGLU → down
 * projection → combine. Left out: router, permutation, gate weights, shared experts, attention, recomputation, and
 * any overlap of communication with compute.
 */
import { allToAllSeconds, squareSide } from "./all-to-all.ts";
import type { Device } from "./device.ts";
import { ExpertKernels } from "./expert-kernels.ts";
import type { Topology } from "./topology.ts";

export interface Cluster {
  readonly device: Device;
  readonly topology: Topology;
}

export interface MoeLayerShape {
  /** H */
  readonly hiddenSize: number;
  /** F */
  readonly expertHiddenSize: number;
  /** Of activations, weights and gradients alike. */
  readonly bytesPerValue: number;
}

export interface LayerTraffic {
  /** [N] assignments per expert, from all ranks */
  readonly expertLoad: ArrayLike<number>;
  /** [N] */
  readonly deviceOf: Int32Array;
  /** [D, D] token vectors of H values that the row sends to the column at dispatch; combine sends as many back */
  readonly vectors: Float64Array;
}

/** SIMULATED, forward and backward together. meanCompute + wait + communication = step, exactly and in that order. */
export interface LayerTime {
  /** [D] expert kernels of each device */
  readonly computeSeconds: readonly number[];
  readonly meanComputeSeconds: number;
  readonly hottestComputeSeconds: number;
  /** How much longer the hottest device computes than the mean one; the others wait for it. */
  readonly waitSeconds: number;
  /** Tokens to experts, and in the backward pass their gradients back. */
  readonly dispatchSeconds: number;
  /** Results back to tokens, and in the backward pass their gradients to the experts. */
  readonly combineSeconds: number;
  readonly communicationSeconds: number;
  readonly stepSeconds: number;
  /** All bytes that leave a device, over all devices. */
  readonly sentBytes: number;
}

/**
 * Prices a training step of one MoE layer. SIMULATED.
 * @throws RangeError if the traffic is not square, exceeds the topology, or an expert lies on no device
 */
export function priceMoeLayer(shape: MoeLayerShape, traffic: LayerTraffic, cluster: Cluster): LayerTime {
  const devices = squareSide(traffic.vectors);
  const kernels = new ExpertKernels({
    ...shape,
    device: cluster.device,
    gated: true,
    format: "bf16",
    gradientTraffic: shape.bytesPerValue,
  });
  const computeSeconds = loadsByDevice(traffic, devices).map((own) => expertSeconds(kernels, own));
  const hottestComputeSeconds = Math.max(...computeSeconds);
  const meanComputeSeconds = computeSeconds.reduce((sum, each) => sum + each, 0) / devices;
  // The mean of equal times may round to a hair above them.
  const waitSeconds = Math.max(0, hottestComputeSeconds - meanComputeSeconds);
  const bytes = traffic.vectors.map((vectors) => vectors * shape.hiddenSize * shape.bytesPerValue);
  const out = allToAllSeconds(bytes, cluster.topology);
  const back = allToAllSeconds(transposed(bytes, devices), cluster.topology);
  const dispatchSeconds = out + back;
  const combineSeconds = back + out;
  const communicationSeconds = dispatchSeconds + combineSeconds;
  return {
    computeSeconds,
    meanComputeSeconds,
    hottestComputeSeconds,
    waitSeconds,
    dispatchSeconds,
    combineSeconds,
    communicationSeconds,
    stepSeconds: meanComputeSeconds + waitSeconds + communicationSeconds,
    sentBytes: 4 * offDiagonalSum(bytes, devices),
  };
}

/**
 * Seconds of all expert kernels of one device, forward and backward; 0 without assignments.
 * A product with a weight takes two in the backward pass: for its input and for the weight.
 * @param own assignments of each of its experts
 */
function expertSeconds(kernels: ExpertKernels, own: readonly number[]): number {
  const sorted = new Float64Array(own.length);
  const loads = kernels.sort(own, 0, sorted);
  if (loads.rows === 0) return 0;
  const forward = kernels.intoExperts(loads) + kernels.activation(loads) + kernels.outOfExperts(loads);
  const throughDown = kernels.outOfExpertsBackward(loads) + kernels.outOfExpertsWeights(loads, sorted);
  const throughUp = kernels.intoExpertsBackward(loads) + kernels.intoExpertsWeights(loads, sorted);
  return forward + throughDown + kernels.activationBackward(loads) + throughUp;
}

/** @returns [D] the assignments of each expert that lies there */
function loadsByDevice({ expertLoad, deviceOf }: LayerTraffic, devices: number): number[][] {
  const loads: number[][] = Array.from({ length: devices }, () => []);
  for (let expert = 0; expert < expertLoad.length; expert++) {
    const device = loads[deviceOf[expert]!];
    if (device === undefined) {
      throw new RangeError(`expert ${expert}: placed on device ${deviceOf[expert]}, but there are ${devices}`);
    }
    device.push(expertLoad[expert]!);
  }
  return loads;
}

function transposed(matrix: Float64Array, side: number): Float64Array {
  return matrix.map((_, i) => matrix[(i % side) * side + Math.floor(i / side)]!);
}

function offDiagonalSum(matrix: Float64Array, side: number): number {
  return matrix.reduce((sum, value, i) => (i % (side + 1) === 0 ? sum : sum + value), 0);
}
