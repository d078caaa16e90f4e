/**
 * Bytes on the device of each pipeline stage that holds the most loaded experts: parameters, gradients, optimizer
 * states, activations, exchange buffers and logits. SIMULATED: sums of what the algorithm must keep; what an allocator,
 * a runtime or a communication library takes besides is not in them.
 */
import { countParameters } from "./architecture.ts";
import { type Job, OPTIMIZER_BYTES } from "./job.ts";
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

/** Layer indices at each position of a pass; padding layers are left out. */
export function layersAtPositions(job: Job): number[][] {
  const { layout, model } = job;
  const shape = pipelineShape(layout, job.batch);
  const positions = schedules[layout.schedule].positions(shape);
  const each = (model.layers + layout.paddingLayers) / positions;
  return Array.from({ length: positions }, (_, position) =>
    Array.from({ length: each }, (__, i) => position * each + i).filter((layer) => layer < model.layers),
  );
}

/** Positions that a stage holds, of both passes. */
export function positionsOf(job: Job, stage: number): number[] {
  const shape = pipelineShape(job.layout, job.batch);
  const schedule = schedules[job.layout.schedule];
  const positions = Array.from({ length: schedule.positions(shape) }, (_, position) => position);
  const passes = schedule.parameterCopies === 2 ? [0, 1] : [0];
  return passes.flatMap((pass) => positions.filter((at) => schedule.deviceOf(pass, at, shape) === stage));
}

/** Parameters of one stage on one device: those that data-parallel devices copy, and those of experts. */
export function stageParameters(job: Job, stage: number): { readonly dense: number; readonly expert: number } {
  const { model, layout } = job;
  const counts = countParameters(model);
  const layers = layersAtPositions(job);
  const last = layers.length - 1;
  let dense = 0;
  let expert = 0;
  for (const position of positionsOf(job, stage)) {
    for (const layer of layers[position]!) {
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
      dense += model.hiddenSize + predictionParameters(job, counts.prediction);
    }
  }
  return { dense, expert };
}

/** Multi-token prediction lies on the last stage; its experts are shared out like the others. */
const predictionParameters = ({ model, layout }: Job, parameters: number): number => {
  if (model.predictionLayers === 0) return 0;
  const experts = model.predictionLayers * model.experts * 3 * model.hiddenSize * model.expertHiddenSize;
  return (parameters - experts) / layout.tensor + experts / layout.expert / layout.expertTensor;
};

/** Bytes that one layer keeps of a micro-batch until its backward pass. @param rows assignments on the hottest device */
export function layerActivations(job: Job, layer: number, rows: number): number {
  const { model, layout, bytesPerValue: b, recompute } = job;
  const { hiddenSize: h, attention } = model;
  const { inside, outside } = tokensOf(job);
  if (recompute === "full") return outside * h * b;
  const selective = recompute === "selective";
  const { heads, keyValueHeads } = localHeads(job);
  const normed = selective ? 0 : 2 * outside * h; // outputs of both norms
  let values = 2 * outside * h + normed;
  if (attention.kind === "latent") {
    const { queryRank, keyValueRank, plainSize, rotarySize, valueSize } = attention;
    values += outside * (queryRank + keyValueRank + rotarySize) * (selective ? 1 : 2);
    values += inside * heads * (2 * (plainSize + rotarySize) + 2 * valueSize);
  } else values += inside * (2 * heads + 2 * keyValueHeads) * attention.headSize;
  const network = (tokens: number, hidden: number) => tokens * hidden * (selective ? 2 : 3);
  if (layer < model.denseLayers) values += network(inside, model.denseHiddenSize / layout.tensor);
  else {
    values += network(inside, model.sharedHiddenSize / layout.tensor);
    values += network(rows, model.expertHiddenSize / layout.expertTensor) + 2 * rows * h;
    values += (routedTokensOf(job) * model.experts * 4) / b; // probabilities in single precision
  }
  return values * b;
}

/**
 * Memory of the fullest device of each stage.
 * @param rows [MoE layers] assignments on the hottest device of a layer
 */
export function memoryOf(job: Job, rows: readonly number[]): StageMemory[] {
  const { layout, batch, model } = job;
  const shape = pipelineShape(layout, batch);
  const schedule = schedules[layout.schedule];
  const layers = layersAtPositions(job);
  const states = layout.distributedOptimizer
    ? { dense: layout.data * layout.context, expert: expertCopies(job) }
    : { dense: 1, expert: 1 };
  return Array.from({ length: layout.pipeline }, (_, stage) => {
    const own = positionsOf(job, stage);
    const { dense, expert } = stageParameters(job, stage);
    const bytes = own
      .flatMap((position) => layers[position]!)
      .map((layer) => ({
        layer,
        bytes: layerActivations(job, layer, rows[layer - model.denseLayers] ?? 0),
      }));
    const fullest = bytes.reduce((most, each) => (each.bytes > most.bytes ? each : most), { layer: -1, bytes: 0 });
    // Chunks in flight differ by what they hold; each position is taken to be as full as the stage's average.
    const perChunk = bytes.reduce((total, each) => total + each.bytes, 0) / own.length;
    const activations = perChunk * chunksInFlight(schedule, stage, shape) + edgeActivations(job, own, layers.length);
    const parameters = (dense + expert) * job.bytesPerValue;
    const gradients = (dense + expert) * job.bytesPerGradient;
    const optimizer = OPTIMIZER_BYTES * (dense / states.dense + expert / states.expert);
    const buffers = transientBytes(job, fullest.layer, rows);
    const total = parameters + gradients + optimizer + activations + buffers;
    return { stage, parameters, gradients, optimizer, activations, buffers, total, fullestLayer: fullest.layer };
  });
}

/** Devices that hold copies of the same experts. */
export const expertCopies = ({ layout }: Job): number =>
  (layout.tensor * layout.context * layout.data) / (layout.expert * layout.expertTensor);

/** Embedding output on the first position; logits in both precisions on the last. */
function edgeActivations(job: Job, positions: readonly number[], count: number): number {
  const { inside } = tokensOf(job);
  const logits = (inside * job.model.vocabulary) / job.layout.tensor;
  return positions.includes(count - 1) ? logits * (job.bytesPerValue + 4) * (1 + job.model.predictionLayers) : 0;
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
