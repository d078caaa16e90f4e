/**
 * Routes large batches with the kernels of assembly/routing.ts: what the memory holds and where, and the pass over it.
 * It knows no file and no worker; host/open-batch-router.ts opens it. The routers of routing/ are its slow twin: it gives
 * the same experts in the same slots, and weights within 1e-6 of theirs.
 */
import type { Assignment } from "../routing/assignment.ts";
import type { GroupLimitedOptions } from "../routing/group-limited.ts";
import { optionsOf, type RoutingSettings } from "../routing/route.ts";
import type { RouterShape } from "../routing/router.ts";
import { routerNamed } from "../routing/routers.ts";
import { Arena } from "./wasm/arena.ts";
import type { Crew } from "./wasm/crew.ts";
import type { Address } from "./wasm/kernels.ts";
import { type WasmMemory, type WasmModule, webAssembly } from "./wasm/webassembly.ts";

/** What a batch router is made for. */
export interface BatchRouterSize {
  readonly shape: RouterShape;
  readonly settings: RoutingSettings;
  /** Most tokens of a pass. */
  readonly tokens: number;
  /** Tokens whose device loads are counted together; absent: all of a pass. */
  readonly batch?: number | undefined;
  /** [N] the device of each expert; absent: loads of devices are those of experts */
  readonly deviceOf?: Int32Array | undefined;
  /** Whether the softmax scores of all experts are wanted too, a second matrix as large as the logits. */
  readonly scores?: boolean | undefined;
}

const MOST_EXPERTS = 2048;
const MOST_CHOSEN = 64;
const MOST_GROUPS = 64;
/** Tokens of a unit, at most. */
const UNIT_TOKENS = 1024;
/** Tokens that a thread takes at a time, about. */
const TASK_TOKENS = 2048;
/** What kernels read behind a row without using it. */
const READ_BEHIND_BYTES = 64;

/** What the kernels cannot do of these settings, so that the routers of routing/ must; or undefined. */
export function batchRouterRefusal(shape: RouterShape, settings: RoutingSettings): string | undefined {
  const { selection, scoreFunction, normalisation, capacity, expertScale } = settings;
  const { experts, topK, groups } = shape;
  if (!["topk", "switch", "moge", "group-limited"].includes(selection)) return `selection ${selection}`;
  if (scoreFunction !== "softmax") return `scores by ${scoreFunction}`;
  if (normalisation !== "none" && normalisation !== "chosen") return `normalisation ${normalisation}`;
  if (capacity !== undefined) return "a capacity";
  if (expertScale !== undefined) return "scales of experts";
  if (experts > MOST_EXPERTS || topK > MOST_CHOSEN || groups > MOST_GROUPS) {
    return `more than ${MOST_EXPERTS} experts, ${MOST_CHOSEN} of a token or ${MOST_GROUPS} groups`;
  }
  if (selection !== "group-limited") return undefined;
  const { compare, mask } = limitedOptions(settings);
  if (compare !== "scores" || mask !== "exclude") return `group-limited by ${compare} with mask ${mask}`;
  return countedScores(shape, settings) > 2 ? "groups compared by more than two scores" : undefined;
}

const limitedOptions = (settings: RoutingSettings) => optionsOf(settings) as unknown as GroupLimitedOptions;

function countedScores({ topK }: RouterShape, settings: RoutingSettings): number {
  const { groupScore, limit } = limitedOptions(settings);
  return { max: 1, "top-2-sum": 2, "top-share-sum": Math.floor(topK / limit) }[groupScore];
}

/** Where everything lies; the same on every thread. */
export interface BatchRouterPlan extends BatchRouterSize {
  readonly threads: number;
  readonly devices: number;
  /** B */
  readonly batch: number;
  /** Tokens that are counted and handed out together; a long batch has several units, the last perhaps shorter. */
  readonly unit: number;
  readonly pages: number;
  readonly at: {
    readonly job: Address;
    /** [1] i32: tokens of the pass */
    readonly pass: Address;
    readonly logits: Address;
    readonly experts: Address;
    readonly weights: Address;
    readonly scores: Address;
    readonly deviceOf: Address;
    /** [units, D] i32 */
    readonly unitLoad: Address;
    /** [threads] */
    readonly scratch: readonly Address[];
  };
}

/** Of one thread, in bytes; the kernels' own `scratchBytes()` says the same. */
const SCRATCH_BYTES = 105_536;
const JOB_WORDS = 17;

/** @throws RangeError if the kernels cannot route so, ModelTooLargeError if 4 GiB do not suffice: then route in parts */
export function planBatchRouter(size: BatchRouterSize, threads: number): BatchRouterPlan {
  const { shape, settings, tokens, deviceOf, batch = tokens } = size;
  const refusal =
    batchRouterRefusal(shape, settings) ??
    routerNamed(settings.selection).contradiction(shape, optionsOf(settings) as never);
  if (refusal !== undefined) throw new RangeError(`the batch router cannot route by this: ${refusal}`);
  const { experts: width, topK } = shape;
  const unit = Math.min(batch, UNIT_TOKENS);
  const devices = deviceOf === undefined ? width : deviceOf.reduce((most, each) => Math.max(most, each), 0) + 1;
  const units = Math.ceil(tokens / batch) * Math.ceil(batch / unit);
  const arena = new Arena();
  const at = {
    job: arena.words(JOB_WORDS),
    pass: arena.words(1),
    deviceOf: arena.words(width),
    unitLoad: arena.words(units * devices),
    scratch: Array.from({ length: threads }, () => arena.bytes(SCRATCH_BYTES)),
    experts: arena.words(tokens * topK),
    weights: arena.words(tokens * topK),
    scores: size.scores ? arena.words(tokens * width) : 0,
    logits: arena.bytes(4 * tokens * width + READ_BEHIND_BYTES),
  };
  return { ...size, batch, threads, devices, unit, at, pages: arena.pages() };
}

/** Documented at their definitions in assembly/routing.ts. */
interface RoutingKernels {
  scratchBytes(): number;
  clearTotals(scratch: Address): void;
  totals(scratch: Address): Address;
  route(job: Address, first: number, last: number, unit: number, scratch: Address): void;
}

const commands = { route: 1, close: 2 } as const;

/** The part of one thread; thread 0 has a BatchRouter around it. */
export class BatchRouterThread {
  private readonly kernels: RoutingKernels;
  private readonly pass: Int32Array;
  private readonly plan: BatchRouterPlan;
  private readonly crew: Crew;

  constructor(plan: BatchRouterPlan, module: WasmModule, memory: WasmMemory, crew: Crew) {
    this.plan = plan;
    this.crew = crew;
    this.kernels = new webAssembly.Instance(module, { env: { memory } }).exports as RoutingKernels;
    this.pass = new Int32Array(memory.buffer, plan.at.pass, 1);
    if (this.kernels.scratchBytes() !== SCRATCH_BYTES) throw new Error("the routing kernels are of another version");
  }

  /** Routes this thread's part of the pass, and meets the others when all is routed. */
  route(): void {
    const { kernels, crew, plan } = this;
    const { batch, unit, at } = plan;
    const tokens = this.pass[0]!;
    const scratch = at.scratch[crew.index]!;
    kernels.clearTotals(scratch);
    // Of short batches several make a task, of long ones a unit.
    const batches = batch > unit ? 1 : Math.ceil(TASK_TOKENS / batch);
    const pieces = Math.ceil(batch / unit);
    const most = Math.ceil(tokens / (batches * batch)) * pieces;
    for (let task = crew.nextTask(); task < most; task = crew.nextTask()) {
      const start = Math.floor(task / pieces) * batches * batch;
      const first = start + (task % pieces) * unit;
      const last = Math.min(tokens, start + batches * batch, pieces === 1 ? tokens : first + unit);
      if (first < last) kernels.route(at.job, first, last, pieces === 1 ? task * batches : task, scratch);
    }
    crew.barrier();
  }

  /** Where a thread has added up the loads of experts: [N] i32 */
  totals(thread: number): Address {
    return this.kernels.totals(this.plan.at.scratch[thread]!);
  }

  /** The life of a worker thread. */
  obey(): void {
    try {
      while (this.crew.nextCommand() === commands.route) this.route();
    } catch (error) {
      this.crew.fail(error);
    }
  }
}

/** What a pass came to. Views of the router's memory: the next pass writes over them. */
export interface RoutedTokens {
  /** T tokens of the pass; experts best first (of each group, with MoGE), weights in single precision. */
  readonly assignment: Assignment;
  /** [N] assignments of each expert in the pass */
  readonly expertLoad: Int32Array;
  /** [⌈T/B⌉, D] assignments of each device from each batch */
  readonly deviceLoad: Int32Array;
  /** [T, N] softmax of the logits, where it was asked for */
  readonly scores?: Float32Array | undefined;
}

/**
 * Routes batches as large as memory: write logits into `logits`, call `route`, read what it gives.
 *
 * Softmax scores, chosen experts, weights and loads come out of one pass over the logits on all threads. The bits do
 * not depend on the number of threads.
 */
export class BatchRouter {
  /** [T, N] to be written by the caller: no NaN and no +∞; −∞ where a token leaves another expert finite. */
  readonly logits: Float32Array;
  readonly plan: BatchRouterPlan;
  private readonly buffer: ArrayBufferLike;
  private readonly thread: BatchRouterThread;
  private readonly crew: Crew;

  /** For host/open-batch-router.ts. */
  constructor(plan: BatchRouterPlan, buffer: ArrayBufferLike, thread: BatchRouterThread, crew: Crew) {
    const { at, tokens, shape, deviceOf } = plan;
    this.plan = plan;
    this.buffer = buffer;
    this.thread = thread;
    this.crew = crew;
    this.logits = new Float32Array(buffer, at.logits, tokens * shape.experts);
    const devices = new Int32Array(buffer, at.deviceOf, shape.experts);
    devices.set(deviceOf ?? devices.map((_, expert) => expert));
    writeJob(plan, buffer);
  }

  /** Routes the first `tokens` rows of `logits`. */
  route(tokens: number = this.plan.tokens): RoutedTokens {
    const { at, shape } = this.plan;
    if (tokens > this.plan.tokens)
      throw new RangeError(`${tokens} tokens; the router has room for ${this.plan.tokens}`);
    new Int32Array(this.buffer, at.pass, 1)[0] = tokens;
    this.crew.command(commands.route);
    this.thread.route();
    const count = tokens * shape.topK;
    const experts = new Int32Array(this.buffer, at.experts, count);
    const weights = new Float32Array(this.buffer, at.weights, count);
    return {
      assignment: { tokens, slots: shape.topK, experts, weights },
      expertLoad: this.expertLoad(),
      deviceLoad: this.deviceLoad(tokens),
      scores: at.scores === 0 ? undefined : new Float32Array(this.buffer, at.scores, tokens * shape.experts),
    };
  }

  /** Ends the other threads. */
  close(): void {
    this.crew.command(commands.close);
  }

  private expertLoad(): Int32Array {
    const { threads, shape } = this.plan;
    const load = new Int32Array(shape.experts);
    for (let thread = 0; thread < threads; thread++) {
      const own = new Int32Array(this.buffer, this.thread.totals(thread), shape.experts);
      for (let expert = 0; expert < load.length; expert++) load[expert]! += own[expert]!;
    }
    return load;
  }

  private deviceLoad(tokens: number): Int32Array {
    const { batch, unit, devices, at } = this.plan;
    const batches = Math.ceil(tokens / batch);
    if (batch === unit) return new Int32Array(this.buffer, at.unitLoad, batches * devices);
    const load = new Int32Array(batches * devices);
    const pieces = Math.ceil(batch / unit);
    for (let b = 0; b < batches; b++) {
      const own = Math.ceil(Math.min(batch, tokens - b * batch) / unit);
      const units = new Int32Array(this.buffer, at.unitLoad + 4 * b * pieces * devices, own * devices);
      units.forEach((count, i) => {
        load[b * devices + (i % devices)]! += count;
      });
    }
    return load;
  }
}

/** In the order of assembly/routing-job.ts. */
function writeJob(plan: BatchRouterPlan, buffer: ArrayBufferLike): void {
  const { at, shape, settings, tokens, devices, unit } = plan;
  const isLimited = settings.selection === "group-limited";
  const isGrouped = isLimited || settings.selection === "moge";
  const words = [
    at.logits,
    at.experts,
    at.weights,
    at.scores,
    at.deviceOf,
    at.unitLoad,
    tokens,
    shape.experts,
    shape.topK,
    isGrouped ? shape.groups : 1,
    isLimited ? 1 : 0,
    isLimited ? limitedOptions(settings).limit : 0,
    isLimited ? countedScores(shape, settings) : 0,
    devices,
    unit,
    settings.normalisation === "chosen" ? 1 : 0,
  ];
  new Uint32Array(buffer, at.job, words.length).set(words);
  new Float32Array(buffer, at.job + 4 * words.length, 1)[0] = settings.scale;
}
