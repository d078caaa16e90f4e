/** The kernels of a job's layers, before layers are laid on stages: schedules and recomputation change nothing in them. */
import { ExpertCost, type SlowestSeconds } from "./expert-cost.ts";
import type { Job, Routing } from "./job.ts";
import {
  attentionCost,
  type BlockCost,
  embeddingCost,
  headCost,
  joined,
  networkCost,
  routerCost,
} from "./layer-cost.ts";
import type { LayoutSpans } from "./layout.ts";
import type { RoutingProfile } from "./routing-profile.ts";

export class LayerKernels {
  /** Attention and dense network; absent if every layer has experts. */
  readonly dense: BlockCost | undefined;
  /** Attention, router and shared experts; absent in a dense model. */
  readonly moe: BlockCost | undefined;
  readonly experts: ExpertCost | undefined;
  readonly embedding: BlockCost;
  readonly head: BlockCost;
  /** The routing asked for last, and what was found for its profiles: layouts that differ in schedule ask again. */
  private routing: Routing | undefined;
  private known = new Map<RoutingProfile, SlowestSeconds>();

  constructor(job: Job, spans: LayoutSpans) {
    const { model } = job;
    const attention = attentionCost(job, spans);
    if (model.denseLayers > 0) this.dense = joined([attention, networkCost(job, spans, model.denseHiddenSize, true)]);
    if (model.experts > 0) {
      const shared = model.sharedHiddenSize > 0 ? [networkCost(job, spans, model.sharedHiddenSize, false)] : [];
      this.moe = joined([attention, routerCost(job, spans), ...shared]);
      this.experts = new ExpertCost(job, spans);
    }
    this.embedding = embeddingCost(job, spans);
    this.head = headCost(job, spans);
  }

  /** What the slowest device of a group takes for the experts of a layer. */
  slowest(routing: Routing, layer: number, block: number, microBatch: number): SlowestSeconds {
    if (routing !== this.routing) {
      this.routing = routing;
      this.known = new Map();
    }
    const profile = routing.profile(layer, block, microBatch);
    let seconds = this.known.get(profile);
    if (seconds === undefined) {
      seconds = this.experts!.slowest(profile);
      this.known.set(profile, seconds);
    }
    return seconds;
  }
}
