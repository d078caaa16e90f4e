/**
 * The table of pipeline schedules: in which order each device works on the micro-batches, and the closed form of the
 * bubble that follows when all stages are alike and messages are free.
 *
 * A micro-batch passes `positions` 0, 1, … forward and back again. With DualPipe there are two passes in opposite
 * directions. F is a forward, B a whole backward, b its input gradient alone, W its weight gradient (B = b + W).
 */

export type WorkKind = "forward" | "backward" | "input-gradient" | "weight-gradient";

/** Work on one micro-batch at one position. */
export interface Work {
  readonly kind: WorkKind;
  /** 0, or 1 for the opposite direction of DualPipe. */
  readonly pass: number;
  readonly position: number;
  readonly microBatch: number;
}

/** What a device does in one go: one work, or a forward and a backward run side by side. */
export type Slot = readonly [Work] | readonly [forward: Work, backward: Work];

export interface PipelineShape {
  /** p devices */
  readonly pipeline: number;
  /** v chunks of layers a device; only interleaved has more than one. */
  readonly virtual: number;
  /** m */
  readonly microBatches: number;
}

/** Seconds of one chunk of layers, when all are alike. */
export interface ChunkSeconds {
  readonly forward: number;
  readonly inputGradient: number;
  readonly weightGradient: number;
  /** A forward and a whole backward side by side; without overlap their sum. */
  readonly together: number;
}

export interface Schedule {
  readonly title: string;
  readonly source: string;
  /** Why the shape does not fit, if it does not. */
  contradiction(shape: PipelineShape): string | undefined;
  /** Positions of a pass. */
  positions(shape: PipelineShape): number;
  /** The device that holds a position. */
  deviceOf(pass: number, position: number, shape: PipelineShape): number;
  /** The slots of a device, in order. */
  order(device: number, shape: PipelineShape): Slot[];
  /** Idle seconds of each device when all chunks are alike and messages are free. */
  bubbleSeconds(shape: PipelineShape, chunk: ChunkSeconds): number;
  /** Copies of its parameters that a device holds. */
  readonly parameterCopies: number;
}

const slot = (kind: WorkKind, pass: number, position: number, microBatch: number): Slot => [
  { kind, pass, position, microBatch },
];

const oneChunk = ({ virtual }: PipelineShape) =>
  virtual === 1 ? undefined : `has one chunk of layers a device, not ${virtual}; set layout.virtual to 1`;

const oneForwardOneBackward: Schedule = {
  title: "1F1B",
  source: "PipeDream-Flush, Narayanan et al., arXiv:2006.09503; bubble (p − 1)(F + B)",
  contradiction: oneChunk,
  positions: ({ pipeline }) => pipeline,
  deviceOf: (_, position) => position,
  order(device, { pipeline, microBatches }) {
    const warmup = Math.min(microBatches, pipeline - 1 - device);
    const slots: Slot[] = [];
    for (let i = 0; i < microBatches + warmup; i++) {
      if (i < microBatches) slots.push(slot("forward", 0, device, i));
      if (i >= warmup) slots.push(slot("backward", 0, device, i - warmup));
    }
    return slots;
  },
  bubbleSeconds: ({ pipeline }, { forward, inputGradient, weightGradient }) =>
    (pipeline - 1) * (forward + inputGradient + weightGradient),
  parameterCopies: 1,
};

const interleaved: Schedule = {
  title: "interleaved 1F1B",
  source:
    "Narayanan et al., arXiv:2104.04473; bubble (p − 1)(F + B), F and B of one chunk: a v-th of a device's layers",
  contradiction: ({ pipeline, microBatches, virtual }) =>
    virtual > 1 && microBatches % pipeline !== 0
      ? `needs micro-batches in multiples of the pipeline: ${microBatches} is none of ${pipeline}`
      : undefined,
  positions: ({ pipeline, virtual }) => pipeline * virtual,
  deviceOf: (_, position, { pipeline }) => position % pipeline,
  order(device, shape) {
    const { pipeline, virtual, microBatches } = shape;
    if (virtual === 1) return oneForwardOneBackward.order(device, shape);
    const total = microBatches * virtual;
    const warmup = Math.min(total, (pipeline - 1 - device) * 2 + (virtual - 1) * pipeline);
    const at = (k: number, backward: boolean) => {
      const chunk = Math.floor(k / pipeline) % virtual;
      const microBatch = Math.floor(k / (pipeline * virtual)) * pipeline + (k % pipeline);
      return { position: (backward ? virtual - 1 - chunk : chunk) * pipeline + device, microBatch };
    };
    const slots: Slot[] = [];
    for (let i = 0; i < total + warmup; i++) {
      if (i < total) slots.push([{ kind: "forward", pass: 0, ...at(i, false) }]);
      if (i >= warmup) slots.push([{ kind: "backward", pass: 0, ...at(i - warmup, true) }]);
    }
    return slots;
  },
  bubbleSeconds: oneForwardOneBackward.bubbleSeconds,
  parameterCopies: 1,
};

const zeroBubble: Schedule = {
  title: "ZB-1P (ZB-H1)",
  source: "Qi et al., arXiv:2401.10241; bubble (p − 1)(F + B − 2W)",
  contradiction: oneChunk,
  positions: ({ pipeline }) => pipeline,
  deviceOf: (_, position) => position,
  order(device, { pipeline, microBatches }) {
    const warmup = Math.min(microBatches, pipeline - 1 - device);
    const slots: Slot[] = [];
    let weights = 0;
    for (let i = 0; i < microBatches + warmup; i++) {
      if (i < microBatches) slots.push(slot("forward", 0, device, i));
      if (i < warmup) continue;
      slots.push(slot("input-gradient", 0, device, i - warmup));
      // The later a device stands in the pipeline, the more weight gradients it puts off, to hand back earlier.
      if (i - warmup - weights >= device) slots.push(slot("weight-gradient", 0, device, weights++));
    }
    while (weights < microBatches) slots.push(slot("weight-gradient", 0, device, weights++));
    return slots;
  },
  bubbleSeconds: ({ pipeline }, { forward, inputGradient, weightGradient }) =>
    (pipeline - 1) * (forward + inputGradient - weightGradient),
  parameterCopies: 1,
};

/**
 * The eight phases of DualPipe and DualPipeV (deepseek-ai/DualPipe, 3da1bbe, described, not copied).
 * @param place how far the device is from where passes begin, 0 … half − 1
 * @param half devices between the start of a pass and its turning point
 * @param each micro-batches of one stream
 * @param work what the device does for micro-batch i of its near (0) or far (1) stream
 */
function dualOrder(
  place: number,
  half: number,
  each: number,
  work: (kind: WorkKind, stream: 0 | 1, microBatch: number) => Work,
): Slot[] {
  const slots: Slot[] = [];
  const forwards = [0, 0];
  const backwards = [0, 0];
  const owed: Work[] = [];
  const rest = half - 1 - place;
  const forward = (stream: 0 | 1) => work("forward", stream, forwards[stream]!++);
  const backward = (stream: 0 | 1) => work("backward", stream, backwards[stream]!++);
  const split = (stream: 0 | 1) => {
    const input = { ...backward(stream), kind: "input-gradient" as const };
    owed.push({ ...input, kind: "weight-gradient" });
    return input;
  };
  const times = (count: number, act: (i: number) => void) => {
    for (let i = 0; i < count; i++) act(i);
  };
  times(2 * rest, () => slots.push([forward(0)]));
  times(place + 1, () => slots.push([forward(0)], [forward(1)]));
  times(rest, () => slots.push([split(1)], [owed.shift()!], [forward(1)]));
  times(each - 2 * half + place + 1, () => slots.push([forward(0), backward(1)], [forward(1), backward(0)]));
  times(rest, () => slots.push([backward(1)], [forward(1), backward(0)]));
  const turn = Math.floor((place + 1) / 2);
  const far = place % 2 === 1 ? turn : turn + 1;
  times(place + 1, (i) => {
    slots.push([i >= far ? split(1) : backward(1)]);
    slots.push([i >= turn ? split(0) : backward(0)]);
  });
  times(rest, () => slots.push([owed.shift()!], [split(0)]));
  while (owed.length > 0) slots.push([owed.shift()!]);
  return slots;
}

const dualBubble = (half: number, { together, inputGradient, weightGradient }: ChunkSeconds) =>
  (half - 1) * (together + inputGradient - 2 * weightGradient);

const dualPipe: Schedule = {
  title: "DualPipe",
  source: "DeepSeek-V3, arXiv:2412.19437, and deepseek-ai/DualPipe (3da1bbe); bubble (p/2 − 1)(F&B + B − 3W)",
  contradiction(shape) {
    const { pipeline, microBatches } = shape;
    if (pipeline % 2 !== 0 || microBatches % 2 !== 0 || microBatches < 2 * pipeline) {
      return `needs an even pipeline and an even number of at least ${2 * pipeline} micro-batches: got pipeline ${pipeline}, ${microBatches} micro-batches`;
    }
    return oneChunk(shape);
  },
  positions: ({ pipeline }) => pipeline,
  deviceOf: (pass, position, { pipeline }) => (pass === 0 ? position : pipeline - 1 - position),
  order(device, { pipeline, microBatches }) {
    const second = device >= pipeline / 2;
    const place = second ? pipeline - 1 - device : device;
    return dualOrder(place, pipeline / 2, microBatches / 2, (kind, stream, microBatch) => {
      const pass = second ? 1 - stream : stream;
      return { kind, pass, position: pass === 0 ? device : pipeline - 1 - device, microBatch };
    });
  },
  bubbleSeconds: ({ pipeline }, chunk) => dualBubble(pipeline / 2, chunk),
  parameterCopies: 2,
};

const dualPipeV: Schedule = {
  title: "DualPipeV",
  source: "deepseek-ai/DualPipe (3da1bbe), after Qi et al.; bubble (p − 1)(F&B + B − 3W) on p devices of two chunks",
  contradiction({ pipeline, virtual, microBatches }) {
    if (virtual !== 2) return `has two chunks of layers a device, not ${virtual}; set layout.virtual to 2`;
    return microBatches >= 2 * pipeline
      ? undefined
      : `needs at least ${2 * pipeline} micro-batches for pipeline ${pipeline}: got ${microBatches}`;
  },
  positions: ({ pipeline }) => 2 * pipeline,
  deviceOf: (_, position, { pipeline }) => (position < pipeline ? position : 2 * pipeline - 1 - position),
  order: (device, { pipeline, microBatches }) =>
    dualOrder(device, pipeline, microBatches, (kind, stream, microBatch) => ({
      kind,
      pass: 0,
      position: stream === 0 ? device : 2 * pipeline - 1 - device,
      microBatch,
    })),
  bubbleSeconds: ({ pipeline }, chunk) => dualBubble(pipeline, chunk),
  parameterCopies: 1,
};

export const schedules = {
  "1f1b": oneForwardOneBackward,
  interleaved,
  "zb-1p": zeroBubble,
  dualpipe: dualPipe,
  "dualpipe-v": dualPipeV,
} satisfies Record<string, Schedule>;

export type ScheduleName = keyof typeof schedules;

/** Most chunks whose activations a device keeps at once: from their forward until their last gradient. */
export function chunksInFlight(schedule: Schedule, device: number, shape: PipelineShape): number {
  // Once the pipeline is full nothing is added: four times its positions show all there is.
  const enough = 4 * shape.pipeline * shape.virtual;
  const microBatches = shape.microBatches <= enough ? shape.microBatches : enough;
  const key = `${schedule.title} ${device} ${shape.pipeline} ${shape.virtual} ${microBatches}`;
  const known = inFlight.get(key);
  if (known !== undefined) return known;
  let kept = 0;
  let most = 0;
  for (const slot of schedule.order(device, { ...shape, microBatches })) {
    for (const { kind } of slot) {
      if (kind === "forward") kept++;
      most = Math.max(most, kept);
    }
    for (const { kind } of slot) if (kind === "backward" || kind === "weight-gradient") kept--;
  }
  inFlight.set(key, most);
  return most;
}

/** A search asks the same thousands of times. */
const inFlight = new Map<string, number>();
