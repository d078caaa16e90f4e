/** Profiles under a capacity of experts: of recorded tokens, some of which are dropped, and of experts padded to it. */
import { type Assignment, NO_EXPERT } from "../routing/assignment.ts";
import { expertCapacity } from "../routing/capacity.ts";
import { dropOverflow } from "../routing/dropping.ts";
import { profileOfTokens, type RoutingProfile } from "./routing-profile.ts";

export interface Capped {
  readonly profile: RoutingProfile;
  /** Share of the assignments that were dropped. */
  readonly dropRate: number;
  /** Assignments that one expert takes of a batch at most. */
  readonly capacity: number;
}

/**
 * Tokens are served in their order, each with all its experts; who comes too late is dropped.
 * @param chosen [T, slots] experts of the tokens; `none` marks an empty slot
 * @param batch tokens that share one capacity, ⌈batch · K/N · factor⌉
 * @param factor infinity: nothing is dropped
 */
export function capped(
  title: string,
  chosen: ArrayLike<number>,
  slots: number,
  experts: number,
  none: number,
  batch: number,
  factor: number,
): Capped {
  const tokens = chosen.length / slots;
  const rule = { rule: "megatron", factor, minimum: 0, alignment: 1 } as const;
  const capacity = expertCapacity(batch, { experts, topK: slots }, rule);
  const assignment: Assignment = {
    tokens,
    slots,
    experts: Int32Array.from(chosen, (expert) => (expert === none ? NO_EXPERT : expert)),
    weights: new Float64Array(chosen.length),
  };
  const used = () => assignment.experts.reduce((count, expert) => count + (expert === NO_EXPERT ? 0 : 1), 0);
  const all = used();
  const bins = { binOf: Int32Array.from({ length: experts }, (_, expert) => expert), bins: experts, capacity };
  const settings = { order: "token", priority: "position" } as const;
  for (let first = 0; first < tokens; first += batch) {
    const last = Math.min(tokens, first + batch);
    dropOverflow(assignment, bins, { settings, scores: new Float64Array(0), first, last });
  }
  return {
    profile: profileOfTokens(title, assignment.experts, slots, experts, NO_EXPERT),
    dropRate: all === 0 ? 0 : (all - used()) / all,
    capacity,
  };
}

/** The profile of experts that compute their whole capacity, filled up with padding. */
export function padded(title: string, slots: number, experts: number, factor: number): RoutingProfile {
  return {
    title,
    topK: slots,
    picks: new Float64Array(experts).fill((slots / experts) * factor),
    hits: (_, units) => new Float64Array(units).fill(1),
  };
}
