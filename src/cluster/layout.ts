/**
 * A parallel layout: how a model is cut over the devices, which device does what, and what does not fit together.
 *
 * A device has a place in four dimensions: tensor, context, data and pipeline. Expert parallelism reuses the first
 * three: of the tensor · context · data devices that hold the same layers, `expertTensor` in a row share the matrices
 * of an expert, the next `expert` share the experts, and what is left holds copies. With expertTensor 1 tensor-parallel
 * devices hold whole experts, which Pangu and MindSpeed call TP extend EP.
 */
import type { Architecture } from "./architecture.ts";
import { type GroupSpan, spanOf } from "./group-span.ts";
import { type PipelineShape, type ScheduleName, schedules } from "./schedules.ts";
import { type Topology, topologyDevices } from "./topology.ts";

export const dimensions = {
  tensor: "tensor-parallel devices next to one another",
  context: "context-parallel ones",
  data: "data-parallel ones",
  pipeline: "pipeline stages",
} as const;

export type Dimension = keyof typeof dimensions;

export interface Layout {
  readonly tensor: number;
  readonly pipeline: number;
  /** Chunks of layers a device. */
  readonly virtual: number;
  readonly data: number;
  readonly context: number;
  readonly expert: number;
  readonly expertTensor: number;
  /** Norms and residuals split by tokens over the tensor-parallel devices. */
  readonly sequenceParallel: boolean;
  readonly schedule: ScheduleName;
  /** Layers that do nothing, appended so that all chunks are of one size. */
  readonly paddingLayers: number;
  /** Dimensions from the innermost outwards: how ranks are laid on the topology. */
  readonly order: readonly Dimension[];
  /** Optimizer states split over the data-parallel devices. */
  readonly distributedOptimizer: boolean;
}

export interface Batch {
  /** Tokens a sequence. */
  readonly sequence: number;
  /** Sequences of a micro-batch. */
  readonly microBatch: number;
  /** Sequences of a step. */
  readonly globalBatch: number;
}

/** Pieces of work of a step that are played one by one. */
const MOST_SLOTS = 1e6;

export interface LayoutProblem {
  /** The knob to look at. */
  readonly key: string;
  readonly message: string;
}

export const devicesOf = ({ tensor, pipeline, data, context }: Layout): number => tensor * pipeline * data * context;

export const microBatchesOf = ({ globalBatch, microBatch }: Batch, { data }: Layout): number =>
  globalBatch / microBatch / data;

export const pipelineShape = (layout: Layout, batch: Batch): PipelineShape => ({
  pipeline: layout.pipeline,
  virtual: layout.virtual,
  microBatches: microBatchesOf(batch, layout),
});

/** Everything that does not go together, each with its numbers. */
export function layoutProblems(
  layout: Layout,
  batch: Batch,
  model: Architecture,
  topology: Topology,
  spreadGroups = true,
): LayoutProblem[] {
  const problems: LayoutProblem[] = [];
  const divides = (key: string, whole: number, what: string, parts: number, of: string) => {
    if (whole % parts === 0) return;
    problems.push({ key, message: `${whole} ${what} do not divide evenly by ${parts} ${of}; change one of the two` });
  };
  const { tensor, pipeline, virtual, data, context, expert, paddingLayers } = layout;
  const { heads } = model.attention;
  divides("layout.tensor", heads, "attention heads", tensor, "tensor-parallel devices");
  if (model.attention.kind === "grouped-query" && tensor > model.attention.keyValueHeads) {
    divides("layout.tensor", tensor, "tensor-parallel devices", model.attention.keyValueHeads, "key-value heads");
  }
  if (model.denseLayers > 0) divides("layout.tensor", model.denseHiddenSize, "hidden units", tensor, "devices");
  if (model.sharedHiddenSize > 0)
    divides("layout.tensor", model.sharedHiddenSize, "shared hidden units", tensor, "devices");
  const chunks = pipeline * virtual;
  if ((model.layers + paddingLayers) % chunks !== 0) {
    const padding = chunks - (model.layers % chunks);
    const message = `${model.layers} layers and ${paddingLayers} of padding do not divide evenly by ${pipeline} stages of ${virtual}; layout.paddingLayers ${padding} would do`;
    problems.push({ key: "layout.pipeline", message });
  }
  if (schedules[layout.schedule].parameterCopies > 1 && virtual > 1) {
    problems.push({ key: "layout.virtual", message: "DualPipe has one chunk of layers a device" });
  }
  divides(
    "batch.sequence",
    batch.sequence,
    "tokens",
    context * (layout.sequenceParallel ? tensor : 1),
    "devices that share a sequence",
  );
  divides(
    "batch.globalBatch",
    batch.globalBatch,
    "sequences",
    batch.microBatch * data,
    "in the micro-batches of all data-parallel devices",
  );
  if (model.experts === 0) {
    if (expert > 1)
      problems.push({
        key: "layout.expert",
        message: `${expert} devices for experts, but the model has none; leave it at 1`,
      });
  } else {
    problems.push(...expertProblems(layout, model, spreadGroups));
  }
  const used = devicesOf(layout);
  const joined = topologyDevices(topology);
  if (used > joined) {
    problems.push({
      key: "topology",
      message: `${used} devices are more than the ${joined} that "${topology.title}" joins; take fewer, or another topology`,
    });
  }
  if (problems.length > 0) return problems;
  const slots = microBatchesOf(batch, layout) * chunks;
  if (slots > MOST_SLOTS) {
    const message = `${microBatchesOf(batch, layout)} micro-batches through ${chunks} chunks are too many to play; take at most ${MOST_SLOTS} of both, with larger micro-batches or more replicas`;
    return [{ key: "batch.globalBatch", message }];
  }
  const ofSchedule = schedules[layout.schedule].contradiction(pipelineShape(layout, batch));
  return ofSchedule === undefined ? [] : [{ key: "layout.schedule", message: `${layout.schedule} ${ofSchedule}` }];
}

function expertProblems(layout: Layout, model: Architecture, spreadGroups: boolean): LayoutProblem[] {
  const { tensor, data, context, expert, expertTensor } = layout;
  const problems: LayoutProblem[] = [];
  const { experts, groups, limit, expertHiddenSize } = model;
  if (expert > experts) {
    const message = `${expert} expert-parallel devices are more than the ${experts} experts; take at most ${experts}`;
    return [{ key: "layout.expert", message }];
  }
  if (experts % expert !== 0) {
    problems.push({
      key: "layout.expert",
      message: `${experts} experts do not divide evenly by ${expert} devices; take a divisor`,
    });
  }
  if (expertHiddenSize % expertTensor !== 0) {
    problems.push({
      key: "layout.expertTensor",
      message: `${expertHiddenSize} hidden units of an expert do not divide evenly by ${expertTensor} devices; take a divisor`,
    });
  }
  const stage = tensor * data * context;
  if (stage % (expert * expertTensor) !== 0) {
    problems.push({
      key: "layout.expert",
      message: `expert ${expert} · expertTensor ${expertTensor} does not divide the ${stage} devices of a stage (tensor ${tensor} · context ${context} · data ${data}); take a divisor of ${stage}`,
    });
  }
  if (groups > 1 && limit === undefined && groups % expert !== 0 && !spreadGroups) {
    problems.push({
      key: "layout.expert",
      message: `${groups} expert groups spread over ${expert} devices in fractions, so loads are no longer equal by construction; set layout.spreadGroups to true if that is meant`,
    });
  }
  return problems;
}

/** How the groups of a layout that talk to one another lie on the topology. */
export interface LayoutSpans {
  readonly tensor: GroupSpan;
  readonly context: GroupSpan;
  readonly expert: GroupSpan;
  readonly expertTensor: GroupSpan;
  /** Devices that hold copies of the parameters outside experts. */
  readonly data: GroupSpan;
  /** Devices that hold copies of the same experts. */
  readonly expertData: GroupSpan;
  /** A device and the same place of the next stage. */
  readonly nextStage: readonly [number, number];
}

/** Distance between neighbours of each dimension in device numbers. */
export function strides({ tensor, context, data, pipeline, order }: Layout): Record<Dimension, number> {
  const sizes = { tensor, context, data, pipeline };
  const found = { tensor: 1, context: 1, data: 1, pipeline: 1 };
  let stride = 1;
  for (const dimension of order) {
    found[dimension] = stride;
    stride *= sizes[dimension];
  }
  return found;
}

/** The device number of a place. */
export const deviceAt = (stride: Record<Dimension, number>, place: Readonly<Record<Dimension, number>>): number =>
  place.tensor * stride.tensor +
  place.context * stride.context +
  place.data * stride.data +
  place.pipeline * stride.pipeline;

/** Devices that talk to one another, of the first device of a stage: those of the others lie alike. */
export type LayoutGroups = Readonly<Record<Exclude<keyof LayoutSpans, "nextStage">, readonly number[]>>;

/** @returns device numbers by rank in each group */
export function layoutGroups(layout: Layout, stage = 0): LayoutGroups {
  const stride = strides(layout);
  const { tensor, context, data, expert, expertTensor } = layout;
  /** The i-th of the devices that hold the same layers. */
  const ofStage = (i: number) =>
    deviceAt(stride, {
      tensor: i % tensor,
      context: Math.floor(i / tensor) % context,
      data: Math.floor(i / tensor / context),
      pipeline: stage,
    });
  const every = (count: number, step: number) => Array.from({ length: count }, (_, i) => ofStage(i * step));
  const shared = expert * expertTensor;
  return {
    tensor: every(tensor, 1),
    context: every(context, tensor),
    expert: every(expert, expertTensor),
    expertTensor: every(expertTensor, 1),
    data: every(data * context, tensor),
    expertData: every((tensor * context * data) / shared, shared),
  };
}

/** @throws RangeError if a group does not fill the units of the topology evenly */
export function layoutSpans(layout: Layout, topology: Topology): LayoutSpans {
  const groups = layoutGroups(layout);
  const span = (group: readonly number[]) => spanOf(group.toSorted(ascending), topology);
  return {
    tensor: span(groups.tensor),
    context: span(groups.context),
    expert: span(groups.expert),
    expertTensor: span(groups.expertTensor),
    data: span(groups.data),
    expertData: span(groups.expertData),
    nextStage: [0, layout.pipeline === 1 ? 0 : strides(layout).pipeline],
  };
}

export const ascending = (a: number, b: number): number => a - b;
