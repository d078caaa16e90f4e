/** Does a job fit into its devices' memory, and if not: which device is too full, and what would fix it. */
import type { Job, Recomputation, Routing } from "./job.ts";
import { deviceAt, devicesOf, type Layout, layoutProblems, layoutSpans, strides } from "./layout.ts";
import type { StageMemory } from "./memory.ts";
import { StepModel } from "./step.ts";

export interface MemoryVerdict {
  readonly fits: boolean;
  /** The fullest stage. */
  readonly fullest: StageMemory;
  readonly capacityBytes: number;
  /** Number of the first device of that stage that is so full. */
  readonly device: number;
  /** Single changes with which everything would fit; empty if it fits, or if none of them is enough. */
  readonly fixes: readonly string[];
}

/** @param hottestDevice rank within the expert-parallel group that is fullest; 0 for dense models */
export function memoryVerdict(
  job: Job,
  routing: Routing,
  memory: readonly StageMemory[],
  hottestDevice: number,
): MemoryVerdict {
  const fullest = fullestOf(memory);
  const capacityBytes = job.device.memoryBytes.value;
  const fits = fullest.total <= capacityBytes;
  const { layout } = job;
  const inStage = Math.max(0, hottestDevice) * layout.expertTensor;
  const device = deviceAt(strides(layout), {
    tensor: inStage % layout.tensor,
    context: Math.floor(inStage / layout.tensor) % layout.context,
    data: Math.floor(inStage / layout.tensor / layout.context),
    pipeline: fullest.stage,
  });
  const fixes = fits ? [] : changes(job).flatMap(([text, changed]) => (fitsWith(changed, routing) ? [text] : []));
  return { fits, fullest, capacityBytes, device, fixes };
}

export const fullestOf = (memory: readonly StageMemory[]): StageMemory =>
  memory.reduce((most, stage) => (stage.total > most.total ? stage : most));

function fitsWith(job: Job, routing: Routing): boolean {
  if (layoutProblems(job.layout, job.batch, job.model, job.topology).length > 0) return false;
  try {
    layoutSpans(job.layout, job.topology);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
  const { memory } = new StepModel(job).price(routing, { events: false });
  return fullestOf(memory).total <= job.device.memoryBytes.value;
}

/** Single changes, the cheapest first. */
function changes(job: Job): [string, Job][] {
  const { layout, batch } = job;
  const found: [string, Job][] = [];
  const withLayout = (text: string, change: Partial<Layout>) => {
    const changed = { ...layout, ...change };
    const data = devicesOf(layout) / (changed.tensor * changed.pipeline * changed.context);
    if (Number.isInteger(data)) found.push([text, { ...job, layout: { ...changed, data } }]);
  };
  if (!layout.distributedOptimizer) withLayout("layout.distributedOptimizer true", { distributedOptimizer: true });
  const recompute = (kind: Recomputation): [string, Job] => [
    `recompute ${kind}`,
    { ...job, recompute: kind, recomputeLayers: Number.POSITIVE_INFINITY },
  ];
  if (job.recompute === "none" || job.recompute === "selective") found.push(recompute("fine-grained"));
  if (job.recompute !== "full" || Number.isFinite(job.recomputeLayers)) found.push(recompute("full"));
  if (batch.microBatch > 1) found.push(["batch.microBatch 1", { ...job, batch: { ...batch, microBatch: 1 } }]);
  withLayout(`layout.pipeline ${2 * layout.pipeline}`, { pipeline: 2 * layout.pipeline });
  withLayout(`layout.tensor ${2 * layout.tensor}`, { tensor: 2 * layout.tensor });
  if (job.model.experts > 0) withLayout(`layout.expert ${2 * layout.expert}`, { expert: 2 * layout.expert });
  return found;
}
