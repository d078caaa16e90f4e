/**
 * Searches parallel layouts for a job, as the authors of Pangu Pro MoE did by simulation (arXiv:2505.21411, section
 * 2.3): every combination of degrees that fits together, priced by the closed form, with its memory.
 */
import { trainingFlopsPerToken } from "./architecture.ts";
import type { Job, Recomputation, Routing } from "./job.ts";
import { devicesOf, type Layout, layoutProblems } from "./layout.ts";
import { type ScheduleName, schedules } from "./schedules.ts";
import { type SharedKernels, StepModel, sharedKernels } from "./step.ts";
import { fullestOf } from "./verdict.ts";

/** What a search varies; everything else is the job's. */
export interface Grid {
  readonly tensor: readonly number[];
  readonly pipeline: readonly number[];
  readonly virtual: readonly number[];
  readonly context: readonly number[];
  readonly expert: readonly number[];
  readonly expertTensor: readonly number[];
  readonly microBatch: readonly number[];
  readonly schedule: readonly ScheduleName[];
  readonly recompute: readonly Recomputation[];
}

export interface Candidate {
  readonly layout: Layout;
  readonly microBatch: number;
  readonly recompute: Recomputation;
  /** Closed form. */
  readonly seconds: number;
  readonly tokensPerSecondPerDevice: number;
  readonly utilisation: number;
  /** Of the fullest device. */
  readonly memoryBytes: number;
  readonly fits: boolean;
}

export interface PlanResult {
  /** Those that fit into memory first, the fastest of them first. */
  readonly candidates: readonly Candidate[];
  /** Combinations that were looked at. */
  readonly tried: number;
  /** Combinations that contradict themselves. */
  readonly refused: number;
  /** Left out because a sibling with less memory already did not fit; 0 in a full grid. */
  readonly pruned: number;
}

/** Powers of two up to a bound. */
export function powersOfTwo(most: number): number[] {
  const powers: number[] = [];
  for (let power = 1; power <= most; power *= 2) powers.push(power);
  return powers;
}

/** The degrees that make sense for a job: powers of two, tensor parallelism inside the innermost links. */
export function defaultGrid({ model, layout, topology, batch }: Job): Grid {
  const devices = devicesOf(layout);
  const node =
    topology.levels[0]!.size.value * (topology.levels[0]!.size.value < 8 ? (topology.levels[1]?.size.value ?? 1) : 1);
  return {
    tensor: powersOfTwo(Math.min(devices, 8, node)),
    pipeline: powersOfTwo(Math.min(devices, model.layers)),
    virtual: [1, 2, 4],
    context: powersOfTwo(batch.sequence >= 16_384 ? 8 : 1),
    expert: model.experts === 0 ? [1] : powersOfTwo(Math.min(devices, model.experts)),
    expertTensor: [1],
    microBatch: [1, 2, 4],
    schedule: ["1f1b", "interleaved", "zb-1p"],
    recompute: ["none", "fine-grained", "full"],
  };
}

/**
 * Prices every combination of a grid.
 * @param prune skip a combination whose recomputing sibling does not fit either
 */
export function searchLayouts(
  base: Job,
  grid: Grid,
  routingOf: (layout: Layout) => Routing,
  { prune, spreadGroups = true }: { readonly prune: boolean; readonly spreadGroups?: boolean },
): PlanResult {
  const candidates: Candidate[] = [];
  let tried = 0;
  let refused = 0;
  let pruned = 0;
  const kernels = new KernelCache();
  // Most recomputation first: if that does not fit, nothing does.
  const recomputations = (["full", "fine-grained", "selective", "none"] as const).filter((each) =>
    grid.recompute.includes(each),
  );
  for (const layout of layoutsOf(base, grid)) {
    for (const microBatch of grid.microBatch) {
      const batch = { ...base.batch, microBatch };
      if (layoutProblems(layout, batch, base.model, base.topology, spreadGroups).length > 0) {
        tried += recomputations.length;
        refused += recomputations.length;
        continue;
      }
      const routing = routingOf(layout);
      const shared = kernels.of({ ...base, layout, batch });
      tried += recomputations.length;
      if (shared === undefined) {
        refused += recomputations.length;
        continue;
      }
      for (const [i, recompute] of recomputations.entries()) {
        const candidate = priceCandidate({ ...base, layout, batch, recompute }, routing, shared);
        candidates.push(candidate);
        if (!prune || candidate.fits) continue;
        pruned += recomputations.length - 1 - i;
        break;
      }
    }
  }
  candidates.sort((a, b) => Number(b.fits) - Number(a.fits) || a.seconds - b.seconds);
  return { candidates, tried, refused, pruned };
}

/** Seconds of a candidate with its pipeline played event by event, as `moge cost` gives them. */
export function playCandidate(base: Job, candidate: Candidate, routingOf: (layout: Layout) => Routing): number {
  const { layout, microBatch, recompute } = candidate;
  const job = { ...base, layout, recompute, batch: { ...base.batch, microBatch } };
  return new StepModel(job).price(routingOf(layout), { events: true }).seconds;
}

function priceCandidate(job: Job, routing: Routing, shared: SharedKernels): Candidate {
  const { seconds, memory } = new StepModel(job, shared).quick(routing);
  const { layout, batch, recompute, model, device } = job;
  const memoryBytes = fullestOf(memory()).total;
  const tokens = batch.globalBatch * batch.sequence;
  const devices = devicesOf(layout);
  return {
    layout,
    microBatch: batch.microBatch,
    recompute,
    seconds,
    tokensPerSecondPerDevice: tokens / seconds / devices,
    utilisation:
      (tokens * trainingFlopsPerToken(model, batch.sequence)) / seconds / devices / device.peakFlopsPerSecond.value,
    memoryBytes,
    fits: memoryBytes <= device.memoryBytes.value,
  };
}

/** Kernels of layouts that differ in schedule alone are worked out once; undefined where groups do not fill the links. */
class KernelCache {
  private readonly known = new Map<string, SharedKernels | undefined>();

  of(job: Job): SharedKernels | undefined {
    const { tensor, context, data, expert, expertTensor } = job.layout;
    const key = [tensor, context, data, expert, expertTensor, job.batch.microBatch].join(" ");
    if (!this.known.has(key)) this.known.set(key, kernelsIfEven(job));
    return this.known.get(key);
  }
}

function kernelsIfEven(job: Job): SharedKernels | undefined {
  try {
    return sharedKernels(job);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function* layoutsOf({ layout: base, model }: Job, grid: Grid): Generator<Layout> {
  const devices = devicesOf(base);
  for (const tensor of grid.tensor) {
    for (const pipeline of grid.pipeline) {
      for (const context of grid.context) {
        const data = devices / (tensor * pipeline * context);
        if (!Number.isInteger(data)) continue;
        for (const schedule of grid.schedule) {
          for (const virtual of grid.virtual) {
            if (!suits(schedule, pipeline, virtual)) continue;
            const chunks = pipeline * virtual;
            const paddingLayers = (chunks - (model.layers % chunks)) % chunks;
            for (const expert of grid.expert) {
              for (const expertTensor of grid.expertTensor) {
                yield {
                  ...base,
                  tensor,
                  pipeline,
                  context,
                  data,
                  schedule,
                  virtual,
                  expert,
                  expertTensor,
                  paddingLayers,
                };
              }
            }
          }
        }
      }
    }
  }
}

/** Combinations that are another's double are left out: schedules without a pipeline, interleaving of one chunk. */
function suits(schedule: ScheduleName, pipeline: number, virtual: number): boolean {
  if (pipeline === 1) return schedule === "1f1b" && virtual === 1;
  if (schedule === "interleaved") return virtual > 1;
  return schedules[schedule].contradiction({ pipeline, virtual, microBatches: 4 * pipeline }) === undefined;
}
