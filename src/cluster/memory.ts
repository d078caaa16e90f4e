/**
 * Bytes on the device of each pipeline stage that holds the most loaded experts: parameters, gradients, optimizer
 * states, activations, exchange buffers and logits. SIMULATED: sums of what the algorithm must keep; what an allocator,
 * a runtime or a communication library takes besides is not in them.
 */
import { countParameters, type ParameterCount } from "./architecture.ts";
import { type Job, recomputationOf } from "./job.ts";
import { localHeads, routedTokensOf, tokensOf } from "./layer-cost.ts";
import { pipelineShape } from "./layout.ts";
import { chunksInFlight, schedules } from "./schedules.ts";

export interface StageMemory {
  readonly stage: number;
  readonly parameters: number;
  readonly gradients: number;
  readonly optimizer: number;
  readonly activations: number;
  /** Send and receive buffers of the all-to-all, and the activations of the layer that is computed again. */
  readonly buffers: number;
  readonly total: number;
  /** The layer that keeps most for a micro-batch. */
  readonly fullestLayer: number;
}

/** Where the layers of a job lie, and how many parameters that makes. */
export interface StagePlacement {
  /** [positions] layers of a pass; padding layers are left out */
  readonly positions: readonly (readonly number[])[];
  /** [passes][positions] the stage that holds them */
  readonly stageOf: readonly (readonly number[])[];
  /** [stages] what a stage holds, of both passes */
  readonly held: readonly (readonly Place[])[];
  /** [stages] parameters on one device: those that data-parallel devices copy, and those of experts */
  readonly parameters: readonly StageParameters[];
}

/** A position of a pass. */
export interface Place {
  readonly pass: number;
  readonly position: number;
}

export interface StageParameters {
  readonly dense: number;
  readonly expert: number;
}

export function placeStages(job: Job): StagePlacement {
  const { layout, model } = job;
  const shape = pipelineShape(layout, job.batch);
  const schedule = schedules[layout.schedule];
  const count = schedule.positions(shape);
  const each = (model.layers + layout.paddingLayers) / count;
  const positions = Array.from({ length: count }, (_, position) =>
    Array.from({ length: each }, (__, i) => position * each + i).filter((layer) => layer < model.layers),
  );
  const stageOf = Array.from({ length: schedule.parameterCopies }, (_, pass) =>
    positions.map((__, position) => schedule.deviceOf(pass, position, shape)),
  );
  const held: Place[][] = Array.from({ length: layout.pipeline }, () => []);
  for (const [pass, stages] of stageOf.entries()) {
    for (const [position, stage] of stages.entries()) held[stage]!.push({ pass, position });
  }
  const counts = countParameters(model);
  return { positions, stageOf, held, parameters: held.map((own) => parametersAt(job, counts, positions, own)) };
}

function parametersAt(
  { model, layout }: Job,
  counts: ParameterCount,
  positions: readonly (readonly number[])[],
  own: readonly Place[],
): StageParameters {
  const last = positions.length - 1;
  let dense = 0;
  let expert = 0;
  for (const { position } of own) {
    for (const layer of positions[position]!) {
      dense += counts.attention / layout.tensor + 2 * model.hiddenSize;
      if (layer < model.denseLayers) dense += counts.denseNetwork / layout.tensor;
      else {
        dense += counts.sharedExperts / layout.tensor + counts.router;
        expert += (model.experts * counts.oneExpert) / layout.expert / layout.expertTensor;
      }
    }
    const table = (model.vocabulary * model.hiddenSize) / layout.tensor;
    if (position === 0) dense += table;
    if (position === last) {
      if (!model.tiedEmbedding || last > 0) dense += table;
      dense += model.hiddenSize;
      const ofExperts = model.predictionLayers * model.experts * counts.oneExpert;
      dense += (counts.prediction - ofExperts) / layout.tensor;
      expert += ofExperts / layout.expert / layout.expertTensor;
    }
  }
  return { dense, expert };
}

/** Bytes that one layer keeps of a micro-batch until its backward pass. @param rows assignments on the hottest device */
export function layerActivations(job: Job, layer: number, rows: number): number {
  const { model, layout, bytesPerValue, bytesPerKept } = job;
  const recompute = recomputationOf(job, layer);
  const { hiddenSize: h, attention, gated = true } = model;
  const { inside, outside } = tokensOf(job);
  if (recompute === "full") return outside * h * bytesPerValue;
  const fine = recompute === "fine-grained"; // the core of attention, recomputed or not, keeps its inputs and its output
  const { heads, keyValueHeads } = localHeads(job);
  let plain = 2 * outside * h; // both inputs of the residual
  let kept = fine ? 0 : 2 * outside * h; // outputs of both norms, which products take
  if (attention.kind === "latent") {
    const { queryRank, keyValueRank, plainSize, rotarySize, valueSize } = attention;
    plain += outside * (queryRank + keyValueRank + rotarySize);
    if (!fine) kept += outside * (queryRank + keyValueRank + rotarySize);
    const query = queryRank > 0 && fine ? 0 : plainSize + rotarySize;
    plain += inside * heads * (query + (fine ? 0 : plainSize + rotarySize + valueSize) + valueSize);
  } else plain += inside * (2 * heads + 2 * keyValueHeads) * attention.headSize;
  // What came up, and what goes down unless it is computed again.
  const network = (tokens: number, hidden: number) => tokens * hidden * ((gated ? 2 : 1) + (fine ? 0 : 1));
  if (layer < model.denseLayers) kept += network(inside, model.denseHiddenSize / layout.tensor);
  else {
    kept += network(inside, model.sharedHiddenSize / layout.tensor);
    kept += network(rows, model.expertHiddenSize / layout.expertTensor) + rows * h;
    // Results of experts, for the gradient of their gates; not where gates are applied to what goes down, as Megatron does.
    if (!fine) plain += rows * h;
    plain += (routedTokensOf(job) * model.experts * 4) / bytesPerValue; // probabilities in single precision
  }
  return plain * bytesPerValue + kept * bytesPerKept;
}

/**
 * Memory of the fullest device of each stage.
 * @param rows [MoE layers] assignments on the hottest device of a layer
 */
export function memoryOf(job: Job, placement: StagePlacement, rows: readonly number[]): StageMemory[] {
  const { layout, batch, model } = job;
  const shape = pipelineShape(layout, batch);
  const schedule = schedules[layout.schedule];
  const keptByLayer = Array.from({ length: model.layers }, (_, layer) =>
    layerActivations(job, layer, rows[layer - model.denseLayers] ?? 0),
  );
  const states = layout.distributedOptimizer
    ? { dense: layout.data * layout.context, expert: expertCopies(job) }
    : { dense: 1, expert: 1 };
  return placement.held.map((own, stage) => {
    const { dense, expert } = placement.parameters[stage]!;
    let kept = 0;
    let fullestLayer = -1;
    for (const { position } of own) {
      for (const layer of placement.positions[position]!) {
        kept += keptByLayer[layer]!;
        if (keptByLayer[layer]! > (keptByLayer[fullestLayer] ?? 0)) fullestLayer = layer;
      }
    }
    // Chunks in flight differ by what they hold; each position is taken to be as full as the stage's average.
    const chunks = chunksInFlight(schedule, stage, shape);
    const activations = (kept / own.length) * chunks + edgeActivations(job, own, placement.positions.length);
    const parameters = (dense + expert) * job.bytesPerValue;
    const gradients = (dense + expert) * job.bytesPerGradient;
    const stepped = dense / states.dense + expert / states.expert;
    const optimizer = job.offloadBytesPerSecond === undefined ? job.bytesPerState * stepped : 0;
    const buffers = transientBytes(job, fullestLayer, rows);
    const total = parameters + gradients + optimizer + activations + buffers;
    return { stage, parameters, gradients, optimizer, activations, buffers, total, fullestLayer };
  });
}

/** Devices that hold copies of the same experts. */
export const expertCopies = ({ layout }: Job): number =>
  (layout.tensor * layout.context * layout.data) / (layout.expert * layout.expertTensor);

/** Embedding output on the first position; logits in both precisions on the last. */
function edgeActivations(job: Job, own: readonly Place[], count: number): number {
  const { inside } = tokensOf(job);
  const logits = (inside * job.model.vocabulary) / job.layout.tensor;
  return own.some(({ position }) => position === count - 1)
    ? logits * (job.bytesPerValue + 4) * (1 + job.model.predictionLayers)
    : 0;
}

/** What lives only while one layer is worked on. */
function transientBytes(job: Job, layer: number, rows: readonly number[]): number {
  if (layer < 0) return 0;
  const { model } = job;
  const hottest = rows[layer - model.denseLayers] ?? 0;
  const exchange = 2 * (routedTokensOf(job) * model.topK + hottest) * model.hiddenSize * job.bytesPerValue;
  const again = job.recompute === "full" ? layerActivations({ ...job, recompute: "none" }, layer, hottest) : 0;
  return (layer >= model.denseLayers ? exchange : 0) + again;
}
